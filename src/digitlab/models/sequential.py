"""Parameters as plain arrays -> nn.Sequential, and back. Loads torch; `parameters` does not."""

import torch
from torch import nn
from torch.nn.utils import skip_init

from digitlab.models.parameters import Layer


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
