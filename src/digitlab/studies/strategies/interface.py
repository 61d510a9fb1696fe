"""What every strategy promises; `tests/studies/strategies/test_contract.py` holds each to it."""

from typing import Protocol

from digitlab.studies.stages import Asked, Known, Stage


class Strategy(Protocol):
    """Decides which runs a study needs next, from what is known and from nothing else.

    So it can be asked at any time, by any process: a study goes on where it was, whatever ended it.
    """

    @property
    def planned_count(self) -> int:
        """How many runs the study has, as far as that can be said beforehand."""
        ...

    def next(self, known: Known) -> Stage:
        """The stage that is due. It asks for no run that is known; without missing runs it is the last, and
        holds the conditions.
        """
        ...

    def asked(self) -> tuple[Asked, ...]:
        """What was asked for up to now, condition by condition, the rates of each rising; nothing before the
        first `next`. Early-stopped networks are left out: they are judged by the runs that they come from.
        """
        ...
