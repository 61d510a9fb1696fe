"""Two queues: cohorts that wait for their turn, and messages that wait for their reader."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from digitlab.engine.progress import CohortProgress
from digitlab.execution.interface import CohortEnded, Runs
from digitlab.result import RunResult

_SECONDS_TO_NOTICE = 0.5
"""A waiting thread looks up so often: a signal's handler runs between two waits, on every platform."""


class Orders:
    """Cohorts that wait to be trained. Any thread may use it.

    cancelled: keys of all runs that were cancelled, and not allowed again
    observed:  keys of the runs whose parameters are told now and then
    """

    def __init__(self) -> None:
        self._waiting: deque[Runs] = deque()
        self._taken: set[str] = set()
        self._changed = threading.Condition()
        self._is_closed = False
        self.cancelled: set[str] = set()
        self.observed: set[str] = set()

    def observe(self, keys: Collection[str]) -> None:
        """Let the parameters of these runs be told, and of no others."""
        wanted = set(keys)
        with self._changed:  # one key after the other, for others look whether one is in it
            self.observed |= wanted
            self.observed &= wanted

    def allow(self, keys: Collection[str]) -> None:
        """Let runs that were cancelled be trained when they are put again."""
        with self._changed:
            self.cancelled -= set(keys)

    def put(self, runs: Runs) -> None:
        """Add a cohort."""
        with self._changed:
            self._waiting.append(runs)
            self._changed.notify()

    def take(self) -> Runs | None:
        """The next cohort, once there is one; None when the queue is closed."""
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            runs = self._waiting.popleft()
            self._taken.update(runs)
            return runs

    def take_now(self, fits: Callable[[Runs], bool] = lambda _: True) -> Runs | None:
        """The first cohort that waits and fits, without waiting for one."""
        with self._changed:
            runs = None if self._is_closed else next(filter(fits, self._waiting), None)
            if runs is not None:
                self._waiting.remove(runs)
                self._taken.update(runs)
            return runs

    def cancel(self, keys: Collection[str]) -> Runs:
        """Cancel runs; those that were waiting are taken out and returned."""
        with self._changed:
            self.cancelled.update(keys)
            gone = {key: runs[key] for runs in self._waiting for key in runs.keys() & keys}
            left = [{key: runs[key] for key in runs if key not in gone} for runs in self._waiting]
            self._waiting = deque(runs for runs in left if runs)
            return gone

    def ended(
        self,
        runs: Runs,
        results: Sequence[RunResult] = (),
        cause: str = "",
        *,
        began: bool = True,
        is_lost: bool = False,
    ) -> CohortEnded:
        """What to tell of runs that have ended: those without a result that are cancelled are said to be."""
        cancelled = (runs.keys() & self.cancelled) - {result.key for result in results}
        return CohortEnded(runs, results, frozenset(cancelled), cause, began, is_lost)

    def close(self) -> None:
        """Let nothing be taken any more, and cancel what was."""
        with self._changed:
            self._is_closed = True
            self.cancelled.update(self._taken)
            self._changed.notify_all()


T = TypeVar("T")


@dataclass
class _Latest:
    """Where the progress of a cohort waits: a later state takes its place."""

    progress: CohortProgress


class Mailbox(Generic[T]):
    """Messages of several threads for one reader, in their order. Putting never waits for the reader.

    Of the states of a cohort only the latest waits, with the curve's points of all, until something else is
    put behind it: so however slow the reader is, hardly anything piles up.
    """

    def __init__(self) -> None:
        self._messages: deque[T | _Latest] = deque()
        self._latest: dict[str, _Latest] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, message: T | CohortProgress) -> None:
        """Leave a message."""
        with self._changed:
            if not isinstance(message, CohortProgress):
                self._latest.clear()
                self._messages.append(message)
            elif waiting := self._latest.get(message.cohort):
                waiting.progress = message.after(waiting.progress)
            else:
                self._latest[message.cohort] = _Latest(message)
                self._messages.append(self._latest[message.cohort])
            self._changed.notify()

    def get(self, seconds: float = math.inf) -> T | CohortProgress | None:
        """The next message, once there is one; None when the mailbox is closed and empty.

        Raises TimeoutError when there is none for so many seconds.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not self._messages:
                if self._is_closed:
                    return None
                if (left := end - time.monotonic()) <= 0:
                    raise TimeoutError
                self._changed.wait(min(left, _SECONDS_TO_NOTICE))
            return self._first()

    def waiting(self) -> T | CohortProgress | None:
        """The next message, if there is one already."""
        with self._changed:
            return self._first() if self._messages else None

    def _first(self) -> T | CohortProgress:
        message = self._messages.popleft()
        if not isinstance(message, _Latest):
            return message
        if self._latest.get(message.progress.cohort) is message:
            del self._latest[message.progress.cohort]
        return message.progress

    def close(self) -> None:
        """Nothing more is put; what waits can still be read."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
