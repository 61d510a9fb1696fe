"""Where values lie on axes, and what stands beside them."""

import math

import pytest

from digitlab.analysis.findings import Axis
from digitlab.report.charts.axes import in_categories, in_numbers, placed

LOG, LINEAR, CATEGORY = Axis("x", "log"), Axis("x"), Axis("x", "category")


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
