"""Clusters: intervals for new writers by hand, on new writers drawn anew, and against independent images."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.clusters import (
    ACCURACY_FACTORS,
    DIFFERENCE_FACTORS,
    design_factor,
    new_images_note,
    series_interval,
    writers_interval,
)
from digitlab.analysis.statistics.compare import crossed_interval

PROJECT = Path(__file__).parents[3]
REPETITIONS = 300
UNEQUAL = np.repeat(np.arange(5), [1, 2, 3, 4, 10])


def made(
    random: np.random.Generator,
    seeds: int,
    counts: np.ndarray,
    *,
    sd_seed: float,
    sd_writer: float,
    sd: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Values of mean 0 with known parts of variance: of seeds, of writers, of images; and the writers."""
    writer = np.repeat(np.arange(len(counts)), counts)
    values = (
        random.normal(0, sd_seed, (seeds, 1))
        + random.normal(0, sd_writer, len(counts))[writer]
        + random.normal(0, sd, (seeds, len(writer)))
    )
    return values, writer


# --- exactness ---


def test_the_interval_by_hand() -> None:
    # Writers of 2 and 1 images, 2 seeds. Values 1, 1 | 0 and 1, 0 | 0: means 2/3 and 1/3, in all 1/2.
    # Totals less the mean times the images: 2/3, -2/3 and 1/3, -1/3; times 2 writers / 3 images, on the mean:
    # cells 10/9, 2/9 and 5/9, 1/9. Seeds' means 2/3, 1/3: variance 1/18, part 1/36. Writers' 5/6, 1/6: variance
    # 2/9, part 1/9. The rest ± 1/9, squares sum to 4/81, part 1/81. In all 1/36 + 1/9 - 1/81 = 41/324.
    values = np.array([[1, 1, 0], [1, 0, 0]])
    found = writers_interval(values, np.array([7, 7, 3]))
    of_seeds, of_writers = 1 / 36, 1 / 9 - 1 / 81
    freedom = (of_seeds + of_writers) ** 2 / (of_seeds**2 + of_writers**2)
    assert found.value == pytest.approx(1 / 2)
    assert of_seeds + of_writers == pytest.approx(41 / 324)
    assert found.high - 0.5 == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(41 / 324))


def test_with_one_image_a_writer_it_is_the_interval_over_images() -> None:
    right = np.random.default_rng(1).random((4, 60)) < np.linspace(0.2, 1, 60)
    found, of_images = writers_interval(right, np.arange(60)[::-1]), crossed_interval(right, right & False)
    assert (found.value, found.low, found.high) == pytest.approx(
        (of_images.value, of_images.low, of_images.high)
    )


def test_where_seeds_agree_it_is_the_ratio_estimator_of_survey_sampling() -> None:
    # Cochran 1977, eq. 6.12 without the finite population: v = sum (y - R x)^2 / (n (n - 1) mean(x)^2).
    random = np.random.default_rng(2)
    row = (random.random(20) < 0.7).astype(float)
    values = np.repeat(row[None], 6, axis=0)
    sizes = np.bincount(UNEQUAL)
    totals = np.array([row[writer == UNEQUAL].sum() for writer in range(5)])
    ratio = totals.sum() / sizes.sum()
    variance = ((totals - ratio * sizes) ** 2).sum() / (5 * 4 * sizes.mean() ** 2)
    found = writers_interval(values, UNEQUAL)
    assert found.value == pytest.approx(ratio)
    assert found.high - ratio == pytest.approx(stats.t.ppf(0.975, 4) * math.sqrt(variance))


def test_where_writers_are_alike_seeds_decide() -> None:
    values = np.array([[0.3], [0.5], [0.4]]) + np.zeros((3, 20))
    found = writers_interval(values, UNEQUAL)
    low, high = stats.t.interval(0.95, 2, 0.4, stats.sem([0.3, 0.5, 0.4]))
    assert (found.value, found.low, found.high) == pytest.approx((0.4, low, high))


def test_a_difference_of_kinds_is_that_of_two_independent_means() -> None:
    # Seeds alike, writers of one image each, as many of either kind: Student's two samples, pooled.
    row = np.random.default_rng(4).normal(0, 1, 40)
    row[:20] += 0.5
    found = series_interval(np.repeat(row[None], 3, axis=0), np.arange(40), np.arange(40) < 20)
    a, b = row[:20], row[20:]
    # Both kinds' deviations, each from its own mean, over 39 degrees of freedom where two samples leave 38.
    error = math.sqrt((a.var() + b.var()) / 20 * 40 / 39)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 39) * error)
    pooled = stats.ttest_ind(a, b).confidence_interval(0.95)
    assert found.high - found.low == pytest.approx(pooled.high - pooled.low, rel=0.03)


@given(st.integers(0, 999), st.integers(2, 5))
def test_neither_order_nor_names_of_writers_matter(seed: int, seeds: int) -> None:
    random = np.random.default_rng(seed)
    values, order = random.random((seeds, 20)), random.permutation(20)
    names = random.permutation(1_000)[:5]
    first = UNEQUAL < 2
    pairs = [
        (writers_interval(values, UNEQUAL), writers_interval(values[:, order], names[UNEQUAL[order]])),
        (
            series_interval(values, UNEQUAL, first),
            series_interval(values[:, order], names[UNEQUAL[order]], first[order]),
        ),
    ]
    for one, other in pairs:
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    turned = series_interval(values, UNEQUAL, ~first)
    assert (turned.value, turned.low) == pytest.approx((-pairs[1][0].value, -pairs[1][0].high))
    assert writers_interval(values, UNEQUAL).value == pytest.approx(values.mean())


def test_one_seed_or_one_writer_has_no_interval() -> None:
    values = np.random.default_rng(0).random((3, 6))
    assert not writers_interval(values[:1], np.array([1, 1, 2, 2, 3, 3])).has_interval
    assert not writers_interval(values, np.zeros(6, int)).has_interval
    assert writers_interval(np.ones((3, 6)), np.array([1, 1, 2, 2, 3, 3])) == Estimate(1.0, 1.0, 1.0)


# --- on repetition ---


@pytest.mark.parametrize(("sd_seed", "sd_writer", "seeds"), [(0.05, 0.3, 5), (0.1, 0.0, 5), (0.05, 0.1, 10)])
def test_intervals_hold_the_truth_about_95_times_in_100(sd_seed: float, sd_writer: float, seeds: int) -> None:
    """The truth, 0, is that of new seeds and new writers; benchmarks/writers.py repeats it more often."""
    random = np.random.default_rng(5)
    covered = np.zeros(3)
    for _ in range(REPETITIONS):
        values, writer = made(
            random, seeds, random.integers(1, 30, 40), sd_seed=sd_seed, sd_writer=sd_writer, sd=1.0
        )
        found = (
            writers_interval(values, writer),
            series_interval(values, writer, writer % 2 == 0),
            crossed_interval(values, np.zeros_like(values)),
        )
        covered += [estimate.low <= 0 <= estimate.high for estimate in found]
    new_writers, kinds, new_images = covered / REPETITIONS
    margin = 3 * math.sqrt(0.95 * 0.05 / REPETITIONS)  # binomial
    assert abs(new_writers - 0.95) < margin
    assert abs(kinds - 0.95) < margin
    if sd_writer == 0.3:  # what this module is for: images by one writer are alike
        assert new_images < 0.95 - 2 * margin


# --- the design factor ---


def test_the_design_factor_by_hand() -> None:
    # Two writers of two images, all right or all wrong: p = 1/2, binomial variance 1/16 (with n, not n - 1).
    # Cells 1 and 0: variance of their mean (1/2) / 2 = 1/4. Four times: 2 images of each writer count as one,
    # and two writers' variance has n - 1 = 1 in its divisor.
    assert design_factor(np.array([[1, 1, 0, 0]]), np.array([0, 0, 1, 1])) == pytest.approx(4.0)


def test_the_design_factor_is_kish_s() -> None:
    # Equal clusters of m images with correlation rho: 1 + (m - 1) rho (Kish 1965).
    random = np.random.default_rng(6)
    rho, images = 0.2, 20
    values, writer = made(
        random, 1, np.full(20_000, images), sd_seed=0.0, sd_writer=math.sqrt(rho), sd=math.sqrt(1 - rho)
    )
    assert design_factor(values, writer) == pytest.approx(1 + (images - 1) * rho, rel=0.03)


def test_the_design_factor_is_1_where_writers_are_alike() -> None:
    right = np.random.default_rng(7).random((3, 60_000)) < 0.9
    assert design_factor(right, np.arange(60_000) // 20) == pytest.approx(1.0, abs=0.05)
    assert math.isnan(design_factor(np.ones((2, 4)), np.array([0, 0, 1, 1])))
    assert math.isnan(design_factor(right, np.zeros(60_000, int)))


def test_the_note_says_how_much_too_narrow() -> None:
    note = new_images_note((2.25, 4.0))
    assert "images by one writer are alike" in note
    assert "too narrow by a factor of 1.5 to 2.0, as measured" in note
    assert "by a factor of 1.0 to 1.6" in new_images_note()


def test_the_factors_are_those_that_were_measured() -> None:
    measured = json.loads((PROJECT / "benchmarks" / "results" / "writers.json").read_text())
    for kind, stated in (("networks", ACCURACY_FACTORS), ("differences", DIFFERENCE_FACTORS)):
        factors = [
            factor
            for found in measured[kind].values()
            for factor in (*found["factors"], found["factor_of_mean"])
        ]
        assert (round(min(factors), 1), round(max(factors), 1)) == stated
