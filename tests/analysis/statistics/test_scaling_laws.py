"""Laws of the best rate over the batch size: known laws are found again, told apart, or not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.scaling_laws import LAWS, best_law, exponent, fit_laws, local_exponents

BATCHES = 2.0 ** np.arange(2, 13, 2)
SPREAD = np.array([-0.3, 0.1, 0.2])[:, None]
TRUTHS = {
    "linear": 0.002 * BATCHES,
    "square root": 0.02 * np.sqrt(BATCHES),
    "saturating": 2.0 / (1 + 400 / BATCHES),
}


def scattered(rates: np.ndarray, seeds: int = 6, spread: float = 0.2) -> np.ndarray:
    return np.asarray(np.log2(rates) + np.random.default_rng(1).normal(0, spread, (seeds, len(rates))))


@pytest.mark.parametrize("name", TRUTHS)
def test_an_exact_law_is_found_again(name: str) -> None:
    fits = fit_laws(BATCHES, np.log2(TRUTHS[name]) + SPREAD)
    # A linear law is the limit of the saturating one: either may come first.
    fit = next(fit for fit in fits if fit.law == name)
    assert fit.left_out_error == pytest.approx(0, abs=1e-3)
    assert fit.residual == pytest.approx(0, abs=1e-3)
    assert fit.predicted == pytest.approx(TRUTHS[name], rel=1e-3)
    truth = {
        "linear": {"c": 0.002},
        "square root": {"c": 0.02},
        "saturating": {"e_max": 2.0, "B_noise": 400.0},
    }
    assert {key: value.value for key, value in fit.parameters.items()} == pytest.approx(truth[name], rel=1e-3)


def test_a_factor_s_interval_is_that_of_the_seeds_own_fits() -> None:
    log_rates = scattered(TRUTHS["square root"])
    fit = next(fit for fit in fit_laws(BATCHES, log_rates) if fit.law == "square root")
    own = mean_interval((log_rates - 0.5 * np.log2(BATCHES)).mean(axis=1))
    found = fit.parameters["c"]
    assert np.log2([found.value, found.low, found.high]) == pytest.approx([own.value, own.low, own.high])


@pytest.mark.parametrize("name", ["square root", "saturating"])
def test_the_true_law_is_named(name: str) -> None:
    fits = fit_laws(BATCHES, scattered(TRUTHS[name]))
    assert [fit.law for fit in fits].index(name) == 0
    assert fits[0].left_out_error < fits[1].left_out_error < fits[2].left_out_error
    assert best_law(fits) == name


def test_linear_and_saturating_are_not_told_apart_below_the_noise_scale() -> None:
    fits = fit_laws(BATCHES, scattered(2.0 / (1 + 100_000 / BATCHES)))
    assert {fit.law for fit in fits[:2]} == {"linear", "saturating"}
    assert best_law(fits) is None


def test_a_noise_scale_out_of_reach_has_an_open_interval() -> None:
    fit = next(fit for fit in fit_laws(BATCHES, scattered(TRUTHS["linear"])) if fit.law == "saturating")
    noise = fit.parameters["B_noise"]
    assert noise.value > BATCHES[-1]
    assert noise.high > 1e6


def test_left_out_error_by_hand() -> None:
    # Linear law, distances 0, 0, 3 from it: each is predicted by the mean of the other two: 1.5, 1.5, 0 apart
    # from 0, 0, 3.
    batches = np.array([1.0, 2.0, 4.0])
    fits = fit_laws(batches, np.array([[0.0, 1.0, 5.0]] * 2))
    linear = next(fit for fit in fits if fit.law == "linear")
    assert linear.left_out_error == pytest.approx(math.sqrt((1.5**2 + 1.5**2 + 3**2) / 3))
    assert linear.residual == pytest.approx(math.sqrt((1 + 1 + 4) / 3))
    assert linear.seed_errors == pytest.approx([4.5, 4.5])


@given(st.integers(-6, 6), st.sampled_from(sorted(TRUTHS)))
def test_scaling_all_rates_scales_only_the_factor(octaves: int, name: str) -> None:
    log_rates = scattered(TRUTHS[name])
    before, after = fit_laws(BATCHES, log_rates), fit_laws(BATCHES, log_rates + octaves)
    assert [fit.law for fit in after] == [fit.law for fit in before]
    for law, scaled_law in zip(before, after, strict=True):
        assert scaled_law.left_out_error == pytest.approx(law.left_out_error, rel=1e-4)
        assert scaled_law.predicted == pytest.approx(np.array(law.predicted) * 2.0**octaves, rel=1e-3)


def test_slopes_are_the_derivatives() -> None:
    b, step = np.log2(BATCHES), 1e-6
    for law in LAWS:
        parameters = np.array([1.0, 8.0])[: len(law.names)]
        for k, column in enumerate(law.slopes(parameters, b).T):
            move = step * np.eye(len(parameters))[k]
            numeric = (law.predict(parameters + move, b) - law.predict(parameters - move, b)) / (2 * step)
            np.testing.assert_allclose(column, numeric, atol=1e-6)


def test_too_little_to_fit() -> None:
    log_rates = scattered(TRUTHS["linear"])
    assert fit_laws(BATCHES[:2], log_rates[:, :2]) == ()
    assert fit_laws(BATCHES, np.full((2, len(BATCHES)), math.nan)) == ()
    assert best_law(()) is None
    one_seed = fit_laws(BATCHES, scattered(TRUTHS["saturating"], seeds=1))
    assert not any(value.has_interval for fit in one_seed for value in fit.parameters.values())
    assert best_law(one_seed) is None


def test_a_seed_with_a_gap_is_left_out() -> None:
    log_rates = scattered(TRUTHS["linear"])
    with_gap = np.vstack([log_rates, np.full(len(BATCHES), 3.0)])
    with_gap[-1, 2] = math.nan
    assert fit_laws(BATCHES, with_gap) == fit_laws(BATCHES, log_rates)
    assert exponent(BATCHES, with_gap) == exponent(BATCHES, log_rates)


def test_exponents() -> None:
    log_rates = np.log2(TRUTHS["square root"]) + SPREAD
    assert exponent(BATCHES, log_rates).value == pytest.approx(0.5)
    assert [found.value for found in local_exponents(BATCHES, log_rates)] == pytest.approx([0.5] * 5)
    # Two batch sizes: both are the slope between them.
    two = np.array([[0.0, 1.0], [0.0, 2.0]])
    expected = mean_interval([0.5, 1.0])
    assert local_exponents(BATCHES[:2], two) == (expected,)
    assert exponent(BATCHES[:2], two).low == pytest.approx(expected.low)
    assert math.isnan(exponent(BATCHES[:1], two[:, :1]).value)
    assert local_exponents(BATCHES[:1], two[:, :1]) == ()


def test_local_exponents_of_saturation_fall_from_1_to_0() -> None:
    found = [gap.value for gap in local_exponents(BATCHES, np.log2(TRUTHS["saturating"]) + SPREAD)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.2
