"""What happens to runs, as values: the same from this process and from worker processes.

Of each run first Planned, then Started and Progress (again when it is tried again), and at the end exactly
one of Finished, Failed and Cancelled.
"""

from dataclasses import dataclass

from digitlab.engine.progress import CurvePoint, Progress
from digitlab.result import RunResult
from digitlab.spec import RunSpec

__all__ = [
    "Cancelled",
    "CurvePoint",
    "Ended",
    "Event",
    "Failed",
    "Failure",
    "Finished",
    "Planned",
    "Progress",
    "Started",
]


@dataclass(frozen=True)
class Failure:
    """A run that was tried and has no result. The next one that asks for it tries again."""

    spec: RunSpec
    cause: str


@dataclass(frozen=True)
class Planned:
    """A run will be trained.

    share: of the whole work, as estimated; those of all runs add up to 1
    """

    key: str
    spec: RunSpec
    share: float


@dataclass(frozen=True)
class Started:
    """A run begins, from its first step."""

    key: str


@dataclass(frozen=True)
class Finished:
    """A run has a result, also where its network has diverged."""

    key: str
    result: RunResult


@dataclass(frozen=True)
class Failed:
    """A run has no result, after all that was tried."""

    key: str
    failure: Failure


@dataclass(frozen=True)
class Cancelled:
    """A run was stopped because someone asked for it. It has no result."""

    key: str


Ended = Finished | Failed | Cancelled
Event = Planned | Started | Progress | Ended
