"""Stages: what a study needs next, as a value, and what may be asked about what is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from digitlab.analysis.conditions import Condition
from digitlab.result import RunResult
from digitlab.spec import RunSpec


class Known(Protocol):
    """What is known already; a Store is one."""

    def get(self, keys: Iterable[str], /) -> Mapping[str, RunResult]:
        """Results by key; unknown keys are left out."""
        ...

    def measurements(self, keys: Iterable[str], name: str, /) -> Mapping[str, Mapping[str, float]]:
        """What was measured under a name, by key; unknown keys are left out."""
        ...


class NothingKnown:
    """What is known where there is no store yet."""

    def get(self, _keys: Iterable[str], /) -> Mapping[str, RunResult]:
        """No result."""
        return {}

    def measurements(self, _keys: Iterable[str], _name: str, /) -> Mapping[str, Mapping[str, float]]:
        """No measurement."""
        return {}


@dataclass(frozen=True)
class Asked:
    """Runs that a study has asked for so far where everything but the seed is the same.

    labels, groups: by axis
    is_best: a run is judged by the best validation loss of its curve, not by its last
    rate:    the learning rate
    keys:    of the runs, in the order of their seeds
    runs:    those of them that are known, likewise
    """

    labels: Mapping[str, str]
    groups: Mapping[str, str]
    is_best: bool
    rate: float
    keys: tuple[str, ...]
    runs: tuple[RunResult, ...]


@dataclass(frozen=True)
class Stage:
    """Where a study stands.

    title:       what is done in this stage
    missing:     the runs it still needs; none when the study is done
    run_count:   runs of this stage and those before
    notes:       what should be said aloud: ranges that grew, conditions that every rate broke
    conditions:  what was found; complete when no run is missing
    measurement: what is to be measured on the networks of the missing runs; "" when they are to be trained
    """

    title: str
    missing: tuple[RunSpec, ...]
    run_count: int
    notes: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    measurement: str = ""

    @property
    def is_done(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    @property
    def known_count(self) -> int:
        """Runs of this stage and those before that are known."""
        return self.run_count - (0 if self.measurement else len(self.missing))
