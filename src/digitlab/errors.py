"""The errors that digitlab raises on purpose: each is a sentence that tells its reader the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass


class DigitlabError(Exception):
    """Anything that went wrong for a reason the user can act on. Shown without a stack trace."""


class DataError(DigitlabError):
    """A data set or one of its files is not what it should be."""

    def __init__(self, source: object, found: str, expected: str, remedy: str) -> None:
        self.source, self.found, self.expected, self.remedy = str(source), found, expected, remedy
        super().__init__(f"{source}: found {found}, expected {expected}; {remedy}")


class DeviceError(DigitlabError):
    """The device asked for is not there or cannot do what was asked."""


class RunError(DigitlabError):
    """A computation failed, and has no result."""


class WeightsError(DigitlabError):
    """Weights cannot be read, written, or computed with."""


class StoreError(DigitlabError):
    """The store cannot be read or written, or does not hold what was asked of it."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one field: `problem` completes the sentence that the value begins."""

    field: str
    value: object
    problem: str

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > 60:
            shown = f"{shown[:57]}..."
        return f"{self.field}: {shown} {self.problem}"


class SpecError(DigitlabError):
    """A specification with faults: all of them, one a line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))
