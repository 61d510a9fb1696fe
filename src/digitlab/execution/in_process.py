"""Trains in this process, in a thread of its own: little work, a GPU, the reference engine."""

import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from digitlab.engine.progress import Watch
from digitlab.execution.attempt import Trained, attempted
from digitlab.execution.interface import CohortStarted, Runs, Tell
from digitlab.execution.queues import Orders
from digitlab.spec import RunSpec

TrainCohort = Callable[[Sequence[RunSpec], Watch], Trained]
"""Trains a cohort, told where it is by the watch; runs that the watch cancels are left out."""


class InProcess:
    """One cohort after the other; see `Executor`.

    train: how
    save:  a folder for the trained networks
    """

    slots = 1

    def __init__(self, train: TrainCohort, save: Path | None = None) -> None:
        self._train_cohort, self._save, self._orders = train, save, Orders()
        self._tell: Tell
        self._thread = threading.Thread(target=self._serve, daemon=True, name="digitlab training")

    def start(self, tell: Tell) -> None:
        """See `Executor`."""
        self._tell = tell
        self._thread.start()

    def submit(self, runs: Runs) -> None:
        """See `Executor`."""
        self._orders.put(runs)

    def cancel(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        if gone := self._orders.cancel(keys):
            self._tell(self._orders.ended(gone))

    def observe(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        self._orders.observe(keys)

    def close(self) -> None:
        """See `Executor`."""
        self._orders.close()
        self._thread.join()

    def _serve(self) -> None:
        while (runs := self._orders.take()) is not None:
            self._tell(CohortStarted(runs))
            watch = Watch(self._tell, self._orders.cancelled, observed=self._orders.observed)
            train = partial(self._train_cohort, list(runs.values()), watch)
            self._tell(self._orders.ended(runs, *attempted(train, self._save)))
