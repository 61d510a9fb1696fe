"""Inspection: what one trained network gets right and wrong. Arrays in, a frozen value out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

MOST_DIGITS = 24
_MOST_UNITS = 48

Judged = tuple[Float[np.ndarray, "n classes"], UInt8[np.ndarray, "n"]]
"""Probabilities and labels of the same images."""


@dataclass(frozen=True)
class Digit:
    """One test image and what a network makes of it.

    index:         which of the test images it is, from 0
    image:         grey values 0 … 255, [28][28]
    label:         its class
    probabilities: of each class, [class]
    """

    index: int
    image: tuple[tuple[int, ...], ...]
    label: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Inspection:
    """What one trained network gets right and wrong.

    title, caption: which network it is, how it was trained, how well it does
    key:            of its run
    class_names:    [class]
    accuracy:       on training, validation and test images, by name: of all images, then of each class,
                    [1 + class]; NaN where there are no images
    confusion:      counts of test images, [true class][predicted class]
    misclassified:  test images that it gets wrong, the most confident mistakes first
    weights:        of the first layer, of each unit shown, [unit][28][28]
    """

    title: str
    caption: str
    key: str
    class_names: tuple[str, ...]
    accuracy: Mapping[str, tuple[float, ...]]
    confusion: tuple[tuple[int, ...], ...]
    misclassified: tuple[Digit, ...]
    weights: tuple[tuple[tuple[float, ...], ...], ...]


def inspect_network(
    *,
    title: str,
    caption: str,
    key: str,
    class_names: Sequence[str],
    parts: Mapping[str, Judged],
    test_images: UInt8[np.ndarray, "n 28 28"],
    first_weights: Float[np.ndarray, "units 784"],
    most_digits: int = MOST_DIGITS,
) -> Inspection:
    """Look closely at a network by its outputs.

    parts: training, validation and test images as far as there are, by name; `test` is among them
    most_digits: so many mistakes are shown
    """
    probabilities, labels = parts["test"]
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    most_confident = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:most_digits]
    confusion = np.zeros((len(class_names), len(class_names)), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return Inspection(
        title=title,
        caption=caption,
        key=key,
        class_names=tuple(class_names),
        accuracy={
            name: tuple(_accuracy(judged, index) for index in (None, *range(len(class_names))))
            for name, judged in parts.items()
        },
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        misclassified=tuple(
            Digit(
                index=int(i),
                image=greys(test_images[i]),
                label=int(labels[i]),
                probabilities=tuple(float(p) for p in probabilities[i]),
            )
            for i in most_confident
        ),
        weights=tuple(
            tuple(tuple(float(w) for w in row) for row in unit.reshape(28, 28))
            for unit in first_weights[:_MOST_UNITS]
        ),
    )


def greys(image: UInt8[np.ndarray, "28 28"]) -> tuple[tuple[int, ...], ...]:
    """An image as plain numbers, [28][28]."""
    return tuple(tuple(map(int, row)) for row in image)


def _accuracy(judged: Judged, index: int | None) -> float:
    """Accuracy on the images of a class, or on all for None; NaN where there are no images."""
    probabilities, labels = judged
    right = probabilities.argmax(1) == labels
    selected = right if index is None else right[labels == index]
    return float(selected.mean()) if len(selected) else math.nan
