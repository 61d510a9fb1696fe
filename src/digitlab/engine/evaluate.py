"""Evaluation: loss, predictions and dead layers of a network on a set of examples."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn
from torch.nn.functional import cross_entropy

from digitlab.engine.inputs import Examples

_CHUNK = 10_000
"""Examples evaluated at once: bounds the memory that activations take."""


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


def evaluate(network: nn.Sequential, examples: Examples) -> Evaluation:
    """Evaluate a network; losses are summed in float64."""
    loss_sum = 0.0
    predictions = []
    layer_peaks: dict[int, float] = {}
    with torch.inference_mode():
        for start in range(0, len(examples), _CHUNK):
            activations = examples.inputs[start : start + _CHUNK]  # [chunk, 784]
            labels = examples.labels[start : start + _CHUNK]
            for i, module in enumerate(network):
                activations = module(activations)  # [chunk, units]
                if isinstance(module, nn.ReLU):
                    layer_peaks[i] = max(layer_peaks.get(i, 0.0), activations.max().item())
            losses = cross_entropy(activations, labels, reduction="none")  # [chunk]
            loss_sum += losses.cpu().double().sum().item()
            predictions.append(activations.argmax(1).to("cpu", torch.uint8))
    predicted = torch.cat(predictions)
    return Evaluation(
        loss=loss_sum / len(examples),
        accuracy=(predicted == examples.labels.cpu()).double().mean().item(),
        predictions=predicted.numpy(),
        has_dead_layer=0.0 in layer_peaks.values(),
    )
