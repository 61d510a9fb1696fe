"""Images that all networks miss: counted by hand on a few."""

import numpy as np
import pytest

from digitlab.models.missed import Missed, missed_by_all

LABELS = np.array([0, 1, 2, 2, 1], np.uint8)
PREDICTIONS = [
    bytes([1, 1, 0, 1, 0]),  # wrong at 0, 2, 3, 4
    bytes([2, 0, 0, 1, 1]),  # at 0, 1, 2, 3
    bytes([1, 1, 1, 1, 1]),  # at 0, 2, 3
    bytes([1, 1, 0, 1, 1]),  # at 0, 2, 3
]
IMAGES = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)


def made(predictions: list[bytes] = PREDICTIONS, most: int = 24) -> Missed:
    return missed_by_all(
        title="784-10",
        class_names="abc",
        predictions=predictions,
        labels=LABELS,
        images=IMAGES,
        most_digits=most,
    )


def test_those_come_first_on_which_networks_agree() -> None:
    found = made()
    assert (found.networks, found.images, found.count) == (4, 5, 3)
    assert [digit.index for digit in found.digits] == [3, 0, 2]  # of equals, the first in the test set
    assert [digit.votes for digit in found.digits] == [((1, 4),), ((1, 3), (2, 1)), ((0, 3), (1, 1))]
    assert [digit.label for digit in found.digits] == [2, 0, 2]
    assert [digit.image[0][0] for digit in found.digits] == [3, 0, 2]


def test_how_many_would_be_missed_by_chance() -> None:
    assert made().by_chance == pytest.approx(5 * (4 / 5) * (4 / 5) * (3 / 5) * (3 / 5))


def test_only_so_many_are_shown_and_all_are_counted() -> None:
    found = made(most=1)
    assert (found.count, len(found.digits)) == (3, 1)


def test_one_network_that_is_right_is_enough() -> None:
    found = made([*PREDICTIONS, LABELS.tobytes()])
    assert (found.count, found.digits, found.by_chance) == (0, (), 0.0)
