"""Worker processes that are kept between trainings: each takes an executor, and all share the workers."""

import threading
from collections.abc import Collection
from pathlib import Path

from digitlab.execution.interface import CohortEnded, CohortStarted, Executor, Message, Runs, Tell
from digitlab.execution.workers import Workers


class Pool:
    """Workers that any number of trainings use at the same time, the first that was submitted first.

    A run is in one training at a time. With no training under way the workers wait, and compute nothing.

    count: how many processes
    save:  a folder into which each worker writes the networks that it has trained
    """

    def __init__(self, count: int, *, save: Path | None = None) -> None:
        self.slots = count
        self._workers = Workers(count, ["float32"], save=save)
        self._changed = threading.Lock()
        # Nothing is submitted while runs are let go: the same run may have a new owner by then.
        self._order = threading.RLock()
        self._owners: dict[str, _Share] = {}
        self._observed: dict[_Share, frozenset[str]] = {}
        self._workers.start(self._tell)

    def executor(self) -> Executor:
        """An executor for one training, whose end ends its runs and nothing else."""
        return _Share(self)

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        self._workers.close()

    def submit(self, owner: "_Share", runs: Runs) -> None:
        """Train a cohort for one of the executors."""
        with self._order:
            with self._changed:
                new = [key for key in runs if self._owners.get(key) is not owner]
                self._owners.update(dict.fromkeys(runs, owner))
            self._workers.allow(new)
            self._workers.submit(runs)

    def cancel(self, keys: Collection[str]) -> None:
        """Stop runs."""
        self._workers.cancel(keys)

    def observe(self, owner: "_Share", keys: Collection[str]) -> None:
        """Let one of the executors tell the parameters of these of its runs."""
        with self._changed:
            self._observed[owner] = frozenset(keys)
            wanted = frozenset().union(*self._observed.values())
        self._workers.observe(wanted)

    def release(self, owner: "_Share") -> None:
        """Stop all runs of an executor; it is told nothing any more."""
        with self._order:
            with self._changed:
                keys = [key for key, theirs in self._owners.items() if theirs is owner]
                self._observed.pop(owner, None)
            self._workers.cancel(keys)
            with self._changed:
                for key in keys:
                    self._owners.pop(key, None)

    def _tell(self, message: Message) -> None:
        key = next(iter(message.runs)) if isinstance(message, CohortStarted | CohortEnded) else message.cohort
        with self._changed:
            owner = self._owners.get(key)
        if owner is not None:
            owner.tell(message)


class _Share:
    """What one training has of the pool; see `Executor`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.slots = pool.slots
        self.tell: Tell

    def start(self, tell: Tell) -> None:
        """See `Executor`."""
        self.tell = tell

    def submit(self, runs: Runs) -> None:
        """See `Executor`."""
        self._pool.submit(self, runs)

    def cancel(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        self._pool.cancel(keys)

    def observe(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        self._pool.observe(self, keys)

    def close(self) -> None:
        """See `Executor`."""
        self._pool.release(self)
