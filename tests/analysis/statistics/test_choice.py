"""The choice of a learning rate: exact parabolas, continuity, edges."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from digitlab.analysis.statistics.choice import choose, find_bottom, mean_loss

X = np.arange(-6.0, 3.0)
numbers = st.floats(-3, 3)


def test_the_mean_logarithm_decides() -> None:
    # Means of the logarithms: log 2, log sqrt(1 * 9) = log 3; plain means: 2, 5.
    losses = np.array([[2.0, 1.0], [2.0, 9.0]])
    assert mean_loss(losses) == pytest.approx(np.log([2, 3]))
    assert choose(losses) == 0
    # One that all but breaks does not decide alone: log sqrt(0.1 * 2.3) = log 0.48, below log 0.6.
    assert choose(np.array([[0.6, 0.1], [0.6, 2.3]])) == 1


def test_the_first_of_equal_ones_is_chosen() -> None:
    assert choose(np.ones((3, 4))) == 0
    assert choose(np.array([[math.log(10)]])) == 0


@given(st.floats(0.01, 10), st.floats(-5, 1), numbers, st.integers(3, 9))
def test_the_bottom_of_a_parabola_is_its_vertex(a: float, vertex: float, c: float, count: int) -> None:
    x = X[:count]
    means = a * (x - vertex) ** 2 + c
    found = find_bottom(x, means)
    assert found.log2_rate == pytest.approx(np.clip(vertex, x[0], x[-1]), abs=1e-6)
    if x[0] + 0.51 < vertex < x[-1] - 0.51:
        assert found.edge == ""
    if vertex < x[0] + 0.49:
        assert found.edge == "low"
    if vertex > x[-1] - 0.49:
        assert found.edge == "high"


def test_rates_may_lie_unevenly() -> None:
    x = np.array([-4.0, -3.5, -1.0, 2.0])
    assert find_bottom(x, 0.3 * (x + 2.1) ** 2).log2_rate == pytest.approx(-2.1)


@given(st.lists(numbers, min_size=3, max_size=9))
def test_weights_interpolate_between_the_two_nearest_rates(means: list[float]) -> None:
    x = X[: len(means)]
    found = find_bottom(x, np.array(means))
    assert found.weights.sum() == pytest.approx(1)
    assert (found.weights >= 0).all()
    assert np.count_nonzero(found.weights) <= 2
    assert found.weights @ x == pytest.approx(found.log2_rate)  # linear, so it gives back the place itself
    measured = np.array(means)[::-1] ** 3
    assert found.weights @ measured == pytest.approx(np.interp(found.log2_rate, x, measured))
    least = int(np.argmin(means))
    assert abs(found.log2_rate - x[least]) <= 0.5 + 1e-9


@given(
    st.lists(numbers, min_size=4, max_size=4),
    st.lists(st.floats(0.2, 3), min_size=3, max_size=3),
    st.integers(0, 2),
)
def test_there_is_no_jump_where_another_rate_becomes_the_least(
    means: list[float], gaps: list[float], at: int
) -> None:
    """Of two rates of equal loss either may be called the least, also at an end: the bottom is between."""
    x = np.concatenate([[0.0], np.cumsum(gaps)])
    y = np.array(means)
    y[at] = y[at + 1] = min(means) - 0.1
    before, after = y.copy(), y.copy()
    before[at] -= 1e-10
    after[at + 1] -= 1e-10
    one, other = find_bottom(x, before), find_bottom(x, after)
    assert one.log2_rate == pytest.approx((x[at] + x[at + 1]) / 2, abs=1e-6)
    assert other.log2_rate == pytest.approx(one.log2_rate, abs=1e-6)
    assert other.weights == pytest.approx(one.weights, abs=1e-5)


@given(st.lists(numbers, min_size=5, max_size=5), st.integers(0, 4))
def test_it_moves_little_when_the_means_move_little(means: list[float], at: int) -> None:
    y = np.array(means)
    least = int(np.argmin(y))
    assume(np.diff(np.sort(y))[0] > 1e-3)  # not flat, and no other rate becomes the least
    middle = min(max(least, 1), 3)
    assume(abs(y[middle - 1] + y[middle + 1] - 2 * y[middle]) > 1e-3)  # nor straight at an end
    moved = y.copy()
    moved[at] += 1e-7
    assert find_bottom(X[:5], moved).log2_rate == pytest.approx(find_bottom(X[:5], y).log2_rate, abs=1e-3)


def test_a_curve_that_is_least_at_its_end_has_no_bottom() -> None:
    low, high = find_bottom(X[:3], np.array([1.0, 2.0, 3.0])), find_bottom(X[:3], np.array([3.0, 2.0, 1.0]))
    assert (low.edge, low.log2_rate, low.weights.tolist()) == ("low", X[0], [1, 0, 0])
    assert (high.edge, high.log2_rate, high.weights.tolist()) == ("high", X[2], [0, 0, 1])
    single = find_bottom(X[:1], np.array([1.0]))
    assert (single.edge, single.log2_rate, single.weights.tolist()) == ("low", X[0], [1])


def test_a_rate_that_breaks_every_network_only_bounds_the_bottom() -> None:
    # 0.2, 0.1 and the loss of a guess: the parabola's vertex lies toward the lower rate, within half a step.
    found = find_bottom(X[:3], np.log([0.2, 0.1, math.log(10)]))
    left, right = math.log(0.1 / 0.2), math.log(math.log(10) / 0.1)
    assert found.log2_rate == pytest.approx(X[1] - (left + right) / (2 * (right - left)))
    assert X[1] - 0.5 < found.log2_rate < X[1]
    assert found.weights[2] == 0
