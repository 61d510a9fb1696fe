"""Networks: layer sizes -> parameters as plain arrays -> nn.Sequential, and back."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.nn.utils import skip_init

from digitlab.rng import stream
from digitlab.spec import Initialisation, Precision


@dataclass(frozen=True, eq=False)
class Layer:
    """The parameters of one linear layer: y = weight @ x + bias."""

    weight: Float[np.ndarray, "outputs inputs"]
    bias: Float[np.ndarray, "outputs"]


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


def build(layers: tuple[Layer, ...], device: torch.device | str = "cpu") -> nn.Sequential:
    """The network of these parameters: Linear, ReLU, Linear, …, Linear."""
    modules: list[nn.Module] = []
    for layer in layers:
        outputs, inputs = layer.weight.shape
        dtype = torch.from_numpy(layer.bias).dtype
        # skip_init: nn.Linear would draw its parameters from the global generator.
        linear = skip_init(nn.Linear, inputs, outputs, device=device, dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight))
            linear.bias.copy_(torch.from_numpy(layer.bias))
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def layers_of(network: nn.Sequential) -> tuple[Layer, ...]:
    """The parameters of a network, copied to the CPU."""
    return tuple(
        Layer(module.weight.detach().cpu().numpy().copy(), module.bias.detach().cpu().numpy().copy())
        for module in network
        if isinstance(module, nn.Linear)
    )
