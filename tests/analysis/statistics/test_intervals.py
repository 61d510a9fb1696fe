"""Intervals against SciPy, hand calculation and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest

from digitlab.analysis.statistics.intervals import (
    LOG,
    PLAIN,
    SHARE,
    accuracy_intervals,
    bootstrap_stream,
    complete,
    fit_intervals,
    mean_interval,
    paired_interval,
    t_interval,
    transformed,
    wilson_interval,
)
from digitlab.analysis.statistics.jackknife import of_mean

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12)


def test_mean_by_hand() -> None:
    # 1, 2, 3, 4, 5: mean 3, variance 2.5, standard error sqrt(0.5); t(0.975, 4) = 2.776445 from the tables.
    found = mean_interval([1, 2, 3, 4, 5])
    assert found.value == 3
    assert found.high - 3 == pytest.approx(2.776445 * math.sqrt(0.5), rel=1e-6)
    assert 3 - found.low == pytest.approx(found.high - 3)


@given(values)
def test_mean_is_scipy_s(numbers: list[float]) -> None:
    if np.std(numbers) < 1e-6:
        return
    found = mean_interval(numbers)
    low, high = stats.t.interval(0.95, len(numbers) - 1, np.mean(numbers), stats.sem(numbers))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)


@given(values, st.integers(-100, 100), st.sampled_from([-4.0, 0.5, 8.0]))
def test_mean_follows_shift_and_scale(numbers: list[float], shift: int, scale: float) -> None:
    found = mean_interval(numbers)
    moved = mean_interval([scale * number + shift for number in numbers])
    ends = sorted([scale * found.low + shift, scale * found.high + shift])
    assert [moved.low, moved.high] == pytest.approx(ends, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("numbers", [[], [1.5], [1.0, math.nan], [1.0, math.inf]])
def test_no_interval_without_two_finite_values(numbers: list[float]) -> None:
    found = mean_interval(numbers)
    assert not found.has_interval
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.value == 1.5 or numbers != [1.5]


def test_equal_values_have_an_interval_without_width() -> None:
    found = mean_interval([0.5, 0.5, 0.5])
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_pairs_take_out_what_they_share() -> None:
    shared = np.array([0.0, 10.0, -20.0, 5.0])
    a, b = shared + np.array([1.0, 1.1, 0.9, 1.0]), shared
    found, apart = paired_interval(a, b), mean_interval(a)
    assert found.value == pytest.approx(1.0)
    assert found.high - found.low < 0.5 < apart.high - apart.low
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert not paired_interval([1.0, math.inf], [2.0, math.inf]).has_interval


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_shares_and_their_intervals_stay_between_0_and_1(shares: list[float]) -> None:
    found = transformed(mean_interval(of_mean(np.array(shares), SHARE.to)), SHARE.back)
    assert 0 < found.value < 1
    assert found.value == pytest.approx(np.clip(np.mean(shares), 5e-5, 1 - 5e-5), abs=1e-9)
    if len(shares) > 1:
        assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.lists(st.floats(1e-9, 1e3), min_size=2, max_size=12))
def test_logarithms_keep_intervals_above_0(losses: list[float]) -> None:
    found = transformed(mean_interval(of_mean(np.array(losses), LOG.to)), LOG.back)
    assert 0 <= found.low <= found.value <= found.high
    assert found.value == pytest.approx(np.mean(losses))


@given(st.floats(1e-4, 1 - 1e-4))
def test_scales_go_there_and_back(share: float) -> None:
    for scale in (SHARE, LOG, PLAIN):
        assert scale.back(float(scale.to(np.array(share)))) == pytest.approx(share)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert t_interval(0.0, 1.0, 1e9).high == pytest.approx(1.959964, abs=1e-5)


def test_fit_of_a_mean_is_its_interval() -> None:
    # A fit of one constant to curves of one point is the mean.
    curves = np.array([[1.0], [2.0], [4.0]])
    (found,) = fit_intervals(curves.mean(axis=0), np.ones((1, 1)), curves)
    assert found == mean_interval([1.0, 2.0, 4.0])


def test_fit_of_a_line_is_the_mean_of_each_seed_s_line() -> None:
    # A linear fit to the mean is the mean of linear fits, so the delta method is exact.
    x = np.array([0.0, 1.0, 2.0, 5.0])
    curves = np.random.default_rng(0).normal(size=(5, 4)) + 2 * x
    jacobian = np.stack([np.ones_like(x), x], axis=1)
    lines = np.array([np.polyfit(x, curve, 1)[::-1] for curve in curves])
    found = fit_intervals(lines.mean(axis=0), jacobian, curves)
    for estimate, of_seeds in zip(found, lines.T, strict=True):
        expected = mean_interval(of_seeds)
        assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))


def test_rows_with_gaps_are_left_out() -> None:
    rows = np.array([[1.0, 2.0], [math.nan, 2.0], [1.0, math.inf]])
    np.testing.assert_array_equal(complete(rows), [[1.0, 2.0]])


def test_bootstrap_streams_repeat_and_differ() -> None:
    draw = bootstrap_stream("depth").random()
    assert draw == bootstrap_stream("depth").random()
    assert draw != bootstrap_stream("width").random()


@settings(max_examples=50)
@given(st.integers(1, 12_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilson_s_interval_is_scipy_s(trials: tuple[int, int]) -> None:
    hits, count = trials
    expected = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    found = wilson_interval(hits, count)
    assert (found.low, found.value, found.high) == pytest.approx(
        (expected.low, hits / count, expected.high), abs=1e-9
    )


def test_without_trials_there_is_no_share() -> None:
    assert math.isnan(wilson_interval(0, 0).value)
    assert not wilson_interval(0, 0).has_interval


def test_accuracies_of_a_confusion_matrix() -> None:
    found = accuracy_intervals([[9, 1], [2, 3]])
    assert [estimate.value for estimate in found] == pytest.approx([12 / 15, 9 / 10, 3 / 5])
    assert found[1] == wilson_interval(9, 10)
