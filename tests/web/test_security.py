"""Every case of docs/security.md, made to happen by raw sockets against a server that runs."""

import base64
import json
import os
import re
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.servers import Server, document, endless, receive, server_with, status

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
ROWS = re.findall(r"^\| (?!case|---)(.+?) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)

FROM_ELSEWHERE = ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors")
OPENED_ELSEWHERE = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode(),
)
EVENTS = "/api/live/events"


def bearer(server: Server) -> str:
    return f"Authorization: Bearer {server.token}"


def cookie(server: Server) -> str:
    return f"Cookie: {server.cookie}"


def origin(server: Server) -> str:
    return f"Origin: http://{server.authority}"


def path(text: str) -> Callable[[Server], bytes]:
    return lambda server: server.ask("GET", text, bearer(server))


def changed(method: str) -> Callable[[Server], bytes]:
    """A request of another site's page that would change something, with the cookie."""
    return lambda server: server.ask(
        method, "/api/train/clear", cookie(server), *FROM_ELSEWHERE, body=b'{"keys": []}'
    )


def posted(place: str, body: bytes) -> Callable[[Server], bytes]:
    return lambda server: server.ask("POST", place, bearer(server), body=body)


def head(server: Server, *headers: str, method: str = "POST", place: str = "/api/train") -> bytes:
    lines = [f"{method} {place} HTTP/1.1", f"Host: {server.authority}", bearer(server), *headers, "", ""]
    return "\r\n".join(lines).encode()


def chunks(server: Server) -> bytes:
    chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
    return server.send(head(server, "Transfer-Encoding: chunked"), *(chunk for _ in range(16_384)))


def endless_body(server: Server) -> bytes:
    return server.send(head(server, "Content-Length: 100"), b"{")


def refused_body(server: Server) -> bytes:
    """A body of which a byte comes now and then, from one without a token."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        lines = ["POST /api/train HTTP/1.1", f"Host: {server.authority}", "Content-Length: 100", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        assert status(receive(connection)) == 401
        try:
            for _ in range(30):
                connection.sendall(b" ")
                time.sleep(0.05)
        except OSError:
            return b"closed"
        return b"still open"


def many_pictures(server: Server) -> bytes:
    connections = []
    try:
        for _ in range(8):
            connection = socket.create_connection(("127.0.0.1", server.port), 20)
            connections.append(connection)
            connection.sendall(head(server, "Content-Length: 100", place="/api/predict"))
        time.sleep(0.3)
        return server.send(head(server, "Content-Length: 100", place="/api/predict"))
    finally:
        for connection in connections:
            connection.close()


def unread_answer(server: Server) -> bytes:
    """Of an answer larger than all buffers between, what comes to one who reads it too late."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(head(server, method="GET", place="/api/datasets/mnist/test?limit=2000"))
        time.sleep(6)
        found = receive(connection)
    assert status(found) == 200
    return b"closed" if len(found) < 2_000 * 784 else b"still open"


def endless_head(server: Server) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        try:
            for _ in range(200):
                connection.sendall(b"GET / HTTP/1.1\r\n" if not _ else b"X: y\r\n")
                time.sleep(0.05)
        except OSError:
            return b"closed"
        return receive(connection) or b"closed"


def socket_asked(*headers: Callable[[Server], str], host: str | None = None) -> Callable[[Server], bytes]:
    return lambda server: server.ask("GET", EVENTS, *UPGRADE, *(each(server) for each in headers), host=host)


def said(text: str) -> Callable[[Server], str]:
    return lambda _: text


def opened(server: Server) -> socket.socket:
    """A WebSocket of the page."""
    connection = socket.create_connection(("127.0.0.1", server.port), 20)
    lines = [f"GET {EVENTS} HTTP/1.1", f"Host: {server.authority}", cookie(server), origin(server), *UPGRADE]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1)
    assert status(answer) == 101, answer
    return connection


def too_many(server: Server) -> bytes:
    connections = []
    try:
        for _ in range(6):
            connections.append(opened(server))  # noqa: PERF401  # those before must be closed when one fails
        return socket_asked(cookie, origin)(server)
    finally:
        for connection in connections:
            connection.close()


def frame(content: bytes, first: int = 0x81, *, is_masked: bool = True) -> bytes:
    mask = os.urandom(4)
    bit = 0x80 if is_masked else 0
    size = len(content)
    length = bytes([bit | size]) if size < 126 else struct.pack("!BQ", bit | 127, size)
    if is_masked:
        content = bytes(byte ^ mask[i % 4] for i, byte in enumerate(content)) if size < 1_000 else content
    return bytes([first]) + length + (mask if is_masked else b"") + content


def close_code(connection: socket.socket) -> bytes:
    """The code with which the server closes."""
    found = b""
    try:
        while part := connection.recv(1 << 16):
            found += part
            if code := code_in(found):
                return code
    except OSError:
        pass
    return b"closed"


def code_in(found: bytes) -> bytes:
    place = 0
    while place + 2 <= len(found):
        kind, size = found[place] & 0x0F, found[place + 1] & 0x7F
        place += 2
        if size == 126:
            size, place = struct.unpack("!H", found[place : place + 2])[0], place + 2
        elif size == 127:
            size, place = struct.unpack("!Q", found[place : place + 8])[0], place + 8
        if kind == 8 and place + 2 <= len(found):
            return f"close {struct.unpack('!H', found[place : place + 2])[0]}".encode()
        place += size
    return b""


def framed(*frames: bytes) -> Callable[[Server], bytes]:
    def ask(server: Server) -> bytes:
        with opened(server) as connection:
            try:
                for each in frames:
                    connection.sendall(each)
            except OSError:
                pass
            return close_code(connection)

    return ask


def never_reads(server: Server) -> bytes:
    """A page that takes nothing, while the state that it is sent is larger than all buffers between."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.port))
    with connection, server.client() as client:
        lines = [
            f"GET {EVENTS} HTTP/1.1",
            f"Host: {server.authority}",
            cookie(server),
            origin(server),
            *UPGRADE,
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        keys = []
        for seeds in (range(40_000, 40_032), range(40_032, 40_064)):
            options = {"hidden": [8], "train_size": 1_000, "batch_size": 10, "epochs": 2}
            many = [{**options, "seed": seed, "evaluate_at": list(range(1, 201))} for seed in seeds]
            runs = client.post("/api/train", json={"runs": many}).json()["runs"]
            keys += [run["key"] for run in runs]
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(0.5)
            try:
                connection.sendall(frame(b'{"type": "watch", "keys": []}'))
            except OSError:
                break
        client.post("/api/train/cancel", json={"keys": keys})
        while any(run["status"] in ("waiting", "training") for run in client.get("/api/live").json()["runs"]):
            time.sleep(0.1)
        client.post("/api/train/clear", json={"keys": keys})
        return b"closed" if time.monotonic() < end else b"still open"


def next_run(server: Server, number: int, *, of_new: bool = True) -> bytes:
    """One more run of a visitor: of a new one, or of one who has all that they may have."""
    with server.visitor() as client:
        if not of_new:
            assert client.post("/api/train", json=endless(98)).status_code == 202
        cookies = f"Cookie: {'; '.join(f'{name}={value}' for name, value in client.cookies.items())}"
        body = json.dumps(endless(number, 1)).encode()
        return server.ask("POST", "/api/train", cookies, origin(server), body=body)


def ninth_run(server: Server) -> bytes:
    with server.training(visitors=0):
        return next_run(server, 99, of_new=False)


def without_cookies(server: Server) -> bytes:
    """Another visitor of a network, whose visitors have taken all; others are let in."""
    with server.training(visitors=12):
        refused = next_run(server, 99)
        with server.visitor("127.0.0.2") as elsewhere, server.client() as teacher:
            assert elsewhere.post("/api/train", json=endless(100)).status_code == 202
            assert teacher.post("/api/train", json=endless(101, 24)).status_code == 202
        return refused


CASES: dict[str, Callable[[Server], bytes]] = {
    "a foreign Host (DNS rebinding)": lambda s: s.ask("GET", "/api/live", bearer(s), host="evil.example"),
    "no Host": lambda s: s.send(f"GET /api/live HTTP/1.0\r\n{bearer(s)}\r\n\r\n".encode()),
    "two Hosts": lambda s: s.ask("GET", "/api/live", bearer(s), "Host: evil.example"),
    "the right Host with another port": lambda s: s.ask("GET", "/api/live", bearer(s), host="127.0.0.1:1"),
    "a foreign Origin, with the token": lambda s: s.ask(
        "GET", "/api/live", bearer(s), "Origin: http://evil.example"
    ),
    "Origin null, with the token": lambda s: s.ask("GET", "/api/live", bearer(s), "Origin: null"),
    "Origin with another port of this machine": lambda s: s.ask(
        "GET", "/api/live", bearer(s), "Origin: http://127.0.0.1:1"
    ),
    "Origin with https": lambda s: s.ask("GET", "/api/live", bearer(s), f"Origin: https://{s.authority}"),
    "no token": lambda s: s.ask("GET", "/api/live"),
    "a token of an earlier start": lambda s: s.ask("GET", "/api/live", "Authorization: Bearer earlier"),
    "a cookie of an earlier start": lambda s: s.ask("GET", "/api/live", f"Cookie: digitlab-{s.port}=earlier"),
    "a link of an earlier start": lambda s: s.ask("GET", "/?token=earlier", "Accept: text/html"),
    "the token with other letters behind it": lambda s: s.ask("GET", "/api/live", f"{bearer(s)}x"),
    "the token in the address of the API": lambda s: s.ask("GET", f"/api/live?token={s.token}"),
    "the page without a cookie": lambda s: s.ask("GET", "/", "Accept: text/html"),
    "the link with the token": lambda s: s.ask("GET", f"/?token={s.token}", "Accept: text/html"),
    "the link with the token, opened from another site": lambda s: s.ask(
        "GET", f"/?token={s.token}", "Accept: text/html", *OPENED_ELSEWHERE
    ),
    "a link without the token, opened from another site": lambda s: s.ask(
        "GET", "/train?hidden=100", "Accept: text/html", *OPENED_ELSEWHERE
    ),
    "a POST with the cookie and without an Origin": lambda s: s.ask(
        "POST", "/api/train/clear", cookie(s), body=b'{"keys": []}'
    ),
    **{
        f"a cross-site {method} with the cookie": changed(method)
        for method in ("POST", "PUT", "PATCH", "DELETE")
    },
    "a cross-site form with the cookie": lambda s: s.ask(
        "POST", "/api/train/clear", cookie(s), *OPENED_ELSEWHERE, "Content-Type: text/plain"
    ),
    "a picture of another site that shows the API": lambda s: s.ask(
        "GET",
        "/api/live",
        cookie(s),
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Dest: image",
    ),
    "a frame of another site": lambda s: s.ask(
        "GET",
        "/",
        cookie(s),
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: iframe",
    ),
    "a preflight of another site": lambda s: s.ask(
        "OPTIONS", "/api/train", *FROM_ELSEWHERE, "Access-Control-Request-Method: POST"
    ),
    "PUT with the token": lambda s: s.ask("PUT", "/api/train", bearer(s), body=b"{}"),
    "TRACE with the token": lambda s: s.ask("TRACE", "/api/train", bearer(s)),
    "a path with `..`": path("/static/../app.py"),
    "a path with `%2e%2e`": path("/static/%2e%2e/app.py"),
    "a path with `%252e%252e`": path("/static/%252e%252e/app.py"),
    "a path with `..%2f`": path("/static/..%2fapp.py"),
    "a path with `..%5c`": path("/static/..%5capp.py"),
    "a path with `%c0%ae`": path("/static/%c0%ae%c0%ae/app.py"),
    "a path with `%00`": path("/static/main.js%00.png"),
    "an absolute path": path("/static//etc/passwd"),
    "a name of a data set that is a path": path("/api/datasets/..%2F..%2Fetc/test"),
    "a parent that is a path": posted("/api/train", b'{"runs": [{"parent": "/etc/passwd"}]}'),
    "a name with markup": posted("/api/train", b'{"runs": [{"<script>alert(1)</script>": 1}]}'),
    "a body of a gigabyte, by its header": lambda s: s.send(head(s, f"Content-Length: {1 << 30}")),
    "a body of a gigabyte, in chunks": chunks,
    "a body that never ends": endless_body,
    "a body that never ends, behind a refusal": refused_body,
    "a negative length": lambda s: s.send(head(s, "Content-Length: -1")),
    "a length and chunks": lambda s: s.send(head(s, "Content-Length: 5", "Content-Length: 6")),
    "JSON of a thousand levels": posted("/api/train", b'{"runs": ' + b"[" * 1_000 + b"]" * 1_000 + b"}"),
    "a picture that is none": posted("/api/predict", b"no picture"),
    "more pictures at once than are taken": many_pictures,
    "a visitor's ninth run": ninth_run,
    "another run of a network whose visitors have 96, by one without a cookie": without_cookies,
    "a header of a megabyte": lambda s: s.send(head(s, f"X: {'y' * (1 << 20)}")),
    "no HTTP": lambda s: s.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "a head that never ends": endless_head,
    "an answer that nobody reads": unread_answer,
    "a WebSocket without a token": socket_asked(origin),
    "a WebSocket with a foreign Origin and the cookie": socket_asked(
        cookie, said("Origin: http://evil.example")
    ),
    "a WebSocket with Origin null and the cookie": socket_asked(cookie, said("Origin: null")),
    "a WebSocket with the cookie and without an Origin": socket_asked(cookie),
    "a WebSocket with a foreign Host": socket_asked(
        cookie, said("Origin: http://evil.example"), host="evil.example"
    ),
    "a WebSocket more than there may be": too_many,
    "a message that is no JSON": framed(frame(b"{")),
    "a message of a megabyte": framed(frame(b" " * (1 << 20))),
    "a frame without a mask": framed(frame(b"{}", is_masked=False)),
    "a frame with reserved bits": framed(frame(b"{}", 0xF1)),
    "hundreds of messages at once": framed(*[frame(b'{"type": "watch", "keys": []}')] * 300),
    "a reader that never reads": never_reads,
}


def test_the_page_has_every_case() -> None:
    assert [case for case, _ in ROWS] == list(CASES)


@pytest.mark.parametrize(("case", "answer"), ROWS, ids=[case for case, _ in ROWS])
def test_the_answer_is_the_one_that_the_page_promises(live_server: Server, case: str, answer: str) -> None:
    found = CASES[case](live_server)
    if not answer[0].isdigit():
        assert found == answer.encode()
        return
    assert status(found) == int(answer[:3]), found[:600]
    for words in re.findall(r'"([^"]+)"', answer):
        assert words in found.decode(), found[:600]
    if b"application/json" in found:
        assert document(found)["says"]
    assert b"Traceback" not in found
    assert live_server.process.poll() is None


def test_a_link_keeps_what_it_shows(live_server: Server) -> None:
    found = live_server.ask(
        "GET", f"/train?hidden=100&token={live_server.token}&seed=%3Cb%3E", "Accept: text/html"
    )
    assert b"location: /train?hidden=100&seed=%3Cb%3E\r\n" in found
    away = live_server.ask("GET", f"//evil.example/?token={live_server.token}", "Accept: text/html")
    assert b"location: /evil.example/\r\n" in away


def test_what_another_site_opened_is_opened_again_as_it_was(live_server: Server) -> None:
    found = live_server.ask("GET", "/train?hidden=100&x=%22%3E", "Accept: text/html", *OPENED_ELSEWHERE)
    assert b'content="0; url=/train?hidden=100&amp;x=%22%3E"' in found


def test_every_answer_has_the_policy(live_server: Server) -> None:
    for answer in (
        live_server.ask("GET", "/", cookie(live_server)),
        live_server.ask("GET", "/api/live", bearer(live_server)),
        live_server.ask("GET", "/api/live"),
        live_server.ask("GET", "/nothing", bearer(live_server)),
        socket_asked(origin)(live_server),
    ):
        headers = answer.partition(b"\r\n\r\n")[0].decode().lower()
        assert "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'" in headers
        assert "unsafe" not in headers
        assert "x-content-type-options: nosniff" in headers
        assert "referrer-policy: no-referrer" in headers
        assert "\r\nserver:" not in headers


def test_names_with_markup_and_escapes_are_told_harmlessly(live_server: Server) -> None:
    options = {"<img src=x onerror=alert(1)>": 1, "data": "\x1b[31m</script>"}
    found = live_server.ask(
        "POST", "/api/train", bearer(live_server), body=json.dumps({"runs": [options]}).encode()
    )
    assert status(found) == 422
    assert "\x1b" not in document(found)["says"]
    page = live_server.ask("GET", "/?token=%3Cscript%3Ealert(1)%3C/script%3E", "Accept: text/html")
    assert b"<script>" not in page


def test_hundreds_of_connections_leave_room_for_the_next(tmp_path: Path) -> None:
    with server_with(tmp_path / "runs.db", head_seconds=30.0, connections=150) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(150)]
        refused = server.ask("GET", "/api/live", bearer(server))
        assert status(refused) == 503
        says = "150 connections are open already, the most there may be; close a page and try again"
        assert document(refused) == {"says": says, "field": None}
        assert b"content-security-policy" in refused.lower()
        for connection in idle:
            connection.close()
        end = time.monotonic() + 20
        while status(server.ask("GET", "/api/live", bearer(server))) != 200:
            assert time.monotonic() < end
            time.sleep(0.1)
