"""Which examples a run sees at which step: a new random order each epoch, cut into batches."""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
from jaxtyping import Int64

from digitlab.rng import stream
from digitlab.spec import RunSpec


def epoch_order(seed: int, epoch: int, train_size: int) -> Int64[np.ndarray, "train"]:
    """The order of the examples in one epoch (the first is 0): positions in the run's training set.

    Every epoch has its own stream, `order/<epoch>`, so that any of them can be had without those before.
    """
    return stream(seed, f"order/{epoch}").permutation(train_size)


def batches(spec: RunSpec) -> Iterator[Int64[np.ndarray, "batch"]]:
    """The positions of each step's examples, for all steps of the run."""
    return islice(_endless_batches(spec), spec.step_count)


def _endless_batches(spec: RunSpec) -> Iterator[Int64[np.ndarray, "batch"]]:
    for epoch in count():
        order = epoch_order(spec.seed, epoch, spec.train_size)
        for start in range(0, spec.steps_per_epoch * spec.batch_size, spec.batch_size):
            yield order[start : start + spec.batch_size]
