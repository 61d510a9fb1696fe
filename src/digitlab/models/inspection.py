"""Exhibit: one trained network looked at closely. Arrays in, a frozen value out."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from digitlab.analysis.findings import Cell, Digit, Exhibit, Table

_MOST_DIGITS = 24
_MOST_UNITS = 48

Judged = tuple[Float[np.ndarray, "n classes"], UInt8[np.ndarray, "n"]]
"""Probabilities and labels of the same images."""


def exhibit(
    *,
    title: str,
    caption: str,
    key: str,
    class_names: Sequence[str],
    parts: Mapping[str, Judged],
    test_images: UInt8[np.ndarray, "n 28 28"],
    first_weights: Float[np.ndarray, "units 784"],
) -> Exhibit:
    """What is shown of a network.

    parts: training, validation and test images as far as there are, by name; `test` is among them
    """
    probabilities, labels = parts["test"]
    given = probabilities.argmax(1)
    wrong = np.flatnonzero(given != labels)
    surest = wrong[np.argsort(-probabilities[wrong, given[wrong]], kind="stable")][:_MOST_DIGITS]
    confusion = np.zeros((len(class_names), len(class_names)), dtype=np.int64)
    np.add.at(confusion, (labels, given), 1)
    return Exhibit(
        title=title,
        caption=caption,
        key=key,
        class_names=tuple(class_names),
        accuracy=_accuracy(class_names, parts),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        misclassified=tuple(
            Digit(
                image=tuple(tuple(int(grey) for grey in row) for row in test_images[i]),
                label=int(labels[i]),
                probabilities=tuple(float(p) for p in probabilities[i]),
            )
            for i in surest
        ),
        weights=tuple(
            tuple(tuple(float(w) for w in row) for row in unit.reshape(28, 28))
            for unit in first_weights[:_MOST_UNITS]
        ),
    )


def _accuracy(class_names: Sequence[str], parts: Mapping[str, Judged]) -> Table:
    def shares(index: int | None) -> list[float]:
        return [_share_right(judged, index) for judged in parts.values()]

    rows: list[tuple[Cell, ...]] = [("all", *shares(None))]
    for i, name in enumerate(class_names):
        rows.append((name, *shares(i)))
    return Table("Accuracy by class", ("class", *(f"{name} images" for name in parts)), tuple(rows))


def _share_right(judged: Judged, index: int | None) -> float:
    """Accuracy on the images of a class, or on all for None; NaN where there are no images."""
    probabilities, labels = judged
    right = probabilities.argmax(1) == labels
    chosen = right if index is None else right[labels == index]
    return float(chosen.mean()) if len(chosen) else math.nan
