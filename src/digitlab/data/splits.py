"""Which training images a run sees: a fixed validation split, and nested stratified training subsets."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64, UInt8

from digitlab.errors import Fault, SpecError
from digitlab.rng import stream

_FIXED_SEED = 0
"""The validation split is drawn by this seed in every run, whatever the run's own."""


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into a data set's training images, rising: those trained on, and those held out."""

    train: Int64[np.ndarray, "train"]
    validation: Int64[np.ndarray, "validation"]


def split(labels: UInt8[np.ndarray, "n"], *, train_size: int, validation_size: int, seed: int) -> Split:
    """The validation images, the same in every run, and the run's subset of the others.

    labels: class of each training image, [n]
    Raises SpecError when the sizes do not fit n.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    if validation_size:
        held_out[nested_subset(labels, validation_size, stream(_FIXED_SEED, "validation"))] = True
    rest = np.flatnonzero(~held_out)
    subset = rest[nested_subset(labels[rest], train_size, stream(seed, "subset"))]
    return Split(subset, np.flatnonzero(held_out))


def nested_subset(
    labels: UInt8[np.ndarray, "n"], size: int, random: np.random.Generator
) -> Int[np.ndarray, "size"]:
    """Indices of `size` examples with the class proportions kept, rising.

    Nested: at one stream, the subset of 1,000 lies inside the subset of 2,000, so that a learning curve
    adds examples and never swaps them.

    Each class is put into random order and its examples spread evenly over [0, 1), the j-th of m at
    (j + 1/2) / m; the subset is what comes first. A class's share is then off by about one example.

    labels: class of each example, [n]
    size:   number of examples wanted, 1 … n
    random: a fresh stream
    Raises SpecError, naming `train_size`, when size is outside 1 … n.
    """
    if not 1 <= size <= len(labels):
        raise SpecError(
            [Fault("train_size", size, f"is not between 1 and the {len(labels):,} examples there are")]
        )
    shuffled = random.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]  # class by class, random within
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)  # j within its class
    position = (rank + 0.5) / np.repeat(counts, counts)
    return np.sort(by_class[np.argsort(position, kind="stable")[:size]])
