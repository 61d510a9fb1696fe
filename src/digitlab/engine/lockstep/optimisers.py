"""How a gradient changes the parameters of stacked members, each by the constants of its own run.

SGD as `torch.optim.SGD` (Sutskever et al. 2013, in the form that PyTorch documents); Adam by Kingma & Ba
2015, algorithm 1; AdamW by Loshchilov & Hutter 2019, algorithm 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from digitlab.engine.schedules import learning_rate
from digitlab.spec import SGD, Adam, RunSpec


@dataclass
class Parameter:
    """One parameter of all members, with as many moments as its optimiser keeps, [member, units, inputs]."""

    value: Tensor
    moments: list[Tensor]

    def keep(self, members: Tensor) -> None:
        """Go on with these members alone."""
        self.value = self.value[members]
        self.moments = [moment[members] for moment in self.moments]


def moment_count(specs: Sequence[RunSpec]) -> int:
    """How many moments the parameters of a cohort need."""
    if isinstance(specs[0].optimiser, SGD):
        return int(any(isinstance(spec.optimiser, SGD) and spec.optimiser.momentum for spec in specs))
    return 2


def constants(specs: Sequence[RunSpec], step: int) -> Float[Tensor, "constant member 1 1"]:
    """The constants of one step (the first is 0) of each member, in float64, as `update` takes them."""
    rows = [_constants(spec, learning_rate(spec, step), step + 1) for spec in specs]
    return torch.tensor(rows, dtype=torch.float64).T[:, :, None, None].contiguous()


def _constants(spec: RunSpec, rate: float, steps: int) -> tuple[float, ...]:
    by = spec.optimiser
    if isinstance(by, SGD):
        # The step is a mixture of slope and velocity: the velocity alone, but for Nesterov's.
        mixture = (1.0, by.momentum) if by.nesterov else (0.0, 1.0)
        return rate, by.weight_decay, by.momentum, *mixture
    coupled, shrink = (by.weight_decay, 1.0) if isinstance(by, Adam) else (0.0, 1 - rate * by.weight_decay)
    pace = rate / (1 - by.beta1**steps)
    return pace, coupled, shrink, 1 - by.beta1, by.beta2, (1 - by.beta2**steps) ** 0.5, by.epsilon


def update(parameter: Parameter, gradient: Tensor, by: Float[Tensor, "constant member 1 1"]) -> None:
    """Change a parameter and its moments in place.

    by: what `constants` gives, in the parameter's precision, on its device
    """
    if len(parameter.moments) == 2:
        _adam(parameter, gradient, *by)
    else:
        _sgd(parameter, gradient, *by)


def _sgd(
    parameter: Parameter,
    gradient: Tensor,
    rate: Tensor,
    decay: Tensor,
    momentum: Tensor,
    of_slope: Tensor,
    of_velocity: Tensor,
) -> None:
    slope = gradient.addcmul(decay, parameter.value)
    if parameter.moments:
        (velocity,) = parameter.moments
        velocity.mul_(momentum).add_(slope)
        slope = (of_velocity * velocity).addcmul_(of_slope, slope)
    parameter.value.addcmul_(rate, slope, value=-1)


def _adam(
    parameter: Parameter,
    gradient: Tensor,
    pace: Tensor,
    coupled: Tensor,
    shrink: Tensor,
    rest1: Tensor,
    beta2: Tensor,
    correction: Tensor,
    epsilon: Tensor,
) -> None:
    mean, square = parameter.moments
    parameter.value.mul_(shrink)
    slope = gradient.addcmul(coupled, parameter.value)
    mean.addcmul_(rest1, slope - mean)
    square.mul_(beta2).addcmul_((1 - beta2) * slope, slope)
    parameter.value.sub_(pace * mean / (square.sqrt() / correction + epsilon))
