"""What the lockstep engine asks of a backend: how the members of a cohort compute."""

from collections.abc import Container, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from digitlab.data.arrays import Dataset
from digitlab.engine.evaluation import Evaluation
from digitlab.models.parameters import Layer
from digitlab.result import Arithmetic
from digitlab.spec import RunSpec
from digitlab.validation import Part as SpecPart

Part = Literal["train", "validation", "test"]
"""Parts of the data that networks are evaluated on; `train` is each run's own subset."""

EVALUATION_CHUNK = 500
"""Examples evaluated at once. Fixed, for the losses of a chunk are summed before those of all chunks."""

_ADAM_CONSTANTS = ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay")

MOST_LIST_BYTES = 1 << 28
"""So much the kernel keeps of lists of pixels, where a block of steps needs no more: those of 400,000 images
like MNIST's. A data set of 60,000 images never takes as much, even where no pixel is black."""

MOST_THREADS = 256
"""That train one network together, as in kernel.c."""

_BLOCK_EXAMPLES = 1024
"""About as many examples are made ready at once: few enough to stay in a processor's cache."""
_BLOCK_PRODUCTS = 4_000_000_000
"""And, of a large network, only so many that a member's block takes a fraction of a second: forward, backward
and gradient are a product for each weight and example. A run is stopped between two blocks."""

MAY_DIFFER = frozenset(
    {
        *("seed", "initialisation"),
        *("optimiser.sgd.learning_rate", "optimiser.sgd.momentum", "optimiser.sgd.nesterov"),
        "optimiser.sgd.weight_decay",
        *(f"optimiser.{kind}.{name}" for kind in ("adam", "adamw") for name in _ADAM_CONSTANTS),
        *("schedule.constant.kind", "schedule.warmup-cosine.kind"),
        *("schedule.warmup-cosine.warmup_steps", "schedule.warmup-cosine.final_fraction"),
        # Two ways to tell the steps of a run and of its evaluations, which are shared: see `cohort_key`.
        *("budget.epochs", "budget.steps", "evaluate_at"),
    }
)
"""Fields of a RunSpec, and by kind of its parts, that both backends read member by member. All others are
shared, and so is a field that is added later, until its name stands here."""


def cohort_key(spec: RunSpec) -> Hashable:
    """What runs of one cohort share: their steps, and all fields that are not in MAY_DIFFER."""
    # "epoch" stands for steps that follow from fields that are shared.
    at = "epoch" if spec.evaluate_at == "epoch" else spec.evaluation_steps
    return (spec.step_count, at, *_shared(spec, ""))


def _shared(part: SpecPart, place: str) -> Iterator[tuple[str, Hashable]]:
    """Path and value of each field that members share, those of inner parts too."""
    for name in type(part).model_fields:
        path, value = f"{place}{name}", getattr(part, name)
        if isinstance(value, SpecPart):
            kind = getattr(value, "kind", None)
            yield from _shared(value, f"{path}.{kind}." if kind else f"{path}.")
        elif path not in MAY_DIFFER:
            yield path, value


def block_steps(spec: RunSpec) -> int:
    """How many steps are made at once."""
    weights = sum(inputs * units for inputs, units in pairwise(spec.layer_sizes))
    examples = min(_BLOCK_EXAMPLES, _BLOCK_PRODUCTS // (3 * weights))
    return max(1, examples // spec.batch_size)


@dataclass(frozen=True)
class Losses:
    """What a block of steps gave one member.

    batch_losses: of each step, nats, [step]; where one is not finite, those that follow mean nothing
    accuracy:     of the last step's batch, before its update
    """

    batch_losses: Sequence[float]
    accuracy: float


class Members(Protocol):
    """The networks of one cohort while they train, each known by its place among those that are left.

    Those whose runs are cancelled may be skipped: what is told of them means nothing.
    """

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


class Backend(Protocol):
    """One way to compute: what makes the members of cohorts, and what a result has to say of it."""

    @property
    def arithmetic(self) -> Arithmetic:
        """What makes the products and sums."""
        ...

    @property
    def threads(self) -> int:
        """How many threads of this process train a network together; known while `settings` hold."""
        ...

    @property
    def compiler(self) -> str | None:
        """Which compiler built the compiled kernel; None for torch."""
        ...

    @property
    def matmul_precision(self) -> str | None:
        """How exactly torch multiplies matrices of float32; None for the compiled kernel."""
        ...

    def settings(self) -> AbstractContextManager[None]:
        """What has to hold in this process while members train."""
        ...

    def together(self, specs: Sequence[RunSpec]) -> list[list[int]]:
        """Which members of a cohort train as one, and in which order, as places among the specs."""
        ...

    def members(
        self,
        specs: Sequence[RunSpec],
        dataset: Dataset,
        cancelled: Container[str],
        layers: Sequence[tuple[Layer, ...]] | None = None,
    ) -> Members:
        """The networks of these runs before their first step, or with other parameters, to be evaluated.

        cancelled: keys of runs that need not be trained any further; it may grow at any time
        layers:    parameters of each, [member]; None: those that each run starts from
        """
        ...
