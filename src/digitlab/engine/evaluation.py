"""Evaluation, the value: how a network does on a set of examples."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network does on a set of examples.

    loss:           mean cross-entropy, nats
    accuracy:       share classified rightly
    predictions:    the likeliest class of each example, [n]
    has_dead_layer: whether some ReLU layer gives 0 for every unit and every example
    """

    loss: float
    accuracy: float
    predictions: UInt8[np.ndarray, "n"]
    has_dead_layer: bool

    @classmethod
    def unknown(cls) -> "Evaluation":
        """What is known of a network that was not evaluated, for it had diverged."""
        return cls(math.nan, math.nan, np.empty(0, np.uint8), has_dead_layer=False)

    def without_predictions(self) -> "Evaluation":
        """The same without the predictions, which take a byte an example."""
        return replace(self, predictions=np.empty(0, np.uint8))
