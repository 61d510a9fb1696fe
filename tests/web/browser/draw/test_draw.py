"""The Draw view in a real browser, on a real server with networks that were trained there."""

import io
import json
import re
import struct
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from digitlab.data import Dataset
from digitlab.data.importing import import_directory
from tests.web.browser.conftest import Server, start_server, stop_server

SEVEN = [(0.25, 0.22), (0.45, 0.2), (0.72, 0.2), (0.66, 0.36), (0.55, 0.55), (0.47, 0.72), (0.42, 0.86)]
"""In shares of the canvas's sides."""
NETWORKS: list[dict[str, Any]] = [
    {"learning_rate": 0.25, "epochs": 2, "validation_size": 10_000},
    {"hidden": [100], "learning_rate": 0.25, "epochs": 2, "validation_size": 10_000},
]
WCAG = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


def asked(server: Server, path: str, body: object = None) -> Any:
    request = urllib.request.Request(  # noqa: S310
        f"{server.url}/api/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


@pytest.fixture(scope="module")
def keys(server: Server) -> str:
    """A linear network and 784-100-10, trained on the page: their keys, as the URL has them."""
    found = [run["key"] for run in asked(server, "train", {"runs": NETWORKS, "title": None})["runs"]]
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        status = {run["key"]: run["status"] for run in asked(server, "live")["runs"]}
        if all(status[key] == "done" for key in found):
            return ",".join(found)
        time.sleep(0.2)
    raise AssertionError(status)


@pytest.fixture
def draw(page: Page, server: Server, keys: str) -> Page:
    """The view with both networks, and their weights there."""
    page.goto(f"{server.url}/draw?key={keys}")
    expect(page.locator(".bars")).to_have_count(2)
    return page


def path_on(page: Page) -> list[tuple[float, float]]:
    box = page.locator(".pad").bounding_box()
    assert box
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]


def draw_seven(page: Page) -> None:
    first, *rest = path_on(page)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def answer_of(page: Page, network: str) -> str:
    """What a network's card says it reads."""
    return page.get_by_label(network, exact=True).locator(".verdict b").inner_text()


def probability(page: Page, network: str, name: str) -> float:
    row = page.get_by_label(network, exact=True).locator(
        "tr", has=page.get_by_role("rowheader", name=name, exact=True)
    )
    return float(row.locator(".number").inner_text())


def photograph(image: np.ndarray) -> bytes:
    """A digit in dark ink on grey paper that is darker at one side, as JPEG."""
    ink = np.asarray(Image.fromarray(image).resize((300, 300), Image.Resampling.BICUBIC)).astype(float) / 255
    paper = np.linspace(150, 225, 640)[None, :] * np.ones((480, 1))
    paper += np.random.default_rng(0).normal(0, 2, paper.shape)
    paper[90:390, 170:470] *= 1 - 0.8 * ink
    content = io.BytesIO()
    Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8)).convert("RGB").save(content, "JPEG", quality=88)
    return content.getvalue()


def test_a_seven_is_drawn_and_read(draw: Page) -> None:
    draw_seven(draw)
    for network in ("784-10", "784-100-10"):
        assert answer_of(draw, network) == "7"
        assert probability(draw, network, "7") > 0.5
        total = sum(probability(draw, network, str(digit)) for digit in range(10))
        assert total == pytest.approx(1, abs=0.006)
    expect(draw.locator(".steps li")).to_have_count(4)
    expect(draw.get_by_role("status").filter(has_text="784-10 reads 7")).to_be_attached()

    draw.get_by_label("as drawn, only made small").check()
    expect(draw).to_have_url(re.compile("way=drawn"))
    draw.get_by_role("button", name="Undo").click()
    expect(draw.locator(".verdict b")).to_have_count(0)
    expect(draw.get_by_text("draw something").first).to_be_visible()


def test_what_is_drawn_stays_while_other_views_are_open(draw: Page) -> None:
    draw_seven(draw)
    draw.get_by_role("link", name="Train", exact=True).click()
    expect(draw.get_by_role("button", name="Train", exact=True)).to_be_visible()
    draw.go_back()
    expect(draw.get_by_label("784-100-10", exact=True).locator(".verdict b")).to_have_text("7")


def test_a_link_opens_a_test_image(page: Page, server: Server, keys: str, mnist: Dataset) -> None:
    page.goto(f"{server.url}/draw?key={keys}&image=17")
    expect(page.locator(".verdict .mark").first).to_be_visible()
    assert int(page.get_by_label("number").input_value()) == 17
    seen = page.locator(".eye canvas").evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0)"
    )
    np.testing.assert_array_equal(np.array(seen).reshape(28, 28), mnist.test.images[17])
    assert answer_of(page, "784-100-10") == str(mnist.test.labels[17])

    page.get_by_text("Where does it fail?").click()
    mistake = page.locator(".mistake").first
    mistake.wait_for(timeout=60_000)
    found = re.match(r"Test image ([\d,]+): (\d), read as (\d)", mistake.get_attribute("aria-label") or "")
    assert found
    mistake.click()
    index = int(found[1].replace(",", ""))
    expect(page).to_have_url(re.compile(f"image={index}\\b"))
    assert int(found[2]) == mnist.test.labels[index] != int(found[3])
    assert answer_of(page, "784-10") == found[3]


def test_a_link_opens_a_test_image_of_the_networks_data_set(
    page: Page, server: Server, mnist: Dataset, tmp_path: Path
) -> None:
    images, labels = mnist.test.images[::-1], mnist.test.labels[::-1]
    for role, part in [("train", slice(0, 2_000)), ("t10k", slice(2_000, 2_100))]:
        count = len(labels[part])
        head = struct.pack(">4i", 0x803, count, 28, 28)
        (tmp_path / f"{role}-images-idx3-ubyte").write_bytes(head + images[part].tobytes())
        (tmp_path / f"{role}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2i", 0x801, count) + labels[part].tobytes()
        )
    import_directory("backwards", tmp_path)
    answer = page.request.post(
        f"{server.url}/api/train",
        data={"runs": [{"data": "backwards", "epochs": 1, "learning_rate": 0.125}]},
        headers={"Authorization": f"Bearer {server.token}"},
    )
    (run,) = answer.json()["runs"]
    page.goto(f"{server.url}/draw?key={run['key']}&image=17")
    expect(page.locator(".verdict .mark").first).to_be_visible()
    seen = page.locator(".eye canvas").evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0)"
    )
    np.testing.assert_array_equal(np.array(seen).reshape(28, 28), images[2_017])


def test_by_keys_alone(draw: Page, mnist: Dataset) -> None:
    pad = draw.locator(".pad")
    for _ in range(30):
        if pad.evaluate("(node) => node === document.activeElement"):
            break
        draw.keyboard.press("Tab")
    draw.keyboard.press("7")
    first = int(np.flatnonzero(mnist.test.labels == 7)[0])
    expect(draw).to_have_url(re.compile(f"image={first}\\b"))
    draw.keyboard.press("ArrowRight")
    second = int(np.flatnonzero(mnist.test.labels == 7)[1])
    expect(draw).to_have_url(re.compile(f"image={second}\\b"))
    expect(draw.get_by_label("784-100-10", exact=True).locator(".verdict b")).to_have_text("7")

    card = draw.get_by_label("784-100-10", exact=True)
    card.get_by_role("button", name="Look inside").focus()
    draw.keyboard.press("Enter")
    units = draw.get_by_role("slider", name="Units of hidden layer 1")
    units.focus()
    draw.keyboard.press("End")
    expect(units).to_have_attribute("aria-valuenow", "100")
    draw.keyboard.press(" ")
    expect(units).to_have_attribute("aria-valuetext", "unit 100, cut")
    expect(card.get_by_text("broken by you")).to_be_visible()
    draw.keyboard.press(" ")
    expect(card.get_by_text("broken by you")).to_have_count(0)

    pad.focus()
    draw.keyboard.press("Delete")
    expect(draw.locator(".verdict b")).to_have_count(0)


def test_a_network_is_broken_and_mended(draw: Page) -> None:
    draw_seven(draw)
    before = [probability(draw, "784-100-10", str(digit)) for digit in range(10)]
    noise = draw.get_by_label("noise on all weights")
    noise.focus()
    draw.keyboard.press("End")
    expect(draw.get_by_text("4.00 × their standard deviation")).to_be_visible()
    for _ in range(8):  # such a network may read a 7 by chance
        draw.get_by_role("button", name="Other noise").click()
        if answer_of(draw, "784-100-10") != "7":
            break
    assert [probability(draw, "784-100-10", str(digit)) for digit in range(10)] != before
    draw.get_by_label("784-100-10", exact=True).get_by_role("button", name="Look inside").click()
    for _ in range(3):
        draw.get_by_role("button", name=re.compile("^Cut unit")).click()
    expect(draw.get_by_text("· 3 cut")).to_be_visible()
    draw.get_by_role("button", name="Mend it all").click()
    expect(draw.get_by_text("broken by you")).to_have_count(0)
    assert [probability(draw, "784-100-10", str(digit)) for digit in range(10)] == before


@pytest.fixture
def phone(browser: Browser, server: Server, keys: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(server.entry)
    page.goto(f"{server.url}/draw?key={keys}")
    expect(page.locator(".bars")).to_have_count(2)
    yield page
    context.close()


def test_a_finger_draws_and_the_page_stays(phone: Page) -> None:
    touch = phone.context.new_cdp_session(phone)
    first, *rest = path_on(phone)
    for kind, points in [
        ("touchStart", [first]),
        *(("touchMove", [point]) for point in rest),
        ("touchEnd", []),
    ]:
        touch.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        )
    expect(phone.get_by_label("784-100-10", exact=True).locator(".verdict b")).to_have_text("7")
    assert phone.evaluate("[scrollY, document.documentElement.scrollWidth - innerWidth]") == [0, 0]


def test_a_photograph_is_read(draw: Page, mnist: Dataset) -> None:
    index = int(np.flatnonzero(mnist.test.labels == 3)[0])
    picture = {"name": "three.jpg", "mimeType": "image/jpeg", "buffer": photograph(mnist.test.images[index])}
    draw.locator("input[type=file]").set_input_files(picture)  # type: ignore[arg-type]
    expect(draw.get_by_label("784-100-10", exact=True).locator(".verdict b")).to_have_text(
        "3", timeout=120_000
    )
    expect(draw.get_by_text("One digit was found")).to_be_visible()
    assert draw.locator(".photo figure img").count() >= 2
    expect(draw.get_by_role("button", name="Mark 1: 3")).to_have_attribute("aria-pressed", "true")


def test_paste_and_drop_and_a_picture_without_a_digit(draw: Page) -> None:
    content = io.BytesIO()
    Image.new("RGB", (300, 200), "white").save(content, "PNG")
    for event, target, field in [("paste", "body", "clipboardData"), ("drop", ".pad", "dataTransfer")]:
        draw.locator(target).evaluate(
            """(node, [event, field, bytes]) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], "blank.png", { type: "image/png" }));
              const kind = event === "paste" ? ClipboardEvent : DragEvent;
              node.dispatchEvent(new kind(event, { [field]: data, bubbles: true, cancelable: true }));
            }""",
            [event, field, list(content.getvalue())],
        )
        expect(draw.get_by_text("no digit found: the picture is blank")).to_be_visible(timeout=120_000)
        draw.get_by_role("button", name="Put the photograph away").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(draw: Page, scheme: str) -> None:
    draw.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    draw_seven(draw)
    draw.get_by_label("784-100-10", exact=True).get_by_role("button", name="Look inside").click()
    draw.get_by_text("A run of the store").click()
    draw.get_by_text("Where does it fail?").click()
    draw.locator(".mistake").first.wait_for(timeout=60_000)
    found = Axe().run(draw, options=WCAG)
    assert found.response["violations"] == [], found.generate_report()


def test_without_any_network_one_is_trained_by_a_press(browser: Browser, tmp_path: Path) -> None:
    server = start_server(tmp_path / "runs.db")
    try:
        page = browser.new_page()
        page.goto(server.entry)
        page.goto(f"{server.url}/draw")
        draw_seven(page)
        page.get_by_role("button", name="Train 784-100-10").click()
        expect(page.get_by_label("784-100-10", exact=True).locator(".verdict b")).to_have_text(
            "7", timeout=120_000
        )
        page.close()
    finally:
        stop_server(server)
