"""Dataset: the images and labels of a data set as bytes, often mapped files, and how pixels become inputs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from digitlab.data.catalog import DatasetEntry
from digitlab.spec import INPUT_SIZE, Precision, Scaling


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and the class of each; read-only, shared, often a memory map of a verified file."""

    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, read and verified."""

    entry: DatasetEntry
    train: LabelledImages
    test: LabelledImages

    def scale(self, scaling: Scaling) -> "InputScale":
        """The map from pixels to inputs that a RunSpec's `scaling` names for this data set."""
        return self._standard_scale if scaling == "standard" else input_scale(scaling, self.train.images)

    @cached_property
    def _standard_scale(self) -> "InputScale":
        # Every training image is read for it, which takes long where they are millions.
        return input_scale("standard", self.train.images)


@dataclass(frozen=True)
class InputScale:
    """The affine map from pixels to inputs: (pixel − offset) / divisor."""

    offset: float
    divisor: float

    def apply(self, images: UInt8[np.ndarray, "n 28 28"], precision: Precision) -> Float[np.ndarray, "n 784"]:
        """The inputs of a network, [n, 784], in the run's precision."""
        inputs: np.ndarray = self.table(precision)[images.reshape(len(images), INPUT_SIZE)]
        return inputs

    def table(self, precision: Precision) -> Float[np.ndarray, "256"]:
        """The input that each pixel value makes: there are 256, each is scaled once and then looked up."""
        number = np.dtype(precision).type
        scaled: np.ndarray = (np.arange(256, dtype=precision) - number(self.offset)) / number(self.divisor)
        return scaled


_FIXED_SCALES = {"unit": InputScale(0.0, 255.0), "symmetric": InputScale(127.5, 127.5)}
_PIECE = 1_000
"""Images whose pixels are counted at once."""
_LEAST_DEVIATION = 1e-6
"""Below that of a single grey pixel among all of a large data set: less would be no deviation of bytes."""


def is_scale_of(scaling: Scaling, scale: InputScale) -> bool:
    """Whether `input_scale` could give this scale for some images."""
    if scaling in _FIXED_SCALES:
        return scale == _FIXED_SCALES[scaling]
    return 0 <= scale.offset <= 255 and _LEAST_DEVIATION <= scale.divisor <= 127.5


def input_scale(scaling: Scaling, train_images: UInt8[np.ndarray, "n 28 28"]) -> InputScale:
    """The map that a RunSpec's `scaling` names.

    train_images: all training images of the data set (`standard` takes their mean and standard deviation,
                  a single one of each for all pixels)
    """
    if scaling in _FIXED_SCALES:
        return _FIXED_SCALES[scaling]
    values = np.arange(256, dtype=np.float64)
    # In pieces, for bincount makes 8-byte integers of what it counts: 6 MB of them.
    pieces = (train_images[first : first + _PIECE] for first in range(0, len(train_images), _PIECE))
    counts = sum(np.bincount(piece.ravel(), minlength=256) for piece in pieces)
    mean = float(np.average(values, weights=counts))
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    return InputScale(mean, deviation or 1.0)
