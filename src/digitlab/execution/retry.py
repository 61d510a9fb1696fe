"""What is tried again: one policy for every executor."""

from collections import Counter

from digitlab.execution.interface import Runs

_ATTEMPTS = 2
_LOSSES = 3


class Retry:
    """A cohort that ended without results is tried again in halves, and a run alone twice.

    So one run that cannot be trained takes no other with it. Where not even a process starts, other halves
    would not help: after a few starts in a row that failed, nothing is tried again.

    A cohort whose machine was lost has likely done nothing wrong: it is tried again whole; when it is lost
    again each of its runs alone, so that one that ends its worker takes no other with it; and what is lost
    three times has failed.
    """

    def __init__(self, slots: int) -> None:
        self._alone, self._losses, self._failed_starts = Counter[str](), Counter[str](), 0
        self._most_failed_starts = _ATTEMPTS * slots

    def after(self, runs: Runs, *, began: bool, is_lost: bool = False) -> list[Runs]:
        """The cohorts to try after one that ended without results; runs that are in none have failed.

        began, is_lost: see `CohortEnded`
        """
        if not began:
            self._failed_starts += 1
            return [runs] if self._failed_starts < self._most_failed_starts else []
        self._failed_starts = 0
        if is_lost:
            return self._after_loss(runs)
        keys = list(runs)
        if len(keys) > 1:
            half = len(keys) // 2
            return [{key: runs[key] for key in part} for part in (keys[:half], keys[half:])]
        self._alone[keys[0]] += 1
        return [runs] if self._alone[keys[0]] < _ATTEMPTS else []

    def _after_loss(self, runs: Runs) -> list[Runs]:
        self._losses.update(runs.keys())
        again = {key: spec for key, spec in runs.items() if self._losses[key] < _LOSSES}
        if all(self._losses[key] == 1 for key in again):
            return [again] if again else []
        return [{key: spec} for key, spec in again.items()]
