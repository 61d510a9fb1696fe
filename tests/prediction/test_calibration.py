"""Temperature and reliability against cases whose answer is known."""

import numpy as np
import pytest

from digitlab.models.forward import softmax
from digitlab.prediction.calibration import by_confidence, fitted_temperature, reliability, tempered
from digitlab.rng import stream


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_probabilities_is_found(factor: float) -> None:
    """Labels drawn from a softmax; the network says that of logits `factor` times as large."""
    random = stream(0, "calibration")
    logits = random.normal(0, 2, (40_000, 10))
    chances = softmax(logits).cumsum(1)
    labels = (random.random((len(logits), 1)) > chances).sum(1).clip(max=9)
    assert fitted_temperature(softmax(factor * logits), labels) == pytest.approx(factor, rel=0.03)


def test_a_temperature_changes_no_order_and_no_sum() -> None:
    probabilities = softmax(stream(0, "tempered").normal(0, 3, (100, 10)))
    for temperature in (0.5, 1.0, 4.0):
        found = tempered(probabilities, temperature)
        np.testing.assert_allclose(found.sum(1), 1)
        np.testing.assert_array_equal(found.argsort(1), probabilities.argsort(1))
    np.testing.assert_allclose(tempered(probabilities, 1.0), probabilities, rtol=1e-12)


def test_probabilities_of_zero_stay_finite() -> None:
    found = tempered(np.array([[1.0, 0.0, 0.0]]), 2.0)
    assert np.isfinite(found).all()
    assert found[0, 0] == pytest.approx(1)


def test_bins_and_their_gap_by_hand() -> None:
    confidence = np.array([0.5, 0.5, 0.9, 0.9])
    bins, gap = reliability(confidence, np.array([1, 0, 1, 0]), bins=2)
    assert [(each.count, each.accuracy) for each in bins] == [(2, 0.5), (2, 0.5)]
    assert gap == pytest.approx((0 + 0.4) / 2)


def test_answers_of_like_confidence_by_hand() -> None:
    probabilities = np.array([[0.55, 0.45], [0.95, 0.05], [0.04, 0.96], [0.5, 0.5]])
    found = by_confidence(probabilities, np.array([1, 0, 0, 0]))
    assert [(each.count, each.accuracy) for each in found] == [(2, 0.5), (2, 0.5)]
    assert [each.confidence for each in found] == pytest.approx([0.525, 0.955])
    assert sum(each.count for each in by_confidence(np.ones((3, 1)), np.zeros(3, int))) == 3
