"""Inspections: a small network's outputs, counted by hand."""

import numpy as np
import pytest

from digitlab.models.inspection import Inspection, inspect_network

LABELS = np.array([0, 0, 1, 2, 2, 2], np.uint8)
PREDICTED = np.array([0, 1, 1, 2, 0, 1])
CONFIDENCE = np.array([0.9, 0.6, 0.8, 0.7, 0.95, 0.6])
IMAGES = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
WEIGHTS = np.arange(50 * 784, dtype=np.float32).reshape(50, 784)


def probabilities(predicted: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Of three classes: that of the one predicted is so large, [n, 3]."""
    rest = np.repeat(((1 - confidence) / 2)[:, None], 3, axis=1)
    rest[np.arange(len(predicted)), predicted] = confidence
    return rest


def made(predicted: np.ndarray = PREDICTED, labels: np.ndarray = LABELS) -> Inspection:
    confidence = CONFIDENCE[: len(predicted)]
    return inspect_network(
        title="A network",
        caption="How it was trained.",
        key="ab" * 32,
        class_names=("a", "b", "c"),
        parts={
            "training": (np.eye(3)[LABELS], LABELS),
            "test": (probabilities(predicted, confidence), labels),
        },
        test_images=IMAGES[: len(predicted)],
        first_weights=WEIGHTS,
    )


def test_confusions_are_counted_true_by_predicted() -> None:
    assert made().confusion == ((1, 1, 0), (0, 1, 0), (1, 1, 1))


def test_accuracy_is_by_class_and_part() -> None:
    accuracy = made().accuracy  # of all images, then of each class
    assert list(accuracy) == ["training", "test"]
    assert accuracy["test"] == pytest.approx([3 / 6, 1 / 2, 1, 1 / 3])
    assert accuracy["training"] == (1.0,) * 4


def test_the_most_confident_mistakes_come_first() -> None:
    shown = made().misclassified
    assert [digit.image[0][0] for digit in shown] == [4, 1, 5]  # of equals, the first in the test set
    assert [digit.label for digit in shown] == [2, 0, 2]
    assert [max(digit.probabilities) for digit in shown] == pytest.approx([0.95, 0.6, 0.6])


def test_only_so_many_errors_and_units_are_shown() -> None:
    inspection = inspect_network(
        title="",
        caption="",
        key="",
        class_names=("a", "b"),
        parts={"test": (np.tile([0.4, 0.6], (30, 1)), np.zeros(30, np.uint8))},
        test_images=np.zeros((30, 28, 28), np.uint8),
        first_weights=WEIGHTS,
    )
    assert len(inspection.misclassified) == 24
    assert len(inspection.weights) == 48
    assert inspection.weights[1][0][:2] == (784.0, 785.0)
    assert np.shape(inspection.weights) == (48, 28, 28)


def test_a_class_without_images_has_no_accuracy() -> None:
    accuracy = made(PREDICTED[:3], LABELS[:3]).accuracy
    assert accuracy["test"] == pytest.approx([2 / 3, 1 / 2, 1, float("nan")], nan_ok=True)


def test_a_network_without_errors_shows_none() -> None:
    assert made(LABELS.astype(np.int64)).misclassified == ()
