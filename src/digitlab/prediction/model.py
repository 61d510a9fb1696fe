"""A network with what is needed to answer by it: names of classes, calibration, what is typical."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from digitlab.data import registry
from digitlab.engine.inputs import run_split
from digitlab.errors import DigitlabError
from digitlab.models.trained import TrainedNetwork
from digitlab.prediction.calibration import Bin, by_confidence, fitted_temperature, tempered
from digitlab.prediction.typical import Typical, typical_of

OnWork = Callable[[str, float], None]
"""Told what is being done, and what share of it is."""

_USUAL_SHARE = 0.999
_IMAGES_FOR_AXES = 10_000


@dataclass(frozen=True, eq=False)
class Model:
    """A network that answers.

    class_names: of its classes
    temperature: by which its confidence is calibrated; None: it is not, for want of held-out images
    typical:     what its images look like; None: that is not known
    reliability: how often it is right at which confidence, on the images that calibrated it, if any did
    """

    network: TrainedNetwork
    class_names: tuple[str, ...]
    temperature: float | None
    typical: Typical | None
    reliability: tuple[Bin, ...] = ()

    def probabilities(self, images: UInt8[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n classes"]:
        """The calibrated probability of each class for each image. Raises WeightsError."""
        found = self.network.probabilities(images)
        return found if self.temperature is None else tempered(found, self.temperature)

    def is_strange(self, images: UInt8[np.ndarray, "n 28 28"]) -> np.ndarray:
        """Which images are unlike all that the network was trained on, [n]."""
        if self.typical is None:
            return np.zeros(len(images), bool)
        return np.asarray(self.typical.strangeness(images) > self.typical.limit)


def model_of(network: TrainedNetwork) -> Model:
    """The model of any network: calibrated on the images that its run held out, where it did and they are
    here.
    """
    spec = network.spec
    names = tuple(map(str, range(spec.data.classes)))
    temperature, typical = None, None
    bins: tuple[Bin, ...] = ()
    with suppress(DigitlabError):  # a data set that is not on this machine
        dataset = registry.load(spec.data.name)
        names = dataset.entry.class_names if len(dataset.entry.class_names) == len(names) else names
        if dataset.entry.data_spec == spec.data:
            images, labels = dataset.train.images, dataset.train.labels
            if spec.validation_size:
                held_out = run_split(spec, dataset).validation
                temperature, bins = calibrated(network, images[held_out], labels[held_out].astype(np.int64))
            if spec.data.name == "mnist":
                typical = typical_of(images[:_IMAGES_FOR_AXES], images[-_IMAGES_FOR_AXES:], _USUAL_SHARE)
    return Model(network, names, temperature, typical, bins)


def calibrated(
    network: TrainedNetwork, images: UInt8[np.ndarray, "n 28 28"], labels: Int[np.ndarray, "n"]
) -> tuple[float, tuple[Bin, ...]]:
    """A network's temperature, fitted on held-out images, and its reliability on these."""
    found = network.probabilities(images)
    temperature = fitted_temperature(found, labels)
    return temperature, by_confidence(tempered(found, temperature), labels)
