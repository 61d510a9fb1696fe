"""A real server on real MNIST, and a real Chromium that opens its page."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=60_000)  # milliseconds: workers start slowly where much else runs
collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]


@dataclass(frozen=True)
class Server:
    """A running `digitlab serve`.

    url:   of the page, without its token
    entry: what it printed, which lets a browser in
    """

    url: str
    entry: str
    token: str
    process: "subprocess.Popen[str]"


def start_server(store: Path, *options: str) -> Server:
    """`digitlab serve` with a store of its own, once it has said where it is."""
    command = [sys.executable, "-m", "digitlab", "serve", "--no-open", "--port", "0", "--store", str(store)]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        found = re.search(r"(http://\S+?)/\?token=([\w-]+)", line)
        if found:
            return Server(found[1], found[0], found[2], process)
    raise AssertionError(f"digitlab serve ended: {said}")


def address_of_the_class(server: Server) -> str:
    """Where visitors come in: the next line of a server that has a class."""
    assert server.process.stdout
    found = re.search(r"http://\S+token=\S+", server.process.stdout.readline())
    assert found
    return found[0]


def stop_server(server: Server) -> None:
    """Ctrl-C for the server, and its end."""
    server.process.terminate()
    server.process.wait(30)
    if server.process.stdout:
        server.process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests."""
    running = start_server(tmp_path_factory.mktemp("serve") / "runs.db")
    yield running
    stop_server(running)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """A visitor who has come in, whose clipboard may be used."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    context.set_default_timeout(30_000)
    entering = context.new_page()
    entering.goto(server.entry)
    entering.close()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    """A page of that visitor; what it says on the console or fails at fails the test."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(f"{server.url}/")
    yield page
    assert [fault for fault in faults if "Failed to load resource" not in fault] == []
