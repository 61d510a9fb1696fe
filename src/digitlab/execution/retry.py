"""What is tried again: one policy for every executor."""

from collections import Counter

from digitlab.execution.interface import Runs

_ATTEMPTS = 2


class Retry:
    """A cohort that ended without results is tried again in halves, and a run alone twice.

    So one run that cannot be trained takes no other with it. Where not even a process starts, other halves
    would not help: after a few starts in a row that failed, nothing is tried again.
    """

    def __init__(self, slots: int) -> None:
        self._alone, self._failed_starts = Counter[str](), 0
        self._most_failed_starts = _ATTEMPTS * slots

    def after(self, runs: Runs, *, began: bool) -> list[Runs]:
        """The cohorts to try after one that ended without results; none: its runs have failed.

        began: whether there was a process that could train it
        """
        if not began:
            self._failed_starts += 1
            return [runs] if self._failed_starts < self._most_failed_starts else []
        self._failed_starts = 0
        keys = list(runs)
        if len(keys) > 1:
            half = len(keys) // 2
            return [{key: runs[key] for key in part} for part in (keys[:half], keys[half:])]
        self._alone[keys[0]] += 1
        return [runs] if self._alone[keys[0]] < _ATTEMPTS else []
