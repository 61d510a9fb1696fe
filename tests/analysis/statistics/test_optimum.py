"""The best rate of a grid: known curves, broken networks, edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.optimum import find_optimum, stability_edge

INF, GUESS = math.inf, math.log(10)
RATES = 2.0 ** np.arange(-6, 3)


def valleys(places: list[float], rates: np.ndarray = RATES) -> np.ndarray:
    """Losses [seed, rate] whose logarithms are parabolas, least at these log2 rates."""
    return np.asarray(0.1 * np.exp(0.1 * (np.log2(rates) - np.array(places)[:, None]) ** 2))


def test_parabolas_are_found_exactly() -> None:
    places = [-2.3, -1.9, -2.6]
    found = find_optimum(RATES, valleys(places))
    assert found.log2 == pytest.approx(places)
    assert found.edge == ""
    expected = mean_interval(places)
    assert np.log2([found.rate.value, found.rate.low, found.rate.high]) == pytest.approx(
        [expected.value, expected.low, expected.high]
    )


@given(st.lists(st.floats(-4, 0), min_size=2, max_size=6), st.integers(-3, 3), st.floats(0.1, 10))
def test_the_optimum_follows_the_rates_and_ignores_the_unit_of_the_loss(
    places: list[float], octaves: int, unit: float
) -> None:
    losses = valleys(places)
    found, moved = find_optimum(RATES, losses), find_optimum(RATES * 2.0**octaves, losses * unit)
    assert moved.edge == found.edge
    assert moved.rate.value == pytest.approx(found.rate.value * 2.0**octaves, rel=1e-6)
    assert moved.rate.low == pytest.approx(found.rate.low * 2.0**octaves, rel=1e-5)


def test_the_grid_s_edge_is_not_an_optimum() -> None:
    low = find_optimum(RATES, valleys([-8.0, -8.2]))
    assert (low.edge, low.rate.low) == ("low", 0.0)
    assert low.rate.value == pytest.approx(RATES[0])
    high = find_optimum(RATES, valleys([4.0, 4.2]))
    assert (high.edge, high.rate.high) == ("high", INF)


def test_one_seed_beyond_the_edge_does_not_make_it_one() -> None:
    found = find_optimum(RATES, valleys([0.5, 0.7, 2.5]))
    assert found.edge == ""
    assert found.rate.value == pytest.approx(2 ** np.mean([0.5, 0.7, 2.5]))
    assert found.rate.has_interval


def test_rates_that_break_bound_the_optimum_and_count_as_guesses() -> None:
    losses = valleys([4.0, 4.2])
    losses[:, -1] = GUESS
    found = find_optimum(RATES, losses)
    assert found.edge == ""  # the edge of stability, not that of the grid
    assert 0.5 < math.log2(found.rate.value) < 1
    losses = valleys([-2.3, -1.9])
    losses[0, :2] = losses[1, 6:] = GUESS
    assert find_optimum(RATES, losses).log2 == pytest.approx([-2.3, -1.9])


def test_nothing_left() -> None:
    found = find_optimum(RATES, np.full((2, len(RATES)), GUESS))
    assert (found.edge, found.rate.low) == ("low", 0)


def test_one_seed_and_two_rates() -> None:
    found = find_optimum(RATES, valleys([-2.3]))
    assert found.rate.value == pytest.approx(2**-2.3)
    assert not found.rate.has_interval
    two = find_optimum(RATES[:2], np.array([[2.0, 1.0], [2.0, 1.0]]))
    assert (two.edge, two.rate.value, two.rate.high) == ("high", pytest.approx(RATES[1]), INF)


def test_stability_edge() -> None:
    rates = np.array([1.0, 2.0, 4.0])
    assert stability_edge(rates, np.array([False, True, True])) == (1.0, 2.0)
    assert stability_edge(rates, np.array([False, True, False])) == (1.0, 2.0)
    assert stability_edge(rates, np.zeros(3, dtype=bool)) == (4.0, INF)
    assert stability_edge(rates, np.ones(3, dtype=bool)) == (0.0, 1.0)
