"""Many settings against one base: Student, Dunnett, Sidak, limma's formulas, and coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import digamma, polygamma

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.simultaneous import (
    CHAIN,
    SHARED_BASE,
    critical_value,
    moderated,
    simultaneous_intervals,
)

MANY = 1e7
"""Degrees of freedom at which the denominator is a constant."""


# --- The factor ---


@pytest.mark.parametrize("freedom", [1, 2, 4, 9, 30])
@pytest.mark.parametrize("correlation", [CHAIN, SHARED_BASE])
def test_one_difference_has_student_s_factor(freedom: int, correlation: float) -> None:
    assert critical_value(1, freedom, correlation) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-4)


@pytest.mark.parametrize(
    ("count", "published"),
    [(2, 2.212), (3, 2.349), (4, 2.442), (5, 2.511), (9, 2.686)],
)
def test_many_degrees_of_freedom_give_dunnett_s_table(count: int, published: float) -> None:
    """Dunnett 1964, Biometrics 20, 482, table II: two-sided, 95 %, infinite degrees of freedom."""
    assert critical_value(count, MANY, SHARED_BASE) == pytest.approx(published, abs=6e-3)


@pytest.mark.parametrize(("count", "correlation"), [(2, 0.5), (4, 0.5), (3, 0.2), (6, 0.8)])
def test_the_joint_probability_is_scipy_s(count: int, correlation: float) -> None:
    """Of a multivariate normal with this correlation, by SciPy's own integration."""
    shape = np.full((count, count), correlation) + (1 - correlation) * np.eye(count)
    reach = np.full(count, critical_value(count, MANY, correlation))
    inside = stats.multivariate_normal(np.zeros(count), shape).cdf(reach, lower_limit=-reach)
    assert inside == pytest.approx(0.95, abs=1e-3)


@pytest.mark.parametrize("count", [2, 5, 20])
def test_without_correlation_it_is_sidak_s(count: int) -> None:
    alone = 1 - 0.95 ** (1 / count)
    assert critical_value(count, MANY, CHAIN) == pytest.approx(stats.norm.ppf(1 - alone / 2), rel=1e-4)
    assert critical_value(count, 9, CHAIN) == pytest.approx(stats.t.ppf(1 - alone / 2, 9), rel=1e-3)


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 40), st.floats(0, 0.95))
def test_it_lies_between_student_s_and_bonferroni_s(count: int, freedom: int, correlation: float) -> None:
    found = critical_value(count, freedom, correlation)
    assert found > stats.t.ppf(0.975, freedom) * (1 - 1e-3)
    assert found < stats.t.ppf(1 - 0.025 / count, freedom) * (1 + 1e-2)


def test_hundreds_of_settings_and_two_seeds_have_a_factor() -> None:
    assert critical_value(300, 1.0, SHARED_BASE) > critical_value(100, 1.0, SHARED_BASE) > 500


# --- Moderated variances ---


def test_variances_are_drawn_together_by_limma_s_formulas() -> None:
    """fitFDist and squeezeVar of Smyth 2004, section 6.2, step by step."""
    variances, freedom = np.array([0.2, 1.0, 5.0, 0.05]), 6
    e = np.log(variances) - digamma(freedom / 2) + math.log(freedom / 2)
    spread = ((e - e.mean()) ** 2).sum() / 3 - polygamma(1, freedom / 2)
    half = 1.0
    for _ in range(60):  # Newton on the reciprocal, as limma's trigammaInverse does
        value = float(polygamma(1, half))
        half += value * (1 - value / spread) / float(polygamma(2, half))
    prior = math.exp(e.mean() + digamma(half) - math.log(half))
    assert 2 * half < freedom  # below the limit
    expected = (2 * half * prior + freedom * variances) / (2 * half + freedom)
    found, drawn = moderated(variances, freedom)
    assert found == pytest.approx(expected)
    assert drawn == pytest.approx(2 * half + freedom)


def test_what_variances_have_in_common_counts_for_no_more_than_each_own() -> None:
    found, freedom = moderated(np.full(5, 0.3), 4)
    assert found == pytest.approx(np.full(5, 0.3))
    assert freedom == 8
    found, freedom = moderated(np.array([0.3, 0.32, 0.31]), 4)  # closer than chance leaves equal ones
    assert found == pytest.approx([0.305, 0.315, 0.31])
    assert freedom == 8


@pytest.mark.parametrize("variances", [[0.4], [0.1, 0.9], [0.1, 0.0, 0.3, 0.2], []])
def test_few_of_them_and_zeros_are_left_as_they_are(variances: list[float]) -> None:
    found, freedom = moderated(np.array(variances), 7)
    assert (found.tolist(), freedom) == (variances, 7)


@given(st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=12), st.integers(1, 30), st.floats(1e-3, 1e3))
def test_they_move_toward_each_other_and_follow_the_unit(
    numbers: list[float], freedom: int, unit: float
) -> None:
    variances = np.array(numbers)
    found, drawn = moderated(variances, freedom)
    assert freedom <= drawn <= 2 * freedom
    assert np.ptp(np.log(found)) <= np.ptp(np.log(variances)) + 1e-9
    scaled, same = moderated(variances * unit, freedom)
    assert scaled == pytest.approx(found * unit, rel=1e-5)
    assert same == pytest.approx(drawn, rel=1e-4)


def test_the_prior_is_found_again() -> None:
    """Variances drawn from a scaled inverse chi-squared of 12 degrees of freedom about 2."""
    random = np.random.default_rng(8)
    true = 2 * 12 / random.chisquare(12, 4_000)
    variances = true * random.chisquare(20, 4_000) / 20
    found, drawn = moderated(variances, 20)
    assert drawn == pytest.approx(32, rel=0.1)
    assert found == pytest.approx((12 * 2 + 20 * variances) / 32, rel=0.1)


# --- Intervals ---


def test_one_setting_has_student_s_interval() -> None:
    values = np.array([0.3, 0.1, 0.4, 0.2, 0.5])
    (found,) = simultaneous_intervals(values[:, None])
    expected = mean_interval(values)
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high), rel=1e-3
    )


def test_no_interval_without_seeds_or_numbers() -> None:
    assert simultaneous_intervals(np.empty((5, 0))) == ()
    assert str(simultaneous_intervals(np.empty((0, 2)))) == str((Estimate(math.nan), Estimate(math.nan)))
    assert str(simultaneous_intervals(np.array([[1.0, 2.0]]))) == str((Estimate(1.0), Estimate(2.0)))
    first, second = simultaneous_intervals(np.array([[1.0, math.nan], [3.0, 1.0]]))
    assert (first.value, first.has_interval, second.has_interval) == (2, False, False)


def test_differences_that_never_differ_have_an_interval_without_width() -> None:
    found = simultaneous_intervals(np.tile([0.5, 0.0], (4, 1)))
    assert found == (Estimate(0.5, 0.5, 0.5), Estimate(0.0, 0.0, 0.0))


@pytest.mark.parametrize("spreads", [(1.0,) * 6, (0.3, 0.5, 1.0, 1.0, 2.0, 3.0)], ids=["equal", "unequal"])
def test_all_hold_together_in_95_of_100_studies(spreads: tuple[float, ...]) -> None:
    """10 seeds, 6 settings against one base, with what a seed does to all alike."""
    random, repeats, truths = np.random.default_rng(21), 200, np.arange(6) / 10
    held = 0
    for _ in range(repeats):
        shared = random.normal(0, 2, (10, 1))
        base = shared + random.normal(0, 1, (10, 1))
        others = shared + truths + random.normal(0, 1, (10, 6)) * spreads
        found = simultaneous_intervals(others - base)
        held += all(
            interval.low <= truth <= interval.high for interval, truth in zip(found, truths, strict=True)
        )
    # Within three binomial standard errors of 95 %, and no wider than Bonferroni's would be.
    assert held / repeats > 0.95 - 3 * math.sqrt(0.05 * 0.95 / repeats) - 0.01
    assert held / repeats < 0.995
