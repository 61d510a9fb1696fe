"""Error over the number of training images: known laws are found again; floors, predictions, too few sizes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.power_law import fit_power_law, local_slopes, predict_left_out

SIZES = np.array([250.0, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000])


def drawn(truth: np.ndarray, draws: int = 6, spread: float = 0.02) -> np.ndarray:
    """Log errors [draw, size] that scatter about a law."""
    return np.log(truth * (1 + np.random.default_rng(3).normal(0, spread, (draws, len(truth)))))


@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(2.0, 0.5, 0.01), (0.9, 0.35, 0.0), (5.0, 0.8, 0.02)])
def test_an_exact_law_is_found_again(alpha: float, beta: float, gamma: float) -> None:
    truth = alpha * SIZES**-beta + gamma
    law = fit_power_law(SIZES, np.log([truth, truth]))
    assert (law.alpha.value, law.beta.value) == pytest.approx((alpha, beta), rel=1e-3)
    assert law.gamma.value == pytest.approx(gamma, abs=1e-5)
    np.testing.assert_allclose(law.predicted(SIZES), truth, rtol=1e-4)


def test_the_fit_is_scipy_s() -> None:
    errors = drawn(2 * SIZES**-0.5 + 0.01)
    law = fit_power_law(SIZES, errors)
    (log_alpha, beta, gamma), _ = curve_fit(
        lambda x, a, b, c: np.log(np.exp(a - b * x) + c),
        np.log(SIZES),
        errors.mean(axis=0),
        p0=(0.7, 0.5, 0.01),
    )
    found = (law.alpha.value, law.beta.value, law.gamma.value)
    assert found == pytest.approx((math.exp(log_alpha), beta, gamma), rel=1e-3)


def test_intervals_hold_the_truth_here() -> None:
    law = fit_power_law(SIZES, drawn(2 * SIZES**-0.5 + 0.01))
    assert law.alpha.low < 2 < law.alpha.high
    assert law.beta.low < 0.5 < law.beta.high
    assert law.gamma.low < 0.01 < law.gamma.high
    assert law.has_floor


def test_no_floor_is_found_where_there_is_none() -> None:
    law = fit_power_law(SIZES, drawn(0.9 * SIZES**-0.35))
    assert law.gamma.low == 0
    assert law.gamma.value >= 0
    assert not law.has_floor


@given(st.sampled_from([0.5, 2.0, 4.0]), st.sampled_from([0.1, 10.0]))
def test_scales_of_error_and_size(error_scale: float, size_scale: float) -> None:
    errors = drawn(2 * SIZES**-0.5 + 0.01)
    before, after = (
        fit_power_law(SIZES, errors),
        fit_power_law(SIZES * size_scale, errors + math.log(error_scale)),
    )
    assert after.beta.value == pytest.approx(before.beta.value, rel=1e-3)
    assert after.beta.high == pytest.approx(before.beta.high, rel=1e-3)
    assert after.gamma.value == pytest.approx(before.gamma.value * error_scale, rel=1e-3)
    moved = before.alpha.value * error_scale * size_scale**before.beta.value
    assert after.alpha.value == pytest.approx(moved, rel=1e-3)


def test_the_largest_size_is_predicted() -> None:
    truth = 2 * SIZES**-0.5 + 0.01
    predicted, measured = predict_left_out(SIZES, np.log([truth, truth]))
    assert measured == pytest.approx(truth[-1])
    assert predicted.value == pytest.approx(truth[-1], rel=1e-4)
    errors = drawn(truth)
    predicted, measured = predict_left_out(SIZES, errors)
    assert measured == pytest.approx(np.exp(errors[:, -1].mean()))
    assert predicted.low < measured < predicted.high
    errors[:, -1] += math.log(1.5)
    predicted, measured = predict_left_out(SIZES, errors)
    assert measured > predicted.high


def test_too_few_sizes() -> None:
    errors = drawn(2 * SIZES**-0.5)
    for count in (1, 2):
        law = fit_power_law(SIZES[:count], errors[:, :count])
        assert math.isnan(law.alpha.value)
        assert math.isnan(law.beta.value)
        assert not law.has_floor
    predicted, measured = predict_left_out(SIZES[:3], errors[:, :3])
    assert math.isnan(predicted.value)
    assert measured == pytest.approx(np.exp(errors[:, 2].mean()))
    exact = fit_power_law(SIZES[:3], errors[:, :3])
    np.testing.assert_allclose(exact.predicted(SIZES[:3]), np.exp(errors[:, :3].mean(axis=0)), rtol=0.02)


def test_one_draw_has_no_interval() -> None:
    law = fit_power_law(SIZES, drawn(2 * SIZES**-0.5, draws=1))
    assert law.beta.value == pytest.approx(0.5, abs=0.1)
    assert not any(estimate.has_interval for estimate in (law.alpha, law.beta, law.gamma))
    assert not law.has_floor


def test_draws_with_gaps_are_left_out() -> None:
    errors = drawn(2 * SIZES**-0.5 + 0.01)
    with_gap = np.vstack([errors, np.full(len(SIZES), 0.5)])
    with_gap[-1, 0] = math.nan
    assert fit_power_law(SIZES, with_gap) == fit_power_law(SIZES, errors)
    assert predict_left_out(SIZES, with_gap) == predict_left_out(SIZES, errors)
    nothing = predict_left_out(SIZES, np.full((2, len(SIZES)), math.nan))
    assert math.isnan(nothing[0].value)
    assert math.isnan(nothing[1])


def test_local_slopes() -> None:
    errors = np.log([[0.4, 0.2, 0.1], [0.4, 0.1, 0.1]])
    first, second = local_slopes(np.array([100.0, 200, 400]), errors)
    expected = mean_interval([1.0, 2.0])
    assert (first.value, first.low, first.high) == pytest.approx((1.5, expected.low, expected.high))
    assert second.value == pytest.approx(0.5)
    assert [slope.value for slope in local_slopes(SIZES, np.log([SIZES**-0.4] * 2))] == pytest.approx(
        [0.4] * 7
    )
