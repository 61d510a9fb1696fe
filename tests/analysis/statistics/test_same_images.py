"""Two networks on the same images, against other libraries' and papers' numbers, and on simulated networks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import xlogy
from scipy.stats import binom

from digitlab.analysis.statistics.same_images import SameImages

counts = st.integers(0, 300)
tables = st.builds(SameImages, counts, counts, counts, counts).filter(lambda table: table.images > 0)


def test_images_are_counted() -> None:
    a, b = np.array([1, 1, 1, 0, 0, 1], bool), np.array([1, 0, 0, 1, 0, 1], bool)
    assert SameImages.of(a, b) == SameImages(both=2, only_a=2, only_b=1, neither=1)
    assert SameImages.of(b, a).difference.value == pytest.approx(1 / 6)


def test_airways_before_and_after_a_transplantation() -> None:
    """Fagerland, Lydersen & Laake 2014 (Statistics in Medicine 33), their first example, by the score method."""
    found = SameImages(both=1, only_a=1, only_b=7, neither=12).difference
    assert [round(end, 3) for end in (found.value, found.low, found.high)] == [0.286, 0.026, 0.517]


@pytest.mark.parametrize("counts", [(1, 1, 7, 12), (794, 150, 86, 570), (43, 0, 1, 0), (5, 2, 0, 9)])
def test_the_ends_are_where_the_score_test_just_rejects(counts: tuple[int, int, int, int]) -> None:
    """The statistic with a likelihood that is maximised by brute force, where only the difference is held."""
    table = SameImages(*counts)
    n, only_a, only_b = table.images, table.only_a, table.only_b
    for end, sign in ((table.difference.low, 1), (table.difference.high, -1)):
        shares = np.linspace(max(0.0, -end), (1 - end) / 2, 2_000_001)[
            1:-1
        ]  # of images that A alone gets right
        log_likelihood = (
            xlogy(only_a, shares)
            + xlogy(only_b, shares + end)
            + xlogy(n - only_a - only_b, 1 - 2 * shares - end)
        )
        share = shares[log_likelihood.argmax()]
        variance = n * (2 * share + end - end**2)
        assert (only_b - only_a - n * end) / math.sqrt(variance) == pytest.approx(sign * 1.959964, abs=1e-3)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"), [(0, 0, 1.0), (1, 0, 1.0), (3, 3, 1.0), (5, 0, 2 / 32), (1, 6, 16 / 128)]
)
def test_the_exact_test_by_hand(only_a: int, only_b: int, p: float) -> None:
    assert SameImages(9, only_a, only_b, 1).p_value == pytest.approx(p, rel=1e-12)


@given(tables)
def test_swapping_the_networks_swaps_the_signs(table: SameImages) -> None:
    swapped = SameImages(table.both, table.only_b, table.only_a, table.neither)
    assert swapped.p_value == pytest.approx(table.p_value)
    assert swapped.difference.value == -table.difference.value
    assert swapped.difference.low == pytest.approx(-table.difference.high)
    assert -1 <= table.difference.low < table.difference.high <= 1
    assert 0 <= table.p_value <= 1


def test_equal_networks_still_have_an_interval() -> None:
    found = SameImages(9_000, 0, 0, 1_000).difference
    assert found.value == 0
    assert 0 < found.high < 0.0004


@pytest.mark.parametrize("shares", [(0.9, 0.02, 0.02), (0.95, 0.004, 0.001), (0.98, 0.0, 0.002)])
def test_intervals_cover_and_the_test_keeps_its_level(shares: tuple[float, float, float]) -> None:
    random, images = np.random.default_rng(3), 2_000
    drawn = random.multinomial(images, [*shares, 1 - sum(shares)], size=2_000)
    truth = shares[2] - shares[1]
    found = [SameImages(*map(int, row)).difference for row in drawn]
    assert 0.925 < np.mean([estimate.low <= truth <= estimate.high for estimate in found]) <= 1.0
    if truth == 0:
        rejected = np.mean([SameImages(*map(int, row)).p_value < 0.05 for row in drawn])
        assert rejected < 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(drawn))


def test_the_p_value_is_the_binomials_on_both_sides() -> None:
    for only_a in range(12):
        probabilities = binom.pmf(np.arange(12), 11, 0.5)
        as_extreme = probabilities <= probabilities[only_a] * (1 + 1e-9)
        assert SameImages(0, only_a, 11 - only_a, 1).p_value == pytest.approx(probabilities[as_extreme].sum())
