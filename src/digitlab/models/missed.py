"""Images that every one of several networks gets wrong: bad handwriting, wrong labels, their limits."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from digitlab.models.inspection import MOST_DIGITS, greys


@dataclass(frozen=True)
class MissedDigit:
    """A test image that no network gets right.

    index: which of the test images it is, from 0
    image: grey values 0 … 255, [28][28]
    label: its class
    votes: predicted classes, and how many networks predicted each; the most frequent first
    """

    index: int
    image: tuple[tuple[int, ...], ...]
    label: int
    votes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Missed:
    """Test images that all of several networks get wrong.

    title:       which networks they are
    class_names: [class]
    networks:    how many there are
    images:      how many test images there are
    count:       how many of these all networks get wrong
    by_chance:   how many that would be if each network made its mistakes independently of the others: the
                 number of images times the product of the networks' errors
    digits:      the first of them: those first on whose class the networks agree most
    """

    title: str
    class_names: tuple[str, ...]
    networks: int
    images: int
    count: int
    by_chance: float
    digits: tuple[MissedDigit, ...]


def missed_by_all(
    *,
    title: str,
    class_names: Sequence[str],
    predictions: Sequence[bytes],
    labels: UInt8[np.ndarray, "image"],
    images: UInt8[np.ndarray, "image 28 28"],
    most_digits: int = MOST_DIGITS,
) -> Missed:
    """Find the images that all networks get wrong.

    predictions: of each network the predicted class of each image, a byte each, as results hold them
    """
    predicted = np.frombuffer(b"".join(predictions), np.uint8).reshape(len(predictions), len(labels))
    wrong = predicted != labels  # [network, image]
    found = np.flatnonzero(wrong.all(axis=0))  # [missed]
    digits = [MissedDigit(int(i), greys(images[i]), int(labels[i]), _votes(predicted[:, i])) for i in found]
    digits.sort(key=lambda digit: -digit.votes[0][1])
    return Missed(
        title=title,
        class_names=tuple(class_names),
        networks=len(predictions),
        images=len(labels),
        count=len(found),
        by_chance=len(labels) * math.prod(map(float, wrong.mean(axis=1))),
        digits=tuple(digits[:most_digits]),
    )


def _votes(predicted: UInt8[np.ndarray, "network"]) -> tuple[tuple[int, int], ...]:
    counted = Counter(map(int, predicted))
    return tuple(sorted(counted.items(), key=lambda vote: (-vote[1], vote[0])))
