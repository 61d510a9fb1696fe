"""Takes the pictures of the page for docs/web.md anew: python -m tools.pictures (needs Chromium)."""

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.web.browser.conftest import CHROMIUM, Server, address_of_the_class, start_server, stop_server

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
LARGEST = 200_000
"""Bytes of one picture."""
TRAINED = 600_000
"""Milliseconds until a training on a busy machine has surely ended."""
CELLS = 0.7
"""Share of a study's cells that are known when its picture is taken."""


def main() -> None:
    """Train, Draw, a study that is under way, the class's board, and a phone."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = start_server(Path(folder) / "runs.db", "--classroom")
        address = address_of_the_class(server)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            _train(_page(browser, server, 1280, 1000, "light"), server)
            _draw(_page(browser, server, 1280, 860, "dark"), server)
            _heat_map(_page(browser, server, 1280, 800, "light"), server)
            _board(_page(browser, server, 1280, 1060, "light"), browser, server, address)
            _phone(_page(browser, server, 390, 844, "dark"), server)
        finally:
            browser.close()
            stop_server(server)


def _page(browser: Browser, server: Server, width: int, height: int, scheme: str) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(server.entry)
    return page


def _train(page: Page, server: Server) -> None:
    """A race of learning rates that has ended."""
    page.goto(f"{server.url}/train")
    page.get_by_role("link", name="Learning rate").click()
    page.get_by_role("button", name="Race", exact=True).click()
    page.locator(".race .tip").wait_for(timeout=TRAINED)
    _keep(page, "web-train")


def _draw(page: Page, server: Server) -> None:
    """A seven, and how the race's best reads it."""
    runs = page.request.get(f"{server.url}/api/live").json()["runs"]
    best = max((run for run in runs if run["status"] == "done"), key=lambda run: run["accuracy"] or 0)
    page.goto(f"{server.url}/draw?key={best['key']}")
    page.locator(".bars").first.wait_for()
    box = page.locator(".pad").bounding_box()
    if box is None:
        raise RuntimeError("the canvas is not to be seen")
    seven = [(0.25, 0.22), (0.74, 0.2), (0.62, 0.45), (0.5, 0.66), (0.42, 0.86)]
    first, *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in seven]
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=8)
    page.mouse.up()
    page.wait_for_timeout(1_000)
    _keep(page, "web-draw")


def _heat_map(page: Page, server: Server) -> None:
    """Batch size and learning rate, when most cells are known."""
    page.goto(f"{server.url}/studies/batch-lr?scale=quick")
    page.get_by_role("button", name="Start").click()
    cells = page.locator(".map .cell")
    cells.first.wait_for(timeout=TRAINED)
    count = "(selector) => document.querySelectorAll(selector).length"
    all_of_them = page.evaluate(count, ".map .cell")
    known = '.map .cell:not([data-state="unknown"])'
    page.locator(known).nth(round(CELLS * all_of_them)).wait_for(timeout=TRAINED)
    page.locator(".map").first.scroll_into_view_if_needed()
    _keep(page, "web-study")
    page.get_by_role("button", name="Stop").click()


def _board(page: Page, browser: Browser, server: Server, address: str) -> None:
    """Three visitors at the question how wide a layer should be, each with a seed of their own."""
    page.goto(f"{server.url}/board/wider")
    page.get_by_role("button", name="Bring the class to this question").click()
    for count in range(1, 4):
        visitor = browser.new_context().new_page()
        visitor.goto(address)
        visitor.goto(f"{server.url}/board")
        buttons = visitor.get_by_role("button", name="Train one")
        buttons.first.wait_for()
        for row, button in enumerate(buttons.all(), start=1):
            button.click()
            known = page.locator(f"tbody tr:nth-child({row}) td:nth-child(2):text-is('{count}')")
            known.wait_for(timeout=TRAINED)
        visitor.context.close()
    page.evaluate("scrollTo(0, 0)")
    _keep(page, "web-board")


def _phone(page: Page, server: Server) -> None:
    """The ten templates of a network without hidden layers."""
    page.goto(f"{server.url}/train?hidden=none&epochs=1")
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator(".run[data-selected][data-status=done]").wait_for(timeout=TRAINED)
    page.locator(".layer-card canvas").scroll_into_view_if_needed()
    page.wait_for_timeout(1_500)
    _keep(page, "web-phone")


def _keep(page: Page, name: str) -> None:
    """The picture in 256 colours, which a page of few colours survives."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = FOLDER / f"{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise RuntimeError(f"{path.name}: {path.stat().st_size:,} bytes are too many; show less")
    print(path.name, f"{path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
