"""The contract of executors: cohorts in; what comes of them is told as it happens.

An executor trains and nothing else. It does not try again what has failed: that is `retry`'s, for all of
them. `tests/execution/test_contract.py` holds every executor to it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from digitlab.engine.progress import CohortProgress
from digitlab.result import RunResult
from digitlab.spec import RunSpec

Runs = Mapping[str, RunSpec]
"""The runs of a cohort by key, in their order."""


@dataclass(frozen=True)
class CohortStarted:
    """Runs of a cohort are being trained: those that were not cancelled before."""

    runs: Runs


@dataclass(frozen=True)
class CohortEnded:
    """What came of runs of a cohort: results of those that were not cancelled; or none, and why.

    cancelled: keys of the runs that have no result because they were cancelled
    cause:     why there are no results; empty where there are, or where all runs were cancelled
    began:     whether there was a process that could train it
    is_lost:   whether the machine or process that trained it was lost, which need not be the cohort's fault
    """

    runs: Runs
    results: Sequence[RunResult] = ()
    cancelled: frozenset[str] = frozenset()
    cause: str = ""
    began: bool = True
    is_lost: bool = False


Message = CohortStarted | CohortProgress | CohortEnded
Tell = Callable[[Message], None]
"""Called from threads of the executor, one cohort's messages in their order. It must return at once."""


class Executor(Protocol):
    """Trains cohorts, the first that was submitted first, and as many at once as it can.

    Whatever goes wrong with a cohort is told as its end, with a cause.
    """

    @property
    def slots(self) -> int:
        """How many cohorts it trains at once."""
        ...

    def start(self, tell: Tell) -> None:
        """Begin; no cohort is submitted before."""
        ...

    def submit(self, runs: Runs) -> None:
        """Train this cohort when its turn comes. From any thread, also while something is being told."""
        ...

    def cancel(self, keys: Collection[str]) -> None:
        """Stop these runs, wherever they are; all others go on to the same bits.

        Runs that wait are told to have ended at once; runs that train, when their cohort ends, which is soon
        where no other run is left in it. Keys of other runs are ignored.
        """
        ...

    def observe(self, keys: Collection[str]) -> None:
        """Tell the parameters of these runs, and of no others, now and then with their progress.

        Not what an engine does not tell, such as the reference engine. From any thread, at any time.
        """
        ...

    def close(self) -> None:
        """End everything, what trains included, and wait for that. Nothing is told any more."""
        ...
