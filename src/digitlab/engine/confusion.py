"""Confusion: which classes a trained network takes for which, on a test set."""

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Int

from digitlab.data import Dataset, load
from digitlab.errors import DataError
from digitlab.models.trained import TrainedNetwork


@dataclass(frozen=True)
class Confusion:
    """How a network did on a test set.

    counts: how many images of each class were taken for each class, [true class][predicted class]
    """

    data: str
    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def images(self) -> int:
        """Number of images tested."""
        return sum(self.class_images)

    @property
    def class_images(self) -> tuple[int, ...]:
        """Number of images of each class, [class]."""
        return tuple(map(sum, self.counts))

    @property
    def accuracy(self) -> float:
        """Share of all images that were classified rightly."""
        return sum(row[i] for i, row in enumerate(self.counts)) / self.images

    @property
    def class_accuracy(self) -> tuple[float, ...]:
        """Share of each class that was classified rightly, [class]; NaN for a class without images."""
        return tuple(row[i] / sum(row) if any(row) else float("nan") for i, row in enumerate(self.counts))

    @property
    def mistakes(self) -> tuple[tuple[int, str, str], ...]:
        """How many images of one class were taken for another: count, class, predicted class; most first."""
        pairs = [
            (count, true, predicted)
            for i, (true, row) in enumerate(zip(self.class_names, self.counts, strict=True))
            for j, (predicted, count) in enumerate(zip(self.class_names, row, strict=True))
            if count and i != j
        ]
        return tuple(sorted(pairs, reverse=True))

    def to_json(self) -> str:
        """All of it as one line of JSON; the accuracy of a class without images is null."""
        accuracies = [None if math.isnan(value) else value for value in self.class_accuracy]
        return json.dumps({**asdict(self), "accuracy": self.accuracy, "class_accuracy": accuracies})


def confusion_of(network: TrainedNetwork, dataset: Dataset) -> Confusion:
    """Evaluate a network on a data set's test images.

    Raises DataError when the data set has another number of classes than the network, WeightsError when the
    network's weights are not finite, as those of a run that diverged may be, or its numbers overflow.
    """
    network.check_weights("accuracy")
    names = dataset.entry.class_names
    classes = network.spec.data.classes
    if len(names) != classes:
        raise DataError(
            f"data set {dataset.entry.name}",
            f"{len(names)} classes",
            f"{classes}, as the network has",
            f"use a data set with {classes} classes, such as {network.spec.data.name}",
        )
    return confusion_of_predictions(network.probabilities(dataset.test.images).argmax(1), dataset)


def confusion_of_predictions(predicted: Int[np.ndarray, "n"], dataset: Dataset) -> Confusion:
    """The confusion of predicted classes with those of a data set's test images.

    predicted: of each test image, in their order
    """
    names = dataset.entry.class_names
    classes = len(names)
    pairs = dataset.test.labels.astype(np.int64) * classes + predicted  # [n]
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return Confusion(dataset.entry.name, names, tuple(tuple(map(int, row)) for row in counts))


def confusion_on(network: TrainedNetwork, data: str | None = None) -> Confusion:
    """Evaluate a network on the test images of a data set, by default of the one it was trained on.

    data: its name
    Raises what `own_dataset` raises for the data set that is not named, and what `confusion_of` and
    `data.load` raise.
    """
    name = network.spec.data.name
    dataset = (
        load(data) if data else own_dataset(network, f"say that it is meant all the same: --data {name}")
    )
    return confusion_of(network, dataset)


def own_dataset(
    network: TrainedNetwork, remedy: str = "import the one that it was trained on, under its name"
) -> Dataset:
    """The data set that a network was trained on.

    remedy: what to do where it is another by now
    Raises DataError when the data set of its name is no longer the same, and what `data.load` raises.
    """
    trained_on = network.spec.data
    dataset = load(trained_on.name)
    if dataset.entry.sha256 != trained_on.sha256:
        raise DataError(
            f"data set {trained_on.name}",
            f"SHA-256 {dataset.entry.sha256[:12]}…",
            f"{trained_on.sha256[:12]}…, which the network was trained on",
            remedy,
        )
    return dataset
