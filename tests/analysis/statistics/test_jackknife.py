"""Pseudo-values: the textbook's standard error, the delta method, and plain loops that leave out a seed."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from digitlab.analysis.statistics.choice import find_bottom
from digitlab.analysis.statistics.intervals import LOG, PLAIN, SHARE
from digitlab.analysis.statistics.jackknife import at_bottom, of_bottom, of_mean, of_statistic, pseudo_values

values = st.lists(st.floats(0.01, 0.99), min_size=2, max_size=12).map(np.array)
X = np.arange(-4.0, 1.0)


def left_out(statistic: Callable[[np.ndarray], float], rows: np.ndarray) -> np.ndarray:
    """The statistic without each row, by a plain loop."""
    return np.array([statistic(np.delete(rows, i, axis=0)) for i in range(len(rows))])


def standard_error(without: np.ndarray) -> float:
    """sqrt((n - 1) / n sum (theta_i - mean)^2): Efron & Tibshirani 1993, equation 11.5."""
    n, total = len(without), 0.0
    for value in without:
        total += (value - sum(without) / n) ** 2
    return math.sqrt((n - 1) / n * total)


def error_of(pseudo: np.ndarray) -> float:
    return float(pseudo.std(ddof=1) / math.sqrt(len(pseudo)))


def curves(seeds: int, spread: float = 0.4) -> np.ndarray:
    """Losses [seed, rate] whose bottoms scatter about -2.2."""
    random = np.random.default_rng(11)
    bottoms = -2.2 + spread * random.standard_normal((seeds, 1))
    return np.asarray(0.1 * np.exp(0.2 * (X - bottoms) ** 2 + 0.02 * random.standard_normal((seeds, len(X)))))


def accuracies(seeds: int) -> np.ndarray:
    random = np.random.default_rng(12)
    return np.asarray(
        0.95 - 0.01 * (X + 2) ** 2 - 0.005 * X + 0.002 * random.standard_normal((seeds, len(X)))
    )


@given(values)
def test_of_a_plain_mean_they_are_the_values(numbers: np.ndarray) -> None:
    assert of_mean(numbers, PLAIN.to) == pytest.approx(numbers)


@given(values, st.sampled_from([SHARE, LOG]))
def test_the_standard_error_is_the_textbook_s(numbers: np.ndarray, scale: object) -> None:
    to = scale.to  # type: ignore[attr-defined]
    found = of_mean(numbers, to)
    assert found.mean() == pytest.approx(float(to(numbers.mean())))
    without = left_out(lambda rows: float(to(rows.mean())), numbers)
    assert error_of(found) == pytest.approx(standard_error(without), abs=1e-9)


def test_of_a_logit_it_is_the_delta_method_s() -> None:
    numbers = 0.97 + 0.002 * np.random.default_rng(3).standard_normal(16)
    mean = numbers.mean()
    delta = numbers.std(ddof=1) / 4 / (mean * (1 - mean))  # d logit p / dp = 1 / (p (1 - p))
    assert error_of(of_mean(numbers, SHARE.to)) == pytest.approx(delta, rel=1e-2)
    assert of_mean(numbers, SHARE.to).mean() == pytest.approx(logit(mean))


@given(st.floats(-5, 5), values)
def test_pseudo_values_have_the_whole_as_their_mean(whole: float, without: np.ndarray) -> None:
    found = pseudo_values(whole, without)
    assert found.mean() == pytest.approx(whole)
    assert error_of(found) == pytest.approx(standard_error(without), abs=1e-12)


@pytest.mark.parametrize("scale", [PLAIN, SHARE], ids=["plain", "logit"])
def test_at_the_bottom_everything_is_recomputed_without_each_seed(scale: object) -> None:
    to, losses, measured = scale.to, curves(7), accuracies(7)  # type: ignore[attr-defined]

    def statistic(chosen: np.ndarray) -> float:
        seeds = chosen.astype(int)
        means = np.log(losses[seeds]).mean(axis=0)
        least = int(np.argmin(means))
        a, b, _ = np.polyfit(X[least - 1 : least + 2], means[least - 1 : least + 2], 2)
        return float(to(np.interp(-b / (2 * a), X, measured[seeds].mean(axis=0))))

    everyone = np.arange(7)
    found = at_bottom(X, losses, measured, to)
    assert found.mean() == pytest.approx(statistic(everyone))
    assert error_of(found) == pytest.approx(standard_error(left_out(statistic, everyone)))


def test_the_choice_makes_the_error_larger_than_that_of_fixed_rates() -> None:
    # Seeds that move the bottom, on a slope of the accuracy: without the choice there is nothing to see.
    losses, measured = curves(9), np.tile(0.9 + 0.01 * X, (9, 1))
    assert error_of(at_bottom(X, losses, measured, PLAIN.to)) > 5e-4
    bottom = find_bottom(X, np.log(losses).mean(axis=0))
    assert error_of(of_mean(measured @ bottom.weights, PLAIN.to)) == pytest.approx(0, abs=1e-12)


def test_of_the_best_rate_itself() -> None:
    losses = curves(6)

    def bottom(rows: np.ndarray) -> float:
        return find_bottom(X, np.log(rows).mean(axis=0)).log2_rate

    found = of_bottom(X, losses)
    assert found.mean() == pytest.approx(bottom(losses))
    assert error_of(found) == pytest.approx(standard_error(left_out(bottom, losses)))


def test_seeds_that_differ_in_the_place_alone_give_their_own_bottoms() -> None:
    bottoms = np.array([-2.3, -1.9, -2.6, -2.1])
    losses = np.exp(0.3 * (X - bottoms[:, None]) ** 2)
    assert of_bottom(X, losses) == pytest.approx(bottoms)  # linear in the means of equal parabolas


def test_a_statistic_of_several_means() -> None:
    rows = np.random.default_rng(4).normal(2, 0.3, (8, 3))
    found = of_statistic(rows, lambda means: float(means.min()))
    assert found.mean() == pytest.approx(rows.mean(axis=0).min())
    without = left_out(lambda some: float(some.mean(axis=0).min()), rows)
    assert error_of(found) == pytest.approx(standard_error(without))


def test_one_seed_is_its_own_value() -> None:
    losses, measured = curves(1), accuracies(1)
    bottom = find_bottom(X, np.log(losses[0]))
    assert of_mean(np.array([0.9]), SHARE.to) == pytest.approx([logit(0.9)])
    assert of_bottom(X, losses).tolist() == [bottom.log2_rate]
    assert at_bottom(X, losses, measured, PLAIN.to) == pytest.approx([bottom.weights @ measured[0]])
    assert of_mean(np.array([]), SHARE.to).shape == (0,)
