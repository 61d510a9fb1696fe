"""Which training images a run sees: a fixed validation split, and nested stratified training subsets.

The validation split is of images, stratified by class, or of whole writers: then nobody wrote for both sides.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int64, UInt8

from digitlab.errors import Fault, SpecError
from digitlab.rng import stream

_FIXED_SEED = 0
"""The validation split is drawn by this seed in every run, whatever the run's own."""


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into a data set's training images, rising: those trained on, and those held out."""

    train: Int64[np.ndarray, "train"]
    validation: Int64[np.ndarray, "validation"]


def split(
    labels: UInt8[np.ndarray, "n"],
    *,
    train_size: int,
    validation_size: int,
    seed: int,
    writers: Int[np.ndarray, "n"] | None = None,
) -> Split:
    """The validation images, the same in every run, and the run's subset of the others.

    labels:  class of each training image, [n]
    writers: number of each image's writer, [n]: all that a writer wrote is held out, or nothing; None: images
             are held out whoever wrote them
    Raises SpecError when the sizes do not fit n.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    if validation_size and writers is not None:
        held_out = whole_writers(writers, validation_size, stream(_FIXED_SEED, "validation/writers"))
    elif validation_size:
        held_out[nested_subset(labels, validation_size, stream(_FIXED_SEED, "validation"))] = True
    rest = np.flatnonzero(~held_out)
    subset = rest[nested_subset(labels[rest], train_size, stream(seed, "subset"))]
    return Split(subset, np.flatnonzero(held_out))


def whole_writers(
    writers: Int[np.ndarray, "n"], size: int, random: np.random.Generator
) -> Bool[np.ndarray, "n"]:
    """Which images are held out when whole writers are: `size` of them, or as many below it as can be.

    Writers are put into random order and taken from its beginning; one is passed over when the writers behind
    it could then not fill up what is missing. As writers wrote different numbers of images, that is rare: of
    MNIST's 539 writers, every number from 75 to 59,925 is met exactly.

    writers: number of each image's writer, [n]
    size:    number of images wanted
    random:  a fresh stream
    Raises SpecError, naming `validation_size`, when every writer wrote more.
    """
    _, writer, counts = np.unique(writers, return_inverse=True, return_counts=True)
    if size < counts.min():
        problem = f"is less than any writer wrote; hold out at least {counts.min()} images"
        raise SpecError([Fault("validation_size", size, problem)])
    order = random.permutation(len(counts))
    # Of each place in the order, how many images the writers from there on can make: bit k stands for k.
    possible = [1]
    for count in counts[order[::-1]].tolist():
        possible.append(possible[-1] | (possible[-1] << count) & ((1 << size + 1) - 1))
    missing = possible.pop().bit_length() - 1
    taken = np.zeros(len(counts), dtype=bool)
    for i, count in zip(order.tolist(), counts[order].tolist(), strict=True):
        rest = possible.pop()
        if count <= missing and rest >> (missing - count) & 1:
            taken[i], missing = True, missing - count
    return np.asarray(taken[writer])


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
    if size == len(labels):
        return np.arange(size)  # all of them: nothing to draw, which for millions takes seconds and memory
    shuffled = random.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]  # class by class, random within
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)  # j within its class
    position = (rank + 0.5) / np.repeat(counts, counts)
    return np.sort(by_class[np.argsort(position, kind="stable")[:size]])
