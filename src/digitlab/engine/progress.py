"""What an engine tells while it trains, and how it is told to stop."""

import math
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from digitlab.models.parameters import Layer

SECONDS_BETWEEN = 0.1
"""Between two states that a watch is told of."""
SECONDS_BETWEEN_SNAPSHOTS = 1 / 3
"""Between two that hold parameters."""


@dataclass(frozen=True)
class CurvePoint:
    """One point of a run's curve; see `result.Curve`. None: the run has no validation split."""

    step: int
    training_loss: float
    validation_loss: float | None
    validation_accuracy: float | None


@dataclass(frozen=True)
class Snapshot:
    """The parameters of a network while it trains, after so many steps."""

    step: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    key:           the run's
    step:          steps taken so far, of step_count
    training_loss: mean loss (nats) of the batches since the curve's last point; not finite: it has just
                   diverged, at the step of its last point
    accuracy:      of the latest evaluation on the validation split; without one, of the latest batch
    points:        of the curve, those that were not told before
    snapshot:      its parameters, now and then, where they were asked for
    """

    key: str
    step: int
    step_count: int
    training_loss: float
    accuracy: float
    points: tuple[CurvePoint, ...] = ()
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class CohortProgress:
    """Where the runs of a cohort are that still train, in few objects: there may be hundreds.

    cohort:    key of the first of all runs that it began with, whatever became of that
    state:     training loss and accuracy of each run, by key; of those too that have just diverged
    points:    of each run that has new ones, by key
    snapshots: of runs whose parameters were asked for, by key
    """

    cohort: str
    step: int
    step_count: int
    state: Mapping[str, tuple[float, float]]
    points: Mapping[str, tuple[CurvePoint, ...]] = field(default_factory=dict)
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)

    def after(self, earlier: "CohortProgress") -> "CohortProgress":
        """The state for one who has not been told the earlier one: with the points of both, the latest
        snapshots, and the runs that have diverged.
        """
        points = {
            key: earlier.points.get(key, ()) + self.points.get(key, ())
            for key in earlier.points.keys() | self.points.keys()
        }
        diverged = {key: state for key, state in earlier.state.items() if not math.isfinite(state[0])}
        return replace(
            self,
            state={**diverged, **self.state},
            points=points,
            snapshots={**earlier.snapshots, **self.snapshots},
        )

    def runs(self) -> list[Progress]:
        """The same, run by run."""
        return [
            Progress(
                key, self.step, self.step_count, *state, self.points.get(key, ()), self.snapshots.get(key)
            )
            for key, state in self.state.items()
        ]


OnProgress = Callable[[Progress], None]


class Watch:
    """Who watches a training: is told where the runs are, from time to time, and says which of them must
    stop.

    tell:      None: there is nobody to tell
    cancelled: keys of the runs that must stop; it may grow at any time, and nothing leaves it
    seconds:   the least time between two states that are told; the last one is told whenever it comes
    observed:  keys of the runs whose parameters are told now and then; it may change at any time
    """

    def __init__(
        self,
        tell: Callable[[CohortProgress], None] | None = None,
        cancelled: Container[str] = frozenset(),
        seconds: float = SECONDS_BETWEEN,
        observed: Container[str] = frozenset(),
    ) -> None:
        self._tell, self._seconds, self._last = tell, seconds, 0.0
        self._last_snapshots = 0.0
        self.cancelled, self._observed = cancelled, observed

    def is_due(self, step: int, step_count: int) -> bool:
        """Whether to tell the state after this step."""
        if self._tell is None:
            return False
        return step == step_count or time.monotonic() - self._last >= self._seconds

    def asks_for(self, keys: Sequence[str]) -> list[str]:
        """Those of the runs whose parameters to tell with this state."""
        if time.monotonic() - self._last_snapshots < SECONDS_BETWEEN_SNAPSHOTS:
            return []
        asked = [key for key in keys if key in self._observed]
        if asked:
            self._last_snapshots = time.monotonic()
        return asked

    def tell(self, progress: CohortProgress) -> None:
        """Pass on a state that is due."""
        if self._tell is not None:
            self._tell(progress)
        self._last = time.monotonic()


NOBODY = Watch()


def watched_by(on_progress: OnProgress | None) -> Watch:
    """A watch that tells each run's progress."""
    if on_progress is None:
        return NOBODY

    def tell(progress: CohortProgress) -> None:
        for run in progress.runs():
            on_progress(run)

    return Watch(tell)


class CancelledRunError(Exception):
    """A run was stopped because its watch said so."""
