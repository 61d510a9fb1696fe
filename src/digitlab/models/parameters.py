"""Parameters of networks as plain arrays, and those that a run starts from."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from digitlab.rng import stream
from digitlab.spec import Initialisation, Precision


@dataclass(frozen=True, eq=False)
class Layer:
    """The parameters of one linear layer: y = weight @ x + bias."""

    weight: Float[np.ndarray, "outputs inputs"]
    bias: Float[np.ndarray, "outputs"]


def digest(layers: Sequence[Layer]) -> str:
    """SHA-256 over parameters, 64 hexadecimal digits: the same for the same bits, whatever file holds them.

    Of each layer the weights and then the biases, and of each of these a line with its type and shape
    (`float32 100 784`) before its numbers, row by row, the lowest byte first.
    """
    found = hashlib.sha256()
    for array in (array for layer in layers for array in (layer.weight, layer.bias)):
        found.update(f"{array.dtype.name} {' '.join(map(str, array.shape))}\n".encode())
        found.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def initial_layers(
    layer_sizes: tuple[int, ...], initialisation: Initialisation, seed: int, precision: Precision
) -> tuple[Layer, ...]:
    """The parameters that a run starts from, a layer for each pair of neighbouring sizes.

    torch:  weights and biases uniform in ±1/√inputs: what nn.Linear does by default
    he:     weights normal with sd √(2/inputs), biases 0 (He et al. 2015, equation 10)
    glorot: weights uniform in ±√(6/(inputs + outputs)), biases 0 (Glorot & Bengio 2010, equation 16)

    Each tensor has its own stream, `init/<layer>/weight` or `…/bias`: layers of equal place and shape start
    equal at one seed, whatever the rest of the network. Draws are made in float64 and then rounded.
    """
    layers = []
    for i, (inputs, outputs) in enumerate(pairwise(layer_sizes)):
        weights, biases = stream(seed, f"init/{i}/weight"), stream(seed, f"init/{i}/bias")
        bias = np.zeros(outputs)
        if initialisation == "torch":
            bound = 1 / math.sqrt(inputs)
            weight = weights.uniform(-bound, bound, (outputs, inputs))
            bias = biases.uniform(-bound, bound, outputs)
        elif initialisation == "he":
            weight = weights.normal(0, math.sqrt(2 / inputs), (outputs, inputs))
        else:
            bound = math.sqrt(6 / (inputs + outputs))
            weight = weights.uniform(-bound, bound, (outputs, inputs))
        layers.append(Layer(weight.astype(precision), bias.astype(precision)))
    return tuple(layers)
