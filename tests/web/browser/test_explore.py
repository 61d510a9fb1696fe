"""Studies, runs and comparisons in a real browser: watched, filtered, compared, by mouse and by keyboard alone."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from digitlab import lab
from digitlab.data import Dataset
from digitlab.result import RunResult
from digitlab.store import open_store, rows
from tests.web.browser.conftest import Server, start_server, stop_server
from tests.web.test_explore import answer, from_elsewhere, small_runs

MANY = 50_000


@pytest.fixture(scope="module")
def trained(mnist: Dataset) -> list[RunResult]:
    """Two networks that differ in their seeds, one that diverged, and one that was computed elsewhere."""
    diverged = lab.train(hidden=(8,), steps=20, train_size=200, learning_rate=1e18)
    return [*small_runs(), diverged, from_elsewhere()]


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory, trained: list[RunResult]) -> Iterator[Server]:
    """A server whose store holds these networks and a study that is done."""
    path = tmp_path_factory.mktemp("explored") / "runs.db"
    store = open_store(path)
    answer("parameters", "quick", store)
    store.add(trained)
    store.close()
    server = start_server(path)
    yield server
    stop_server(server)


def entered(browser: Browser, server: Server, **more: object) -> BrowserContext:
    """A visitor who has come in."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **more})  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(server.entry)
    page.close()
    return context


@pytest.fixture
def tab(browser: Browser, explored: Server) -> Iterator[Page]:
    """A page of that server; what it says on the console as an error, or fails at, fails the test."""
    context = entered(browser, explored)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert [fault for fault in faults if "Failed to load resource" not in fault] == []


def test_a_study_is_watched_while_its_heat_map_fills_and_a_cell_is_opened(
    tab: Page, explored: Server
) -> None:
    tab.goto(f"{explored.url}/studies")
    card = tab.get_by_role("article", name="How much data")
    card.get_by_role("button", name="Start: How much data").click()
    card.get_by_role("link", name="Watch its heat map fill").click()
    expect(tab.get_by_role("heading", name="How much data")).to_be_visible()
    expect(tab.get_by_role("button", name="Stop: How much data")).to_be_visible()
    expect(tab.get_by_role("progressbar")).to_be_visible()
    known = tab.locator('.cell:not([data-state="unknown"])')
    expect(known.first).to_be_visible(timeout=120_000)
    known.first.click()
    runs = tab.get_by_role("region", name=re.compile("^Runs: "))
    expect(runs.get_by_text(re.compile("^Mean validation accuracy"))).to_be_visible()
    assert "cell=" in tab.url
    tab.get_by_role("button", name="Stop: How much data").click()
    expect(tab.get_by_role("button", name="Go on: How much data")).to_be_visible(timeout=60_000)
    runs.get_by_role("link", name=re.compile("^seed ")).first.click()
    expect(tab.get_by_role("heading", name="Confusion matrix")).to_be_visible()
    expect(tab.get_by_role("img", name=re.compile(" taken for ")).first).to_be_visible(timeout=60_000)
    tab.go_back()
    expect(tab.get_by_role("region", name=re.compile("^Runs: "))).to_be_visible()


def test_runs_are_filtered_sorted_and_two_of_them_compared(
    tab: Page, explored: Server, trained: list[RunResult]
) -> None:
    tab.goto(f"{explored.url}/runs")
    listed = tab.get_by_role("table").get_by_role("row")
    expect(listed.nth(1)).to_contain_text("784-")
    tab.get_by_role("button", name="diverged").click()
    expect(tab.get_by_role("status").filter(has_text="1 run agrees")).to_be_visible()
    expect(listed.nth(1)).to_contain_text("784-8-10")
    tab.get_by_role("button", name="any outcome").click()
    tab.get_by_label("network", exact=True).fill("784-20-10")
    expect(tab.get_by_role("status").filter(has_text="2 runs agree")).to_be_visible()
    tab.get_by_role("button", name="Sort by test accuracy").click()
    expect(tab.locator('th[aria-sort="descending"]')).to_have_text(re.compile("test accuracy"))
    best = max(trained[:2], key=lambda run: run.metrics.test_accuracy)
    expect(listed.nth(1)).to_contain_text(best.key[:8])
    expect(listed.nth(1)).to_contain_text(f"{100 * best.metrics.test_accuracy:.2f} %")
    for box in tab.get_by_role("checkbox").all():
        box.check()
    tab.get_by_role("link", name="Compare the two").click()
    expect(tab.get_by_role("heading", name="Two runs compared")).to_be_visible()
    expect(tab.get_by_text("The two differ by their seed alone")).to_be_visible()
    expect(tab.get_by_role("img", name=re.compile("^Difference in test accuracy"))).to_be_visible()
    expect(tab.get_by_role("img", name=re.compile("; [AB] reads "))).to_have_count(48)


def test_a_network_that_comes_out_differently_is_told_so(
    tab: Page, explored: Server, trained: list[RunResult]
) -> None:
    key = trained[3].key
    says = tab.get_by_text(
        re.compile("differs from the run in the store: processor was an abacus, is .* here")
    )
    tab.goto(f"{explored.url}/runs/{key}")
    expect(says).to_be_visible()
    tab.get_by_role("link", name="Draw on it").click()
    expect(tab.get_by_role("region", name="784-12-10").get_by_text(re.compile("an abacus"))).to_be_visible()


def test_what_is_left_asks_no_more(tab: Page, explored: Server, trained: list[RunResult]) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    waits = {"says": "training the run again", "progress": 0.5}
    tab.route("**/mistakes?*", lambda route: route.fulfill(status=202, json=waits))
    tab.clock.install()
    tab.goto(f"{explored.url}/runs/{trained[0].key}")
    expect(tab.get_by_text("Training the run again: 50 %")).to_be_visible()
    for _ in range(3):  # it is asked for again and again
        with tab.expect_request("**/mistakes?*"):
            tab.clock.run_for(400)
    tab.get_by_role("link", name="All runs").click()
    tab.get_by_label("network", exact=True).fill("784-20-10")  # taken over a moment after the last letter
    tab.get_by_role("link", name="Studies").click()
    expect(tab.get_by_role("heading", name="Studies")).to_be_visible()
    asked.clear()
    tab.clock.run_for(20_000)
    expect(tab.get_by_role("heading", name="Studies")).to_be_visible()
    assert [url for url in asked if "mistakes" in url or "/api/runs" in url] == []
    assert tab.url == f"{explored.url}/studies"


def test_everything_is_reached_by_the_keyboard_alone(tab: Page, explored: Server) -> None:
    tab.goto(f"{explored.url}/studies/parameters")
    heat_map = tab.get_by_role("application", name=re.compile("^Heat map"))
    heat_map.first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        tab.keyboard.press(key)
    said = tab.locator(".map [aria-live]").first
    expect(said).to_contain_text("validation accuracy")
    tab.keyboard.press("Enter")
    runs = tab.get_by_role("region", name=re.compile("^Runs: "))
    expect(runs).to_be_visible()
    runs.get_by_role("button", name="Close").focus()
    for key in ("Tab", "Tab", "Enter"):  # past the table, which can be scrolled, to its first link
        tab.keyboard.press(key)
    expect(tab.get_by_role("heading", name=re.compile("784-.*rate"))).to_be_visible()
    tab.goto(f"{explored.url}/runs?network=784-20-10")
    boxes = tab.get_by_role("checkbox")
    expect(boxes).to_have_count(2)
    boxes.first.focus()
    tab.keyboard.press("Space")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    tab.get_by_role("link", name="Compare the two").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Two runs compared")).to_be_visible()


def test_nothing_of_these_views_is_closed_to_anybody(
    browser: Browser, explored: Server, trained: list[RunResult]
) -> None:
    a, b, diverged, elsewhere = (run.key for run in trained)
    views = {
        "/studies": "Studies",
        "/studies/parameters": "The other parameters",
        "/runs": "Runs",
        f"/runs/{a}": "784-20-10",
        f"/runs/{diverged}": "784-8-10",
        f"/runs/{elsewhere}": "784-12-10",
        f"/compare?a={a}&b={b}": "Two runs compared",
    }
    for scheme, width in (("light", 1280), ("dark", 390)):
        context = entered(browser, explored, color_scheme=scheme, viewport={"width": width, "height": 800})
        page = context.new_page()
        for path, title in views.items():
            page.goto(f"{explored.url}{path}")
            page.get_by_role("heading", name=title, level=1).wait_for()
            page.wait_for_load_state("networkidle")
            for twin in page.locator("main details > summary").all()[:3]:
                twin.click()
            found = Axe().run(page).response["violations"]
            told = [(it["id"], [node["html"][:200] for node in it["nodes"][:3]]) for it in found]
            assert told == [], (path, scheme)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
        context.close()


def test_of_fifty_thousand_runs_only_those_in_sight_are_in_the_page(
    browser: Browser, tmp_path: Path, trained: list[RunResult]
) -> None:
    path = tmp_path / "many.db"
    fill(path, trained[0])
    server = start_server(path)
    try:
        context = entered(browser, server)
        page = context.new_page()
        page.goto(f"{server.url}/runs?sort=seed")
        expect(page.get_by_text(f"{MANY:,} runs")).to_be_visible()
        expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", str(MANY + 1))
        expect(page.locator("tbody tr").nth(3)).to_contain_text("784-20-10")
        assert page.locator("tbody tr").count() < 100
        page.get_by_role("group", name="List of runs").focus()
        page.keyboard.press("End")
        last = page.locator(f'tr[aria-rowindex="{MANY + 1}"]')
        expect(last).to_contain_text(str(MANY - 1))
        assert page.locator("tbody tr").count() < 100
        context.close()
    finally:
        stop_server(server)


def fill(path: Path, run: RunResult) -> None:
    """A store that lists one run under many seeds, each row intact. Nobody opens them."""
    store = open_store(path)
    store.add([run])
    store.close()
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    usual = dict(connection.execute("SELECT * FROM runs").fetchone())
    with connection:
        connection.execute("DELETE FROM runs")
        connection.executemany(
            f"INSERT INTO runs VALUES ({', '.join(f':{name}' for name in usual)})",  # noqa: S608
            (numbered(usual, seed) for seed in range(MANY)),
        )
    connection.close()


def numbered(usual: dict[str, object], seed: int) -> dict[str, object]:
    row = usual | {"key": f"{seed:064x}", "seed": seed, "test_accuracy": seed % 997 / 1000}
    return row | {"sha256": rows._run_hash(row)}
