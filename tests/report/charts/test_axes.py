"""Where values lie on axes, and what stands beside them."""

import math

import pytest

from digitlab.analysis.findings import Axis, Point
from digitlab.report.charts.axes import in_categories, in_numbers, interval_within, placed

LOG, LINEAR, CATEGORY = Axis("x", "log"), Axis("x"), Axis("x", "category")
SHARE = Axis("x", is_share=True)


def ticks(axis: Axis, values: list[float], most: int = 13) -> list[str]:
    return [label for _, label in in_numbers(axis, values, most_ticks=most).ticks or ()]


def test_powers_of_two_stand_beside_rates_and_batches() -> None:
    rates = [2.0**k for k in range(-9, 4)]
    assert ticks(LOG, rates) == [
        "1/512",
        "1/256",
        "1/128",
        "1/64",
        "1/32",
        "1/16",
        "1/8",
        "1/4",
        "1/2",
        "1",
        "2",
        "4",
        "8",
    ]
    assert ticks(LOG, [2.0**k for k in range(3, 13)], most=5) == ["8", "32", "128", "512", "2048"]


def test_powers_of_ten_stand_beside_sizes() -> None:
    assert ticks(LOG, [500.0, 60_000.0], most=3) == ["1000", "10,000"]
    assert ticks(LOG, [500.0, 60_000.0], most=5) == ["1000", "3000", "10,000", "30,000"]
    assert ticks(Axis("error", "log", is_share=True), [0.016, 0.14], most=5) == ["2 %", "5 %", "10 %"]


@pytest.mark.parametrize("values", [[], [math.nan, math.inf], [-1.0, 0.0], [3.7], [1e-300, 1e300], [5e-324]])
def test_any_values_make_an_axis(values: list[float]) -> None:
    for axis in (LOG, LINEAR):
        placed = in_numbers(axis, values, most_ticks=5)
        low, high = placed.domain
        assert low < high
        assert placed.ticks is None or 0 < len(placed.ticks) <= 5


@pytest.mark.parametrize(
    ("values", "most", "texts"),
    [
        ([0, 1, 2], 6, ["0", "1", "2"]),  # hidden layers: no half of one
        ([0.0, 14.0], 6, ["0", "5", "10"]),
        ([0.0, 14.0], 13, ["0", "2", "4", "6", "8", "10", "12", "14"]),
        ([3.0], 6, ["3"]),
        ([100.0, 100_000.0], 6, ["20,000", "40,000", "60,000", "80,000", "100,000"]),
    ],
)
def test_whole_numbers_get_whole_ticks(values: list[float], most: int, texts: list[str]) -> None:
    assert ticks(LINEAR, values, most) == texts


def test_other_numbers_leave_the_ticks_to_the_chart() -> None:
    assert in_numbers(LINEAR, [0.0, 1.5], most_ticks=6).ticks is None
    assert in_numbers(SHARE, [0.0, 1.0], most_ticks=6).ticks is None


def test_an_axis_holds_what_it_covers() -> None:
    low, high = in_numbers(Axis("x", covers=(0.0, 9.5)), [2.5, 3.5], most_ticks=6).domain
    assert low < 0
    assert high > 9.5


def test_the_interval_of_a_share_stays_between_0_and_1() -> None:
    assert interval_within(SHARE, Point(1.0, 0.98, 0.9, 1.06)) == (0.9, 1.0)
    assert interval_within(SHARE, Point(1.0, 0.02, -0.1, 0.1)) == (0.0, 0.1)
    assert interval_within(LINEAR, Point(1.0, 0.98, 0.9, 1.06)) == (0.9, 1.06)
    assert all(map(math.isnan, interval_within(SHARE, Point(1.0, 0.5))))
    assert in_numbers(SHARE, [0.9, 1.0], most_ticks=6).domain[1] == 1.0
    assert in_numbers(SHARE, [0.01, 0.9], most_ticks=6).domain[0] == 0.0


def test_numbers_between_categories_lie_between_them() -> None:
    placed = in_categories(LOG, [32.0, 8.0, 16.0])
    assert placed.order == (8.0, 16.0, 32.0)
    assert placed.domain == (-0.5, 2.5)
    assert placed.place(16.0) == 1
    assert placed.place(math.sqrt(8 * 16)) == pytest.approx(0.5)
    assert math.isnan(placed.place(64.0))
    assert math.isnan(placed.place(math.nan))
    assert math.isnan(placed.place("8"))


def test_categories_keep_their_order() -> None:
    axis_placed = in_categories(CATEGORY, ["b", "a", "b"])
    assert axis_placed.ticks == ((0.0, "b"), (1.0, "a"))
    assert math.isnan(axis_placed.place("c"))
    assert placed(LINEAR, ["b", 1.0], most_ticks=5).order == ("b", 1.0)


def test_a_log_axis_has_no_place_for_0() -> None:
    placed = in_numbers(LOG, [1.0, 10.0], most_ticks=5)
    assert math.isnan(placed.place(0.0))
    assert placed.place(3.0) == 3.0
    assert placed.clamp(1e9) == placed.domain[1]
