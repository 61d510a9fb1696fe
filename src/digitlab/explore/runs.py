"""Single runs of the store, looked at closely: classes, mistakes, images on which two of them disagree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import accuracy_intervals
from digitlab.data import Dataset, registry
from digitlab.engine.confusion import Confusion, confusion_of_predictions
from digitlab.engine.inputs import check_data_set
from digitlab.errors import RunError
from digitlab.lab import inspection_on_test_images
from digitlab.models.inspection import Digit
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult


@dataclass(frozen=True)
class Classes:
    """How a run did on its test images, class by class.

    accuracies: on all test images, then on those of each class, with intervals over images, [1 + class]
    """

    confusion: Confusion
    accuracies: tuple[Estimate, ...]


@dataclass(frozen=True)
class Disagreement:
    """A test image that exactly one of two networks reads rightly.

    index: which of the test images it is, from 0
    a, b:  predicted classes
    """

    index: int
    label: int
    a: int
    b: int
    image: bytes


def own_test_set(run: RunResult) -> Dataset:
    """The data set of a run. Raises SpecError when it is another one now, and what `data.load` raises."""
    dataset = registry.load(run.spec.data.name)
    check_data_set(run.spec, dataset)
    return dataset


def classes_of(run: RunResult) -> Classes:
    """What a run takes for what, by its predictions in the store: nothing is trained.

    run: with its predictions
    Raises RunError when it has none, and what `own_test_set` raises.
    """
    confusion = confusion_of_predictions(_predictions(run), own_test_set(run))
    return Classes(confusion, tuple(accuracy_intervals(confusion.counts)))


def most_confident_mistakes(network: TrainedNetwork, dataset: Dataset, most: int) -> tuple[Digit, ...]:
    """Test images that a network gets wrong, the most confident mistakes first."""
    return inspection_on_test_images(network, dataset, most).misclassified


def disagreements(a: RunResult, b: RunResult, most: int) -> tuple[tuple[Disagreement, ...], int]:
    """Test images that exactly one of two runs reads rightly, in their order, and how many there are.

    a, b: of one data set, with their predictions
    most: at most so many, as even on both sides as there are
    Raises as `classes_of`.
    """
    dataset = own_test_set(a)
    labels = dataset.test.labels
    of_a, of_b = _predictions(a), _predictions(b)
    sides = [
        np.flatnonzero((of_a == labels) & (of_b != labels)),
        np.flatnonzero((of_a != labels) & (of_b == labels)),
    ]
    count = len(sides[0]) + len(sides[1])
    return tuple(
        Disagreement(int(i), int(labels[i]), int(of_a[i]), int(of_b[i]), dataset.test.images[i].tobytes())
        for i in _evenly(sides, most)
    ), count


def _evenly(sides: Sequence[np.ndarray], most: int) -> list[int]:
    first, second = sides
    from_second = min(len(second), max(most // 2, most - len(first)))
    return [*map(int, first[: most - from_second]), *map(int, second[:from_second])]


def _predictions(run: RunResult) -> np.ndarray:
    if run.predictions is None and run.outcome != "diverged":
        raise RunError(
            f"{run.key[:12]} is in the store without its predictions; train it again to see its mistakes"
        )
    if run.predictions is None:
        raise RunError(
            f"{run.key[:12]} diverged, so it classifies no test image; look at its curve, and at a run "
            "with a smaller learning rate"
        )
    return np.frombuffer(run.predictions, np.uint8)
