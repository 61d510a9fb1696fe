"""Feeding a sink from the events of an execution, in a thread of its own.

Nothing that a sink does reaches the training: what it raises, or that it hangs, ends the log and is told in
one sentence. What waits for a sink is bounded, and so is the time that the end of a training waits for it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from digitlab.errors import plain
from digitlab.execution.events import (
    Cancelled,
    CurvePoint,
    Event,
    Failed,
    Finished,
    Planned,
    Progress,
    Started,
)
from digitlab.result import Curve, Metrics
from digitlab.sinks.interface import Ending, Sink
from digitlab.spec import RunSpec

MOST_WAITING = 10_000
"""Events that may wait for a sink; a result among them takes some 15 kB."""
PATIENCE_SECONDS = 5.0
"""After a training, a sink that takes nothing for so long is given up."""
OPENING_SECONDS = 30.0
"""So long it may take then to open: MLflow makes the tables of a new database one by one."""
_LONGEST_END_SECONDS = 60.0
_LONGEST_CAUSE = 300


class Subscriber:
    """Feeds a sink. No method waits for it, but `close`, which waits for a bounded time.

    name:      of the sink, in the sentence that tells a fault
    open_sink: makes it, in the thread that feeds it
    on_fault:  told once, in a sentence, from any thread, when the log ends before the runs do
    """

    def __init__(
        self,
        name: str,
        open_sink: Callable[[], Sink],
        on_fault: Callable[[str], None],
        patience_seconds: float = PATIENCE_SECONDS,
        opening_seconds: float = OPENING_SECONDS,
    ) -> None:
        self._name, self._open, self._on_fault = name, open_sink, on_fault
        self._patience, self._opening_seconds = patience_seconds, opening_seconds
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._is_closing, self._has_failed = False, False
        self._taken = 0
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"digitlab {name}")
        self._thread.start()

    def see(self, events: Iterable[Event]) -> None:
        """Take events; what they say is logged when the sink comes to it."""
        worth_it = [event for event in events if not isinstance(event, Progress) or event.points]
        with self._changed:
            if self._has_failed or self._is_closing:
                return
            self._waiting += worth_it
            is_too_much = len(self._waiting) > MOST_WAITING
            self._changed.notify()
        if is_too_much:
            self._give_up(f"it is too slow, {MOST_WAITING:,} events wait for it")

    def close(self) -> None:
        """Let the sink take what still waits, as long as it goes on taking."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
            if self._has_failed:
                return
        if not self._opened.wait(self._opening_seconds):
            self._give_up(f"it has not opened, {self._opening_seconds:g} seconds after the end")
            return
        for _ in range(max(1, int(_LONGEST_END_SECONDS / self._patience))):
            taken = self._taken
            self._thread.join(self._patience)
            if not self._thread.is_alive():
                return
            if self._taken == taken:
                self._give_up(f"it has not taken everything, {self._patience:g} seconds after its last event")
                return
        self._give_up(f"it has not taken everything, {_LONGEST_END_SECONDS:g} seconds after the end")

    def _serve(self) -> None:
        try:
            recorder = Recorder(self._open())
            self._opened.set()
            while (event := self._next()) is not None:
                recorder.take(event)
                self._taken += 1
            if not self._has_failed:
                recorder.close()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the sink's alone
            self._give_up(_in_words(error))
            self._opened.set()

    def _next(self) -> Event | None:
        with self._changed:
            while not self._waiting and not self._is_closing and not self._has_failed:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting and not self._has_failed else None

    def _give_up(self, why: str) -> None:
        with self._changed:
            if self._has_failed:
                return
            self._has_failed = True
            self._waiting.clear()
            self._changed.notify()
        with suppress(Exception):  # nobody to tell is no fault of the training either
            self._on_fault(f"{self._name}: nothing more is logged: {why}; the training is not affected")


def _in_words(error: BaseException) -> str:
    """What went wrong, on one line; what lies at the bottom of it first, such as a refused connection."""
    bottom = error
    while (below := bottom.__cause__ or bottom.__context__) is not None:
        bottom = below
    words = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(bottom, OSError) and bottom.strerror:
        where = bottom.filename if bottom is error else plain(words, _LONGEST_CAUSE // 2)
        words = f"{bottom.strerror} ({where})" if where else bottom.strerror
    return plain(words, _LONGEST_CAUSE)


class Recorder:
    """Tells a sink of runs, by their events: each point of a curve once, also where a run is tried again."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._planned: dict[str, RunSpec] = {}
        self._last_step: dict[str, int] = {}
        """Of the runs that have started."""

    def take(self, event: Event) -> None:
        """Pass on what an event says. Raises whatever the sink raises."""
        match event:
            case Planned(key, spec, _):
                self._planned[key] = spec
            case Started(key):
                self._start(key)
            case Progress(key, points=points):
                self._log(key, points)
            case Finished(key, result):
                self._log(key, points_of(result.curve))
                last = max(result.metrics.steps, self._last_step[key])
                self._sink.log(key, last, figures_of(result.metrics))
                self._end(key, result.outcome)
            case Failed(key, failure):
                self._start(key)
                self._end(key, "failed", failure.cause)
            case Cancelled(key):
                self._end(key, "cancelled")

    def close(self) -> None:
        """End what still trains: it is told nothing any more. Raises whatever the sink raises."""
        for key in list(self._last_step):
            self._end(key, "cancelled")
        self._sink.close()

    def _start(self, key: str) -> None:
        if key not in self._last_step:
            self._last_step[key] = 0
            self._sink.start(self._planned[key])

    def _log(self, key: str, points: Iterable[CurvePoint]) -> None:
        self._start(key)
        for point in points:
            if point.step > self._last_step[key]:
                self._last_step[key] = point.step
                self._sink.log(key, point.step, figures_at(point))

    def _end(self, key: str, ending: Ending, cause: str = "") -> None:
        if key in self._last_step:
            self._sink.end(key, ending, cause)
        self._planned.pop(key, None)
        self._last_step.pop(key, None)


def points_of(curve: Curve) -> list[CurvePoint]:
    """A curve, point by point."""
    nothing = [None] * len(curve.step)
    columns = (curve.validation_loss or nothing, curve.validation_accuracy or nothing)
    return list(map(CurvePoint, curve.step, curve.training_loss, *columns))


def figures_at(point: CurvePoint) -> dict[str, float]:
    """What a point of a curve says, by name."""
    return _known(vars(point), ("training_loss", "validation_loss", "validation_accuracy"))


def figures_of(metrics: Metrics) -> dict[str, float]:
    """What is measured once a run has ended, by name."""
    names = ("training_set_loss", "training_set_accuracy", "test_loss", "test_accuracy")
    return _known(vars(metrics), names)


def _known(values: Mapping[str, float | None], names: Iterable[str]) -> dict[str, float]:
    return {name: value for name in names if (value := values[name]) is not None}
