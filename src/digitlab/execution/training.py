"""Runs under way, as a stream of events."""

import math
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from digitlab.engine.progress import CohortProgress
from digitlab.execution.events import (
    Cancelled,
    Event,
    Failed,
    Failure,
    Finished,
    Planned,
    Progress,
    Started,
)
from digitlab.execution.interface import CohortEnded, CohortStarted, Executor, Message, Runs
from digitlab.execution.queues import Mailbox
from digitlab.execution.retry import Retry

_MOST_TOGETHER = 1_000


class Training:
    """Runs that are being trained: iterate over it for their events, until all have ended.

    The training goes on whether or not anybody reads; a slow reader gets the latest progress of each run,
    with all points of its curve. Leaving the `with` block ends what still trains.
    """

    def __init__(self, executor: Executor, cohorts: Sequence[Runs], shares: Mapping[str, float]) -> None:
        self._executor, self._retry = executor, Retry(executor.slots)
        self._mailbox: Mailbox[Sequence[Event]] = Mailbox()
        self._changed = threading.Lock()
        self._left = {key for runs in cohorts for key in runs}
        self._mailbox.put([Planned(key, spec, shares[key]) for runs in cohorts for key, spec in runs.items()])
        if not self._left:
            self._mailbox.close()
        executor.start(self._take)
        for runs in cohorts:
            executor.submit(runs)

    def __iter__(self) -> Iterator[Event]:
        for together in self.batches():
            yield from together

    def batches(self, seconds: float = math.inf) -> Iterator[Sequence[Event]]:
        """The events, those together that come together, such as the ends of a cohort's runs.

        seconds: where nothing happens for so long, an empty sequence comes, so that the reader can look up

        A reader that is slower than what happens gets all that waits for it at once, some thousand events at
        most: what each reading costs it, such as a commit, it then has once for many cohorts.
        """
        while True:
            try:
                message = self._mailbox.get(seconds)
            except TimeoutError:
                yield ()
                continue
            if message is None:
                return
            together = list(_events(message))
            while len(together) < _MOST_TOGETHER and (message := self._mailbox.waiting()) is not None:
                together += _events(message)
            yield together

    def cancel(self, keys: Collection[str] | None = None) -> None:
        """Stop runs within a second, whatever they are doing, or all; a run that has ended stays as it is.

        No other run changes by a bit. In this process a network of which a single step takes longer than that
        is stopped after the step.
        """
        with self._changed:
            cancelled = frozenset(self._left if keys is None else keys)
        self._executor.cancel(cancelled)

    def observe(self, keys: Collection[str]) -> None:
        """Let the progress of these runs, and of no others, hold their parameters now and then."""
        self._executor.observe(keys)

    def close(self) -> None:
        """End what still trains, and wait for that."""
        self._executor.close()
        self._mailbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, message: Message) -> None:
        """Make events of what an executor tells. Called from its threads."""
        if isinstance(message, CohortStarted):
            self._mailbox.put([Started(key) for key in message.runs])
        elif isinstance(message, CohortProgress):
            self._mailbox.put(message)
        else:
            self._end(message)

    def _end(self, ended: CohortEnded) -> None:
        events: list[Event] = [Finished(result.key, result) for result in ended.results]
        events += [Cancelled(key) for key in ended.cancelled]
        done = {result.key for result in ended.results} | ended.cancelled
        lost = {key: spec for key, spec in ended.runs.items() if key not in done}
        if lost:
            with self._changed:
                retries = self._retry.after(lost, began=ended.began, is_lost=ended.is_lost)
            for runs in retries:
                self._executor.submit(runs)
            failed = lost.keys() - {key for runs in retries for key in runs}
            events += [Failed(key, Failure(spec, ended.cause)) for key, spec in lost.items() if key in failed]
        if events:
            self._mailbox.put(events)
        with self._changed:
            self._left -= {event.key for event in events}
            if not self._left:
                self._mailbox.close()


def _events(message: Sequence[Event] | CohortProgress) -> Sequence[Event]:
    return message.runs() if isinstance(message, CohortProgress) else message


@dataclass(frozen=True)
class Advance:
    """How far many runs have come.

    share: of the work, 0 to 1, as far as it can be estimated
    runs:  how many have ended, of run_count
    """

    share: float
    runs: int
    run_count: int


_MOST_BEFORE_THE_END = math.nextafter(1.0, 0.0)


class AdvanceMeter:
    """How far runs have come, by their events: never less than before; 1 when all have ended, not earlier."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}
        self._part: dict[str, float] = {}
        self._sum, self._last, self._ended = 0.0, 0.0, 0

    def see(self, events: Sequence[Event]) -> Advance:
        """Take in events; how far the runs have come with them."""
        for event in events:
            match event:
                case Planned(key, _, share):
                    self._shares[key] = share
                case Started(key):
                    self._set(key, 0.0)
                case Progress(key, step, step_count):
                    self._set(key, step / step_count)
                case _:
                    self._set(event.key, 1.0)
                    self._ended += 1
        # A share is a sum of estimates: rounding, or a cohort that is tried again, must not show in it.
        is_done = self._ended == len(self._shares)
        self._last = 1.0 if is_done else max(self._last, min(self._sum, _MOST_BEFORE_THE_END))
        return Advance(self._last, self._ended, len(self._shares))

    def _set(self, key: str, part: float) -> None:
        self._sum += self._shares[key] * (part - self._part.get(key, 0.0))
        self._part[key] = part
