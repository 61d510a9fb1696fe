"""What a cohort costs before it is trained: the work that takes its time, and the memory it needs.

Time is linear in a few counts of work (`work`); what each unit costs on a machine is measured by
`calibration`. Memory follows from the shapes alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from digitlab.data.arrays import Dataset
from digitlab.engine.lockstep.backend import EVALUATION_CHUNK, MOST_LIST_BYTES, block_steps
from digitlab.spec import INPUT_SIZE, SGD, RunSpec

_PADDING = 16
"""Widths are counted in whole vectors of so many numbers."""
_SAMPLE = 1_000


@dataclass(frozen=True)
class Images:
    """What costs depend on of a data set: how many test images, how many pixels of an image are not black."""

    test_size: int
    lit_pixels: float

    @classmethod
    def of(cls, dataset: Dataset) -> "Images":
        """Counted on a sample of the training images."""
        stride = max(1, len(dataset.train) // _SAMPLE)
        sample = dataset.train.images[::stride]
        return cls(len(dataset.test), np.count_nonzero(sample) / len(sample))


WORK = (
    "cohorts",
    "runs",
    "drawn images",
    "examples",
    "cohort steps",
    "steps",
    "listed images",
    "packed pixels",
    "first layer",
    "layers",
    "updates",
    "moments",
)
"""The counts of `work`, by name."""


def work(specs: Sequence[RunSpec], images: Images) -> Float64[np.ndarray, "work"]:
    """The work in a cohort, in the order of WORK.

    cohorts: 1; runs: its members, each with its first parameters and its result
    drawn images: images among which those of a seed are drawn, once for all its members
    examples: of all members, trained on or evaluated: each has a softmax and a loss
    cohort steps: steps of the cohort; steps: the same times its members
    listed images: of which the pixels that are not black are listed, once for the cohort
    packed pixels: of examples made ready, once for all members of a seed; those that are not black
    first layer, layers: multiplications and additions in the products, millions
    updates: parameters that steps change, millions; moments: those of Adam, likewise
    """
    spec, members = specs[0], len(specs)
    first, *later = [
        inputs * math.ceil(units / _PADDING) * _PADDING for inputs, units in pairwise(spec.layer_sizes)
    ]
    trained = spec.step_count * min(spec.batch_size, spec.train_size)
    points = len(spec.evaluation_steps) if spec.validation_size else 0
    shared = points * spec.validation_size + images.test_size
    evaluated = spec.train_size + shared
    seeds = len({spec.seed for spec in specs})
    packed = seeds * (trained + spec.train_size) + shared
    share_of_pixels = images.lit_pixels / INPUT_SIZE
    parameters = spec.step_count * (first + sum(later)) / 1e6
    is_adam = not isinstance(spec.optimiser, SGD)
    return np.array(
        [
            1,
            members,
            seeds * spec.data.train_images,
            members * (trained + evaluated),
            spec.step_count,
            members * spec.step_count,
            _listed(spec, seeds) + images.test_size,
            packed * images.lit_pixels,
            members * first * share_of_pixels * (2 * trained + evaluated) / 1e6,
            members * sum(later) * (3 * trained + evaluated) / 1e6,
            members * parameters,
            members * parameters * is_adam,
        ]
    )


def _listed(spec: RunSpec, seeds: int) -> int:
    """How many training images a cohort uses, at most: each seed draws a subset of its own."""
    return min(seeds * spec.train_size + spec.validation_size, spec.data.train_images)


def memory_bytes(specs: Sequence[RunSpec], images: Images, *, stacked: bool = False) -> int:
    """The peak memory of a cohort while it trains and is evaluated, the data set itself left out.

    stacked: by torch's batched products, as on a GPU, instead of member by member
    """
    spec, members = specs[0], len(specs)
    size = np.dtype(spec.precision).itemsize
    moments = 2 if not isinstance(spec.optimiser, SGD) else int(any(_has_momentum(spec) for spec in specs))
    copies = 2 + moments  # the last is the trained network that is handed on: with patience, the best so far
    widths = [math.ceil(units / 8) * 8 for units in spec.layer_sizes]
    parameters = sum(
        (inputs + 1) * width for inputs, width in zip(spec.layer_sizes, widths[1:], strict=False)
    )
    seeds = len({spec.seed for spec in specs})
    # Of each seed: subset, order and batches, as indices; then what drawing one subset takes for a while.
    indices = 8 * (seeds * 4 * spec.train_size + 6 * spec.data.train_images)
    predictions = members * (spec.train_size + images.test_size + spec.validation_size)
    largest_batch = max(spec.batch_size, EVALUATION_CHUNK)
    if stacked:
        examples = seeds * largest_batch
        inputs = examples * INPUT_SIZE * (2 * size + 5)  # as pixels, numbers, columns
        activations = 3 * members * largest_batch * sum(spec.layer_sizes[1:]) * size
        gradients = 2 * members * max(i * o for i, o in pairwise(spec.layer_sizes)) * size
        return round(
            members * parameters * copies * size + inputs + activations + gradients + indices + predictions
        )
    examples = max(min(block_steps(spec), spec.step_count) * spec.batch_size, EVALUATION_CHUNK)
    lists = (
        _lists_bytes(_listed(spec, seeds), images)
        + _lists_bytes(images.test_size, images)
        + examples * images.lit_pixels * 2 * (4 + size)
        + min(block_steps(spec), spec.step_count) * 8 * INPUT_SIZE
    )
    later = list(zip(spec.layer_sizes[1:], widths[1:], spec.layer_sizes[2:], widths[2:], strict=False))
    deltas = 2 * spec.batch_size * max(widths[1:-1], default=0)
    transposed = max((units * in_width for _, in_width, units, _ in later), default=0)
    gradient = max((inputs * width for inputs, _, _, width in later), default=0)
    scratch = (largest_batch * sum(widths[1:]) + deltas + transposed + gradient) * size
    return round(members * parameters * copies * size + scratch + lists + indices + predictions)


def _lists_bytes(count: int, images: Images) -> float:
    """What the lists of so many images take, and the table of where they are."""
    return min(count * images.lit_pixels * 4, MOST_LIST_BYTES) + count * 12


def _has_momentum(spec: RunSpec) -> bool:
    return isinstance(spec.optimiser, SGD) and spec.optimiser.momentum > 0
