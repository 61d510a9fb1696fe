"""The best rate of a grid: known curves, broken cells, edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab.analysis.statistics.choice import choose
from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.optimum import find_optimum, stability_edge

NAN, INF = math.nan, math.inf
RATES = 2.0 ** np.arange(-6, 3)


def parabolas(places: list[float], rates: np.ndarray = RATES) -> np.ndarray:
    """Losses [seed, rate], least at these log2 rates."""
    return np.asarray(0.1 + 0.01 * (np.log2(rates) - np.array(places)[:, None]) ** 2)


def test_the_least_mean_loss_is_chosen() -> None:
    assert choose(np.array([[3.0, 1.0, 2.0], [3.0, 2.5, 1.0]])) == 2
    assert choose(np.array([[3.0, 1.0, 0.1], [3.0, 1.0, NAN]])) == 1  # a seed broke
    assert choose(np.array([[3.0, INF, 0.1], [NAN, 1.0, 0.1]])) == 2
    assert choose(np.array([[3.0, NAN], [NAN, 1.0]])) is None
    assert choose(np.empty((0, 3))) is None


def test_parabolas_are_found_exactly() -> None:
    places = [-2.3, -1.9, -2.6]
    found = find_optimum(RATES, parabolas(places))
    assert found.seed_optima == pytest.approx(places)
    assert found.edge == ""
    expected = mean_interval(places)
    assert np.log2([found.rate.value, found.rate.low, found.rate.high]) == pytest.approx(
        [expected.value, expected.low, expected.high]
    )


def test_a_cubic_is_found_exactly() -> None:
    # Its derivative is (x - 1)(x + 5), so for x above -5 it is least at 1; here x = log2 rate + 2.
    x = np.log2(RATES) + 2
    losses = np.stack([x**3 / 3 + 2 * x**2 - 5 * x] * 2)
    assert find_optimum(RATES, losses).seed_optima == pytest.approx([-1.0, -1.0])


def test_a_steep_right_side_does_not_pull_the_optimum() -> None:
    x = np.log2(RATES)
    losses = 0.06 + 0.02 * 2 ** (-0.7 * x) + 0.01 * 2 ** (1.3 * x)
    truth = math.log2(0.02 * 0.7 / (0.01 * 1.3)) / 2
    assert find_optimum(RATES, losses[None]).seed_optima[0] == pytest.approx(truth, abs=0.05)


@given(st.lists(st.floats(-4, 0), min_size=2, max_size=6), st.integers(-3, 3), st.floats(-5, 5))
def test_optimum_follows_the_rates_and_ignores_a_constant(
    places: list[float], octaves: int, constant: float
) -> None:
    losses = parabolas(places)
    found = find_optimum(RATES, losses)
    moved = find_optimum(RATES * 2.0**octaves, losses + constant)
    assert moved.edge == found.edge
    assert moved.rate.value == pytest.approx(found.rate.value * 2.0**octaves, rel=1e-6)
    assert moved.rate.low == pytest.approx(found.rate.low * 2.0**octaves, rel=1e-5)


def test_the_grid_s_edge_is_not_an_optimum() -> None:
    low = find_optimum(RATES, parabolas([-8.0, -8.2]))
    assert (low.edge, low.rate.low) == ("low", 0.0)
    assert low.rate.value == pytest.approx(RATES[0])
    high = find_optimum(RATES, parabolas([4.0, 4.2]))
    assert (high.edge, high.rate.high) == ("high", INF)


def test_one_seed_at_the_edge_opens_the_interval() -> None:
    found = find_optimum(RATES, parabolas([0.5, 0.7, 2.5]))
    assert found.edge == ""
    assert found.rate.high == INF
    assert found.rate.low > 0


def test_the_edge_of_stability_is_not_an_edge_of_the_grid() -> None:
    losses = parabolas([4.0, 4.2])
    losses[0, -1] = NAN
    found = find_optimum(RATES, losses)
    assert found.edge == ""
    assert found.seed_optima[0] == pytest.approx(1.0)


def test_broken_cells_are_left_out() -> None:
    losses = parabolas([-2.3, -1.9])
    losses[0, :2] = NAN
    losses[1, 6:] = INF
    assert find_optimum(RATES, losses).seed_optima == pytest.approx([-2.3, -1.9])


@pytest.mark.parametrize("jump", [1.0, 2.3, 1e21, INF])
def test_a_jump_at_the_edge_of_stability_counts_as_broken(jump: float) -> None:
    losses = parabolas([-0.2, -0.3])
    losses[:, 7:] = jump
    broken = losses.copy()
    broken[:, 7:] = NAN
    assert find_optimum(RATES, losses) == find_optimum(RATES, broken)


def test_nothing_left() -> None:
    found = find_optimum(RATES, np.full((2, len(RATES)), NAN))
    assert math.isnan(found.rate.value)
    assert not found.rate.has_interval
    assert found.edge == ""
    assert np.isnan(found.seed_optima).all()


def test_one_seed_and_two_rates() -> None:
    found = find_optimum(RATES, parabolas([-2.3]))
    assert found.rate.value == pytest.approx(2**-2.3)
    assert not found.rate.has_interval
    two = find_optimum(RATES[:2], np.array([[2.0, 1.0], [2.0, 1.0]]))
    assert (two.edge, two.rate.value) == ("high", RATES[1])


def test_stability_edge() -> None:
    rates = np.array([1.0, 2.0, 4.0])
    assert stability_edge(rates, np.array([[False, False, True], [False, True, False]])) == (1.0, 2.0)
    assert stability_edge(rates, np.zeros((2, 3), dtype=bool)) == (4.0, INF)
    assert stability_edge(rates, np.ones((2, 3), dtype=bool)) == (0.0, 1.0)
