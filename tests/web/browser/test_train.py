"""Train: networks learn in the page, race, break and say why; the set-up is in the URL."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.web.browser.conftest import Server

pytestmark = pytest.mark.slow
LONG = 120_000
"""Milliseconds until a training on a busy machine has surely ended."""
SHORT = "train_size=2000&epochs=2"


def train(page: Page, server: Server, setup: str) -> None:
    page.goto(f"{server.url}/train?{setup}")
    page.get_by_role("button", name="Train", exact=True).click()


def percent(text: str) -> float:
    found = re.search(r"([\d.]+) %", text)
    assert found, text
    return float(found[1])


def setup_of(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


@pytest.fixture(autouse=True)
def _nothing_trains(context: BrowserContext, server: Server) -> None:
    """Each test begins with an empty list of runs."""
    runs = context.request.get(f"{server.url}/api/live").json()["runs"]
    keys = {"keys": [run["key"] for run in runs]}
    headers = {"Origin": server.url}
    context.request.post(f"{server.url}/api/train/cancel", data=keys, headers=headers)
    for _ in range(100):
        left = context.request.post(f"{server.url}/api/train/clear", data=keys, headers=headers).json()[
            "runs"
        ]
        if not left:
            return
        context.new_page().close()
    raise AssertionError(left)


def test_the_page_opens_with_a_network_that_learns_at_one_press(page: Page) -> None:
    expect(page.get_by_role("slider", name="Units of hidden layer 1")).to_have_attribute(
        "aria-valuenow", "100"
    )
    expect(page.get_by_text("79,510 parameters")).to_be_visible()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".run[data-status=training]")).to_contain_text("784-100-10")
    expect(page.locator(".run")).to_contain_text(re.compile(r"steps/s .* left"))
    expect(page.get_by_role("img", name=re.compile("first layer looks for.*100 images"))).to_be_visible()
    expect(page.locator(".same code").first).to_contain_text("digitlab train")
    page.get_by_role("button", name=re.compile("^Stop: ")).click()
    expect(page.locator(".run[data-status=cancelled]")).to_contain_text("stopped")


@pytest.mark.parametrize(
    ("hidden", "network"), [("none", "784-10"), ("100", "784-100-10"), ("100,100", "784-100-100-10")]
)
def test_the_exercises_three_networks_learn(page: Page, server: Server, hidden: str, network: str) -> None:
    train(page, server, f"hidden={hidden}&learning_rate=0.25&epochs=2&batch_size=100")
    run = page.locator(".run[data-status=done]")
    expect(run).to_contain_text(network, timeout=LONG)
    assert percent(run.locator(".value").nth(1).inner_text()) >= 90
    if network == "784-10":
        expect(page.get_by_role("heading", name=re.compile("The ten templates"))).to_be_visible()
        assert page.locator(".weights .under").inner_text().split() == list("0123456789")
    page.get_by_text("as a table: Validation accuracy").click()
    cells = page.locator("figure[aria-label='Validation accuracy'] tbody tr").last.inner_text()
    assert percent(cells) >= 90


def test_a_race_of_eight_rates_says_who_won_and_why_some_broke(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/train?{SHORT}")
    page.get_by_role("button", name="Race", exact=True).click()
    expect(page.locator(".race .tip")).to_contain_text("wins on this seed", timeout=LONG)
    expect(page.locator(".race circle, .race path")).to_have_count(8)
    worst = page.locator(".run").filter(has_text=re.compile(r"rate 8\b"))
    expect(worst.locator(".why")).to_contain_text("the learning rate 8 is too large")
    expect(page.locator(".race .tip")).to_contain_text("broke; the list says why")
    page.get_by_role("button", name="One seed: repeat the winner 8 times?").click()
    expect(page.locator(".race .tip")).to_contain_text(
        re.compile("8 seeds of one network: .* on average"), timeout=LONG
    )


def test_a_change_while_a_run_trains_starts_another_beside_it(page: Page, server: Server) -> None:
    train(page, server, "epochs=100")
    expect(page.locator(".run[data-status=training]")).to_have_count(1)
    page.get_by_role("slider", name="learning rate").press("ArrowLeft")
    expect(page.locator(".run")).to_have_count(2)
    expect(page.locator(".run[data-faded]")).to_contain_text("1/8")
    page.get_by_role("button", name=re.compile("^Pin: .*1.8")).click()
    expect(page.locator(".run[data-faded]")).to_have_count(0)
    page.get_by_role("button", name="Stop all 2").click()
    expect(page.locator(".run[data-status=cancelled]")).to_have_count(2)
    page.get_by_role("button", name="Clear ended").click()
    expect(page.locator(".run")).to_have_count(1)  # the pinned one


def test_a_reload_and_another_page_find_everything_as_it_was(
    page: Page, context: BrowserContext, server: Server
) -> None:
    train(page, server, "epochs=100&hidden=64")
    expect(page.locator(".run[data-status=training] .value").first).not_to_contain_text("–")
    page.reload()
    expect(page.locator(".run[data-status=training]")).to_contain_text("784-64-10")
    expect(page.get_by_role("slider", name="Units of hidden layer 1")).to_have_attribute(
        "aria-valuenow", "64"
    )
    other = context.new_page()
    other.goto(f"{server.url}/train")
    expect(other.locator(".run[data-status=training]")).to_contain_text("784-64-10")
    other.get_by_role("button", name=re.compile("^Stop: ")).click()
    expect(page.locator(".run[data-status=cancelled]")).to_have_count(1)


def test_the_network_is_built_by_keyboard_and_the_url_holds_it(page: Page, context: BrowserContext) -> None:
    grip = page.get_by_role("slider", name="Units of hidden layer 1")
    grip.press("ArrowUp")
    expect(grip).to_have_attribute("aria-valuenow", "128")
    page.get_by_role("button", name="+ layer").press("Enter")
    assert setup_of(page)["hidden"] == "128,128"
    page.get_by_role("slider", name="Units of hidden layer 2").press("Delete")
    page.get_by_role("checkbox", name="keep learning rate / batch size fixed").press("Space")
    page.get_by_role("slider", name="batch size").press("ArrowRight")
    assert (setup_of(page)["batch_size"], float(setup_of(page)["learning_rate"])) == ("128", 0.16)
    page.get_by_role("textbox", name="learning rate").click(click_count=3)
    page.keyboard.type("1/64")
    page.keyboard.press("Enter")
    assert float(setup_of(page)["learning_rate"]) == 1 / 64
    page.get_by_role("button", name="Copy: link to this set-up").press("Enter")
    link = page.evaluate("navigator.clipboard.readText()")
    other = context.new_page()
    other.goto(link)
    expect(other.get_by_role("slider", name="Units of hidden layer 1")).to_have_attribute(
        "aria-valuenow", "128"
    )
    expect(other.get_by_role("textbox", name="learning rate")).to_have_value("1/64")


def test_a_layer_is_widened_by_dragging(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    grip = page.get_by_role("slider", name="Units of hidden layer 1")
    box = grip.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 2, steps=3)
    page.mouse.up()
    expect(grip).to_have_attribute("aria-valuenow", "200")


def test_the_chart_is_read_by_keyboard(page: Page, server: Server) -> None:
    train(page, server, SHORT)
    expect(page.locator(".run[data-status=done]")).to_have_count(1, timeout=LONG)
    chart = page.get_by_role("application", name=re.compile("^Validation accuracy, 1 curve"))
    chart.press("End")
    expect(chart.locator(".readout")).to_contain_text("step 40")
    chart.press("Home")
    expect(chart.locator("[aria-live]")).to_have_text(re.compile(r"^step 1: 784-100-10 .*[\d.]+ %$"))


def test_what_was_predicted_is_held_against_what_came(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/train?{SHORT}&predict=1")
    button = page.get_by_role("button", name="Train", exact=True)
    expect(button).to_be_disabled()
    page.get_by_label("Where will validation accuracy end?").press("Home")
    expect(page.get_by_text("You say: 0.0 %. Now press Train.")).to_be_visible()
    button.click()
    expect(
        page.get_by_text(re.compile(r"You said 0.0 %, it ended at .*points apart. It learned more"))
    ).to_be_visible(timeout=LONG)


def test_a_curve_is_predicted_by_drawing_it(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/train?{SHORT}&predict=1")
    page.wait_for_load_state("networkidle")  # the presets push what is below them down when they come
    box = page.get_by_role("application", name=re.compile("^Validation accuracy")).bounding_box()
    assert box
    page.mouse.move(box["x"] + 80, box["y"] + 250)
    page.mouse.down()
    page.mouse.move(box["x"] + 250, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"You say: [678]\d"))).to_be_visible()


def test_what_the_server_refuses_is_said_where_it_is_set(page: Page, server: Server) -> None:
    train(page, server, "learning_rate=-1")
    expect(page.get_by_role("alert")).to_contain_text("learning_rate")
    expect(page.get_by_role("textbox", name="learning rate")).to_have_attribute("aria-invalid", "true")


def test_a_phone_trains_by_touch(browser: Browser, server: Server) -> None:
    with browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    ) as context:
        phone = context.new_page()
        phone.goto(server.entry)
        button = phone.get_by_role("button", name="Train", exact=True)
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= 844  # in sight without scrolling
        phone.goto(f"{server.url}/train?{SHORT}")
        button.tap()
        expect(phone.locator(".run[data-status=done]")).to_have_count(1, timeout=LONG)
        assert phone.evaluate("document.documentElement.scrollWidth") == 390
        small = phone.evaluate(
            """[...document.querySelectorAll("main button, main select, main a.chip, nav a")]
               .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44).map((e) => e.textContent)"""
        )
        assert small == []


def test_the_chart_ends_with_what_is_looked_at_and_draw_offers_no_broken_network(
    page: Page, server: Server
) -> None:
    train(page, server, "train_size=2000&epochs=6")
    expect(page.locator(".run[data-status=done]")).to_have_count(1, timeout=LONG)
    train(page, server, f"{SHORT}&learning_rate=4")
    expect(page.locator(".run[data-status=collapsed]")).to_have_count(1, timeout=LONG)
    chart = page.locator("figure[aria-label='Training loss']")
    chart.locator(".plot").focus()
    page.keyboard.press("End")
    expect(chart.locator(".readout b")).to_have_text("step 40")  # of 120 that the older run took
    page.get_by_role("navigation").get_by_role("link", name="Draw").click()
    offered = page.get_by_role("group", name="Networks of this page").get_by_role("button")
    expect(offered).to_have_count(1)
