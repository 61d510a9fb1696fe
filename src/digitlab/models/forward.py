"""The forward pass of a network in NumPy, in the precision of its layers: inputs -> probabilities."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from digitlab.models.parameters import Layer


def probabilities(
    layers: Sequence[Layer], inputs: Float[np.ndarray, "n inputs"]
) -> Float[np.ndarray, "n classes"]:
    """The probability of each class for each example; NaN where numbers overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        *hidden, last = layers
        activations = inputs
        for layer in hidden:
            activations = activations @ layer.weight.T  # [n, units]
            activations += layer.bias
            np.maximum(activations, 0, out=activations)
        return softmax(activations @ last.weight.T + last.bias)


def softmax(logits: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, "n classes"]:
    """exp(z) / Σ exp(z) of each row."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
