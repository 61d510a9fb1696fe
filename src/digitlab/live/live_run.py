"""What is seen of one run while it waits, trains and has ended."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from digitlab.engine.progress import CurvePoint
from digitlab.live.visitors import Visitor
from digitlab.result import Curve, RunResult
from digitlab.spec import RunSpec

Status = Literal["waiting", "training", "done", "diverged", "collapsed", "failed", "cancelled"]

_SMALLEST_FRACTION = 2.0**-16
"""As on the page: `rate` in `web/static/lib/format.js`."""


@dataclass(frozen=True)
class LiveRun:
    """One run as the page shows it.

    race:          names the runs that were submitted together; None: it was submitted alone
    race_title:    what whoever submitted them calls them
    position:      of a run that waits: how many stand before it in the queue, and one
    step:          taken so far, of spec.step_count
    training_loss: nats, of the batches since the last point; None: not known yet
    accuracy:      on the validation split; without one, of the latest batch; None: not known yet
    points:        of the curve so far
    steps_per_second, seconds_left: lately; None: not known
    seconds:       of training so far, or in all
    test_accuracy: of the final network; None: there is none yet
    weights:       number of the latest snapshot of its parameters, 0: none is here
    says:          what there is to say of its end, in a sentence with a remedy; None: nothing
    version:       grows with each change
    """

    key: str
    spec: RunSpec
    race: str | None = None
    race_title: str | None = None
    status: Status = "waiting"
    position: int | None = None
    step: int = 0
    training_loss: float | None = None
    accuracy: float | None = None
    points: tuple[CurvePoint, ...] = ()
    steps_per_second: float | None = None
    seconds_left: float | None = None
    seconds: float = 0.0
    test_accuracy: float | None = None
    weights: int = 0
    says: str | None = None
    visitor: Visitor | None = None
    version: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether it neither waits nor trains."""
        return self.status not in ("waiting", "training")

    @property
    def title(self) -> str:
        """The network, and what one turns first: `784-100-10, rate 1/8, batch 100`."""
        return title_of(self.spec)


def title_of(spec: RunSpec) -> str:
    """A run's title; see `LiveRun.title`."""
    rate = rate_in_words(spec.optimiser.learning_rate)
    return f"{spec.network_name}, rate {rate}, batch {spec.batch_size}"


def rate_in_words(rate: float) -> str:
    """A learning rate as people write it: 1/8 for 0.125, and 0.01 for 0.01."""
    fraction = Fraction(rate)
    is_power = fraction.denominator & (fraction.denominator - 1) == 0
    if fraction.numerator == 1 and is_power and _SMALLEST_FRACTION <= rate < 1:
        return f"1/{fraction.denominator}"
    return f"{rate:g}"


def points_of(curve: Curve) -> tuple[CurvePoint, ...]:
    """A finished curve, point by point."""
    nothing: tuple[float | None, ...] = (None,) * len(curve.step)
    return tuple(
        CurvePoint(*point)
        for point in zip(
            curve.step,
            curve.training_loss,
            curve.validation_loss or nothing,
            curve.validation_accuracy or nothing,
            strict=True,
        )
    )


def status_of(result: RunResult) -> Status:
    """How a run that has a result has ended."""
    return "done" if result.outcome == "completed" else result.outcome
