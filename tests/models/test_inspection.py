"""Exhibits: a small network's outputs, counted by hand."""

import numpy as np
import pytest

from digitlab.analysis.findings import Exhibit
from digitlab.models.inspection import exhibit

LABELS = np.array([0, 0, 1, 2, 2, 2], np.uint8)
GIVEN = np.array([0, 1, 1, 2, 0, 1])
SURENESS = np.array([0.9, 0.6, 0.8, 0.7, 0.95, 0.6])
IMAGES = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
WEIGHTS = np.arange(50 * 784, dtype=np.float32).reshape(50, 784)


def probabilities(given: np.ndarray, sureness: np.ndarray) -> np.ndarray:
    """Of three classes: that of the one given is so large, [n, 3]."""
    rest = np.repeat(((1 - sureness) / 2)[:, None], 3, axis=1)
    rest[np.arange(len(given)), given] = sureness
    return rest


def made(given: np.ndarray = GIVEN, labels: np.ndarray = LABELS) -> Exhibit:
    sureness = SURENESS[: len(given)]
    return exhibit(
        title="A network",
        caption="How it was trained.",
        key="ab" * 32,
        class_names=("a", "b", "c"),
        parts={
            "training": (np.eye(3)[LABELS], LABELS),
            "test": (probabilities(given, sureness), labels),
        },
        test_images=IMAGES[: len(given)],
        first_weights=WEIGHTS,
    )


def test_confusions_are_counted_true_by_given() -> None:
    assert made().confusion == ((1, 1, 0), (0, 1, 0), (1, 1, 1))


def test_accuracy_is_by_class_and_part() -> None:
    table = made().accuracy
    assert table.columns == ("class", "training images", "test images")
    assert [row[0] for row in table.rows] == ["all", "a", "b", "c"]
    assert [row[2] for row in table.rows] == pytest.approx([3 / 6, 1 / 2, 1, 1 / 3])
    assert [row[1] for row in table.rows] == [1.0] * 4


def test_the_surest_errors_come_first() -> None:
    shown = made().misclassified
    assert [digit.image[0][0] for digit in shown] == [4, 1, 5]  # of equals, the first in the test set
    assert [digit.label for digit in shown] == [2, 0, 2]
    assert [max(digit.probabilities) for digit in shown] == pytest.approx([0.95, 0.6, 0.6])


def test_only_so_many_errors_and_units_are_shown() -> None:
    many = exhibit(
        title="",
        caption="",
        key="",
        class_names=("a", "b"),
        parts={"test": (np.tile([0.4, 0.6], (30, 1)), np.zeros(30, np.uint8))},
        test_images=np.zeros((30, 28, 28), np.uint8),
        first_weights=WEIGHTS,
    )
    assert len(many.misclassified) == 24
    assert len(many.weights) == 48
    assert many.weights[1][0][:2] == (784.0, 785.0)
    assert np.shape(many.weights) == (48, 28, 28)


def test_a_class_without_images_has_no_accuracy() -> None:
    table = made(GIVEN[:3], LABELS[:3]).accuracy
    assert [row[2] for row in table.rows] == pytest.approx([2 / 3, 1 / 2, 1, float("nan")], nan_ok=True)


def test_a_network_without_errors_shows_none() -> None:
    assert made(LABELS.astype(np.int64)).misclassified == ()
