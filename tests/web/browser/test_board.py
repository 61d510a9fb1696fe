"""A class: visitors train with seeds of their own, and the board grows surer; the teacher freezes it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.browser.conftest import Server, address_of_the_class, start_server, stop_server

pytestmark = pytest.mark.slow
LONG = 120_000


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server for a class, and the class's address."""
    running = start_server(tmp_path_factory.mktemp("class") / "runs.db", "--classroom")
    yield running, address_of_the_class(running)
    stop_server(running)


def came_in(browser: Browser, address: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(address)
    return page


def test_a_class_repeats_the_experiment(browser: Browser, classroom: tuple[Server, str]) -> None:
    server, address = classroom
    teacher, student, other = (
        came_in(browser, server.entry),
        came_in(browser, address),
        came_in(browser, address),
    )
    teacher.goto(f"{server.url}/board/blank")
    teacher.get_by_role("button", name="Bring the class to this question").click()
    expect(teacher.get_by_text("2 visitors")).to_be_visible()

    for page in (student, other):
        page.goto(f"{server.url}/board")
        expect(page.get_by_role("heading", level=1)).to_have_text("The class's board: Blank")
        page.get_by_role("button", name="Train one: the set-up").click()
    expect(teacher.locator("tbody td").first).to_have_text("2", timeout=LONG)
    expect(teacher.locator("svg.dots circle")).to_have_count(2, timeout=LONG)
    titles = {dot.text_content() for dot in teacher.locator("svg.dots circle title").all()}
    assert len(titles) == 2  # of two visitors, with two seeds
    expect(teacher.locator("tbody td").nth(2)).to_have_text(re.compile(r"\d+\.\d+ % – \d+\.\d+ %"))

    teacher.get_by_role("button", name="Freeze").click()
    expect(student.get_by_text("The teacher has stopped the training for now")).to_be_visible(timeout=15_000)
    expect(student.get_by_role("button", name="Train one: the set-up")).to_be_disabled()
    with teacher.expect_download() as download:
        teacher.get_by_role("button", name="Export (CSV)").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert (lines[0], len(lines)) == ("value,seed,visitor,status,test_accuracy,key", 3)
    for page in (teacher, student, other):
        page.context.close()


def test_no_board_without_a_class(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/board")
    expect(page.get_by_text("start the server with `digitlab serve --classroom`")).to_be_visible()
