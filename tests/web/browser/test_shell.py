"""What surrounds the views: no view has a fault that axe finds, and the page says when it is cut off or outdated."""

import re
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from tests.web.browser.conftest import Server, start_server, stop_server

pytestmark = pytest.mark.slow
VIEWS = ["train", "train?predict=1&hidden=none", "draw", "studies", "runs", "board"]


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light"), (1920, "dark")])
def test_no_view_has_a_fault_that_axe_finds(
    browser: Browser, server: Server, scheme: Literal["dark", "light"], width: int
) -> None:
    # axe is script that the page's policy would not let in.
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=width < 500, bypass_csp=True
    ) as context:
        page = context.new_page()
        page.goto(server.entry)
        for view in VIEWS:
            page.goto(f"{server.url}/{view}")
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            page.evaluate("for (const more of document.querySelectorAll('details')) more.open = true")
            page.wait_for_load_state("networkidle")
            found = Axe().run(page).response["violations"]
            assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in found] == [], view
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view


def test_the_colours_are_switched_and_kept(page: Page) -> None:
    paper = "getComputedStyle(document.body.parentElement).backgroundColor"
    before = page.evaluate(paper)
    page.get_by_role("button", name="Switch to dark colours").click()
    assert page.evaluate(paper) != before
    page.reload()
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()


def test_back_goes_back(page: Page) -> None:
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page.get_by_role("link", name="Train", exact=True)).to_have_attribute("aria-current", "page")


def test_a_page_of_another_version_is_told_to_load_anew(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    greetings: list[str] = []

    def newer(route: WebSocketRoute) -> None:
        """The server's greeting, the first time as if its page were another."""

        def pass_on(message: str | bytes) -> None:
            text = str(message)
            if '"hello"' in text:
                greetings.append(text)
                if len(greetings) == 1:
                    text = re.sub(r'"page":\s*"[^"]*"', '"page":"newer"', text)
            route.send(text)

        route.connect_to_server().on_message(pass_on)

    page.route_web_socket(re.compile("/api/live/events"), newer)
    page.goto(f"{server.url}/train")
    expect(page.get_by_role("alert")).to_contain_text("This page is older than the server. Reload to go on.")
    page.get_by_role("button", name="Reload").click()
    expect(page.get_by_text("connected", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_page_says_that_its_server_is_gone_and_keeps_what_it_shows(
    browser: Browser, tmp_path: Path
) -> None:
    own = start_server(tmp_path / "runs.db")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(own.entry)
        page.get_by_role("button", name="+ layer").click()
        expect(page.get_by_text("connected", exact=True)).to_be_visible()
        stop_server(own)
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer. What you see stays")
        expect(page.get_by_role("slider", name="Units of hidden layer 2")).to_be_visible()
        page.get_by_role("button", name="Train", exact=True).click()
        expect(page.get_by_text("Is digitlab serve still running?")).to_be_visible()


def test_everything_comes_from_this_server(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for view in VIEWS:
        page.goto(f"{server.url}/{view}")
        page.wait_for_load_state("networkidle")
    foreign = [
        url
        for url in asked
        if not url.startswith((server.url, "data:", "blob:", server.url.replace("http", "ws")))
    ]
    assert (len(asked) > 20, foreign) == (True, [])
