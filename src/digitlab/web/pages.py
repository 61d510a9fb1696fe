"""The page's own files: read once, by names that are known from then on; what a visitor names is no path."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from digitlab.version import __version__
from digitlab.web.errors import NotHereError
from digitlab.web.settings import Settings

FOLDER = Path(__file__).parent / "static"
VIEWS = ("train", "draw", "studies", "runs", "compare", "board")
_INDEX = "index.html"
_LEAST_PACKED = 1_000
_OF_OTHERS = "vendor"
"""The folder of scripts that are sent as they are, their licences' words included."""
_COMMENT = re.compile(r"^[ \t]*(?://.*|/\*\*(?s:(?!\*/).)*\*/)[ \t]*$", re.MULTILINE)
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent.

    packed: by gzip; None where that gains nothing
    """

    content: bytes
    packed: bytes | None
    kind: str
    tag: str


@cache
def static_files(folder: Path = FOLDER) -> dict[str, StaticFile]:
    """All of the page's files, by their path in the folder with `/`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    if path.suffix == ".js" and path.parent.name != _OF_OTHERS:
        content = without_comments(content.decode()).encode()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_text = kind.startswith("text/") or kind in ("image/svg+xml", "application/json")
    packed = gzip.compress(content, 9, mtime=0) if is_text and len(content) >= _LEAST_PACKED else None
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return StaticFile(content, packed, f"{kind}; charset=utf-8" if is_text else kind, tag)


def without_comments(script: str) -> str:
    """A script without the comments that stand on lines of their own, a fifth of what would be sent.

    Empty lines take their place, so that what a browser says of a line holds for the source.
    """
    return _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), script)


@cache
def page_digest(folder: Path = FOLDER) -> str:
    """What tells one version of the page from another."""
    found = hashlib.sha256()
    for name, file in static_files(folder).items():
        found.update(f"{name} {file.tag}\n".encode())
    return found.hexdigest()[:16]


def pages_router(settings: Settings) -> APIRouter:
    """The page, at every address of its views, and its files."""
    router = APIRouter(include_in_schema=False)

    def page() -> Response:
        index = static_files().get(_INDEX)
        if index is None:
            raise NotHereError("this installation has no page; install digitlab again")
        text = index.content.decode()
        values = {"page": page_digest(), "server": settings.server, "version": __version__}
        for name, value in values.items():
            text = text.replace(f"{{{{{name}}}}}", value)
        return Response(text, media_type="text/html")

    def file(path: str, request: Request) -> Response:
        found = static_files().get(path)
        if found is None or path == _INDEX:
            raise NotHereError("there is no such file")
        headers = {"etag": found.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(found.packed, headers=headers, media_type=found.kind)
        return Response(found.content, headers=headers, media_type=found.kind)

    router.add_api_route("/static/{path:path}", file, methods=["GET", "HEAD"])
    router.add_api_route("/", page, methods=["GET", "HEAD"])
    for view in VIEWS:
        router.add_api_route(f"/{view}", page, methods=["GET", "HEAD"])
        router.add_api_route(f"/{view}/{{rest}}", page, methods=["GET", "HEAD"])
    return router
