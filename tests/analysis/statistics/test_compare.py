"""Comparisons: accuracy differences on new seeds and images, verdicts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.compare import crossed_bootstrap, crossed_interval, is_close, judge
from digitlab.analysis.statistics.intervals import bootstrap_stream, mean_interval


def two_networks(seeds: int, images: int, gap: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Whether images are right: seed effects with this spread, no image is harder than another."""
    random = np.random.default_rng(7)
    chances = 0.9 + random.normal(0, spread, (seeds, 1))
    a, b = random.random((2, seeds, images))
    return a < chances + gap, b < 0.9


# --- Verdicts ---


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.1, 0.1, "practically equal"),
        (0.01, 0.1, "practically equal"),  # excludes 0, yet too small to matter
        (-0.2, 0.2, "practically equal"),
        (0.1, 0.3, "better"),
        (-0.3, -0.1, "worse"),
        (-0.1, 0.3, "no clear difference"),
        (0.0, 0.3, "no clear difference"),
        (math.nan, math.nan, "no clear difference"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert judge(Estimate((low + high) / 2, low, high), margin=0.2) == verdict


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_what_is_not_close_comes_out_again_nine_times_in_ten(sign: int, value: float) -> None:
    """Of a repeat nothing is known but the first estimate: it is normal around it, of twice the variance."""
    half = stats.norm.ppf(0.975)
    away = half + stats.norm.ppf(0.9) * math.sqrt(2)  # standard errors

    def at(distance: float) -> Estimate:
        middle = value + sign * distance
        return Estimate(middle, middle - half, middle + half)

    assert stats.norm.sf(half, loc=away, scale=math.sqrt(2)) == pytest.approx(0.9)
    assert is_close(at(away - 0.001), value)
    assert not is_close(at(away + 0.001), value)
    assert not is_close(at(half - 0.001), value)  # not excluded at all
    assert not is_close(Estimate(value + sign), value)  # no interval


def test_only_the_side_that_faces_the_value_counts() -> None:
    assert not is_close(Estimate(2.0, 1.0, 9.0))
    assert is_close(Estimate(2.0, 0.5, 2.1))


# --- Accuracy on new seeds and new images ---


def test_seeds_decide_where_they_differ_much() -> None:
    # With 20,000 images and seeds spread by 0.03, the interval is that of the seeds' means.
    a, b = two_networks(seeds=6, images=20_000, gap=0.0, spread=0.03)
    found, of_seeds = crossed_interval(a, b), mean_interval(a.mean(axis=1) - b.mean(axis=1))
    assert (found.low, found.high) == pytest.approx((of_seeds.low, of_seeds.high), rel=0.02, abs=1e-4)


def test_images_decide_where_seeds_agree() -> None:
    # Seeds all alike: the interval is that of one seed's images.
    random = np.random.default_rng(0)
    row = random.random((2, 1, 5_000)) < 0.95
    a, b = np.repeat(row, 4, axis=1)
    found = crossed_interval(a, b)
    differences = row[0, 0].astype(float) - row[1, 0]
    assert found.value == pytest.approx(differences.mean())
    assert found.high - found.value == pytest.approx(1.96 * stats.sem(differences), rel=2e-3)


def test_variance_is_the_sum_of_its_parts() -> None:
    # Two seeds, two images by hand: differences 1, 0 / 0, 0. Seeds' means 0.5, 0: variance 0.125, part 0.0625;
    # images' the same; the rest ± 0.25, squares sum to 0.25, part 0.0625; so images add nothing of their own.
    a = np.array([[True, False], [False, False]])
    found = crossed_interval(a, np.zeros_like(a))
    assert found.value == 0.25
    assert found.high - 0.25 == pytest.approx(12.7062 * math.sqrt(0.0625), rel=1e-5)


def test_bootstrap_and_its_closed_form_are_alike() -> None:
    a, b = two_networks(seeds=10, images=5_000, gap=0.02, spread=0.01)
    found = crossed_bootstrap(a, b, stream=bootstrap_stream("test"))
    exact = crossed_interval(a, b)
    assert found.value == pytest.approx(exact.value)
    assert 0.7 < (found.high - found.low) / (exact.high - exact.low) < 1.3


def test_bootstrap_s_spread_is_that_of_resampled_arrays() -> None:
    # The plain way: take rows and columns with repetition.
    a, b = two_networks(seeds=4, images=60, gap=0.0, spread=0.05)
    random = np.random.default_rng(0)
    difference = a.astype(float) - b
    means = [difference[random.integers(0, 4, 4)][:, random.integers(0, 60, 60)].mean() for _ in range(4_000)]
    found = crossed_bootstrap(a, b, resamples=4_000, stream=bootstrap_stream("test"))
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)


def test_bootstrap_repeats() -> None:
    a, b = two_networks(seeds=3, images=500, gap=0.02, spread=0.01)
    first, second = (crossed_bootstrap(a, b, resamples=100, stream=bootstrap_stream("x")) for _ in range(2))
    assert first == second


@given(st.integers(2, 5), st.integers(2, 40), st.integers(0, 99))
def test_turning_the_comparison_round_turns_the_interval(seeds: int, images: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).random((2, seeds, images)) < 0.8
    forwards, backwards = crossed_interval(a, b), crossed_interval(b, a)
    assert (forwards.value, forwards.low, forwards.high) == pytest.approx(
        (-backwards.value, -backwards.high, -backwards.low)
    )


def test_equal_networks_and_single_seeds() -> None:
    a = np.random.default_rng(0).random((3, 50)) < 0.9
    assert crossed_interval(a, a) == Estimate(0.0, 0.0, 0.0)
    single = crossed_interval(a[:1], ~a[:1])
    assert single.value == pytest.approx(2 * a[0].mean() - 1)
    assert not single.has_interval
