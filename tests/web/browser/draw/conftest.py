"""The page's modules alone, in a real browser: no server of digitlab's."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import digitlab

STATIC = Path(digitlab.__file__).parent / "web" / "static"


class Files(http.server.SimpleHTTPRequestHandler):
    """The page's files under `/static`, the test's own under `/files`; anything else is an empty page."""

    def __init__(self, *given: object, own: Path, **more: object) -> None:
        self.own = own
        super().__init__(*given, **more)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        top, _, rest = path.lstrip("/").partition("/")
        return str({"static": STATIC, "files": self.own}.get(top, Path("/nowhere")) / rest)

    def do_GET(self) -> None:
        if self.path == "/":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>modules</title>")
        else:
            super().do_GET()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies here, `modules` can fetch from `/files/`."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="session")
def modules(browser: Browser, files: Path) -> Iterator[Page]:
    """An empty page that can import `/static/…`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, own=files))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    yield page
    context.close()
    server.shutdown()
    thread.join()
    server.server_close()
