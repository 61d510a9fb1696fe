"""How much the server takes from one who asks; what is past it gets a clear answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much the server takes.

    body_bytes:      of a request with a document
    picture_bytes:   of one with a picture
    body_seconds:    in which a request's body has to arrive
    head_seconds:    in which a connection has to say what it wants
    head_bytes:      of a request's line and headers
    connections:     open at once, of all kinds
    sockets:         open at once, of pages that watch
    message_bytes:   of one message of a page
    messages_per_second: of one page
    watched_runs:    whose parameters one page looks at
    send_seconds:    in which a page has to take something of what is sent to it
    updates_per_second: that one page is told
    predictions:     that are computed at once
    heavy_requests:  pictures, and reports, that are in work at once for the class; as many for the teacher
    test_images:     of one request
    """

    body_bytes: int = 256 << 10
    picture_bytes: int = 24 << 20
    body_seconds: float = 20.0
    head_seconds: float = 10.0
    head_bytes: int = 16 << 10
    connections: int = 600
    sockets: int = 256
    message_bytes: int = 16 << 10
    messages_per_second: float = 20.0
    watched_runs: int = 32
    send_seconds: float = 20.0
    updates_per_second: float = 10.0
    predictions: int = 2
    heavy_requests: int = 8
    test_images: int = 2_000
