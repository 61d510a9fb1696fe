"""What the lockstep engine asks of the members of a cohort, however they compute."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from digitlab.engine.evaluate import Evaluation
from digitlab.networks import Layer
from digitlab.spec import RunSpec

Part = Literal["train", "validation", "test"]
"""Parts of the data that networks are evaluated on; `train` is each run's own subset."""

EVALUATION_CHUNK = 500
"""Examples evaluated at once. Fixed, for the losses of a chunk are summed before those of all chunks."""

_BLOCK_EXAMPLES = 1024
"""About as many examples are made ready at once: few enough to stay in a processor's cache."""


def cohort_key(spec: RunSpec) -> Hashable:
    """What runs of one cohort share; rates, momentum, decay, schedule, seed and subset may differ."""
    return (
        spec.data,
        spec.scaling,
        spec.validation_size,
        spec.train_size,
        spec.hidden,
        spec.batch_size,
        spec.last_batch,
        spec.step_count,
        spec.evaluation_steps if spec.evaluate_at != "epoch" else "epoch",
        spec.optimiser.kind,
        spec.precision,
    )


def block_steps(spec: RunSpec) -> int:
    """How many steps are made at once."""
    return max(1, _BLOCK_EXAMPLES // spec.batch_size)


@dataclass(frozen=True)
class Losses:
    """What a block of steps gave one member.

    batch_losses: of each step, nats, [step]; where one is not finite, those that follow mean nothing
    accuracy:     of the last step's batch, before its update
    """

    batch_losses: Sequence[float]
    accuracy: float


class Members(Protocol):
    """The networks of one cohort while they train, each known by its place among those that are left."""

    def train(self, steps: range) -> Sequence[Losses]:
        """Make these steps (the first step of a run is 0) and tell each member's losses, [member]."""
        ...

    def evaluate(self, part: Part) -> Sequence[Evaluation]:
        """Evaluate each member on a part of its run's data, [member]."""
        ...

    def layers(self, member: int) -> tuple[Layer, ...]:
        """A member's parameters as they are."""
        ...

    def keep(self, members: Sequence[int]) -> None:
        """Go on with these members alone."""
        ...
