"""Trains in this process, in a thread of its own: little work, a GPU, the reference engine."""

import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from digitlab.engine.progress import Watch
from digitlab.errors import DigitlabError
from digitlab.execution.interface import CohortEnded, CohortStarted, Runs, Tell
from digitlab.execution.queues import Orders
from digitlab.models.trained import TrainedNetwork, save_all
from digitlab.result import RunResult
from digitlab.spec import RunSpec

TrainCohort = Callable[[Sequence[RunSpec], Watch], list[tuple[RunResult, TrainedNetwork]]]
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
            self._tell(CohortEnded(gone, cancelled=frozenset(gone)))

    def close(self) -> None:
        """See `Executor`."""
        self._orders.close()
        self._thread.join()

    def _serve(self) -> None:
        while (runs := self._orders.take()) is not None:
            self._tell(CohortStarted(runs))
            self._tell(self._train(runs))

    def _train(self, runs: Runs) -> CohortEnded:
        results: list[RunResult] = []
        cause = ""
        try:
            watch = Watch(self._tell, self._orders.cancelled)
            trained = self._train_cohort(list(runs.values()), watch)
            save_all(trained, self._save)
            results = [result for result, _ in trained]
        except DigitlabError as error:
            cause = str(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this cohort's failure and is told
            cause = f"{type(error).__name__}: {error}"
        cancelled = (runs.keys() & self._orders.cancelled) - {result.key for result in results}
        return CohortEnded(runs, results, frozenset(cancelled), cause)
