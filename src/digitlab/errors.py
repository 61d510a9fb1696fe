"""The errors that digitlab raises on purpose: each is a sentence that tells its reader the remedy."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

_SHOWN_CHARACTERS = 60
_SHOWN_BITS = 10_000
"""Python refuses to write whole numbers of thousands of digits in decimal; in hexadecimal it does not."""


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


class PictureError(DigitlabError):
    """A picture cannot be read, or is none."""


class StoreError(DigitlabError):
    """The store cannot be read or written, or does not hold what was asked of it."""


class _Short(reprlib.Repr):
    """`repr` of a bounded part of a value: it never raises, and takes no time for a large one."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 20, 4 * _SHOWN_CHARACTERS, 4 * _SHOWN_CHARACTERS
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxarray = 60

    def repr_int(self, x: int, _level: int) -> str:
        return hex(x) if x.bit_length() > _SHOWN_BITS else repr(x)

    def repr_str(self, x: str, _level: int) -> str:
        return repr(x[: self.maxstring])

    def repr_bytes(self, x: bytes, _level: int) -> str:
        return repr(x[: self.maxstring])

    def repr_dict(self, x: Mapping[object, object], level: int) -> str:
        if level <= 0:
            return "{...}"
        members = (
            f"{self.repr1(name, level - 1)}: {self.repr1(value, level - 1)}"
            for name, value in islice(x.items(), self.maxlist)
        )
        return f"{{{', '.join(members)}}}"


_SHORT = _Short()


def cause_of(error: Exception) -> str:
    """What went wrong, in words, where any exception may have ended some work: ours speak for themselves."""
    return str(error) if isinstance(error, DigitlabError) else f"{type(error).__name__}: {error}"


def with_extra(name: str) -> str:
    """How to get the libraries of an extra, for errors that say which is missing."""
    return f"in digitlab's folder: pip install '.[{name}]'"


def plain(text: str, most: int) -> str:
    """At most so many characters of a text; those that a terminal would obey are escaped."""
    cut = text[: most + 1]
    safe = cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
    return safe if len(safe) <= most else f"{safe[: most - 3]}..."


def shown(value: object) -> str:
    """A value as an error shows it: Python's words for it, cut to one short and harmless line."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # noqa: BLE001  # whatever the value does when it is asked, the fault is to be told
        text = f"<{type(value).__name__}>"
    return plain(text, _SHOWN_CHARACTERS)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one field: `problem` completes the sentence that the value begins."""

    field: str
    value: object
    problem: str

    def __str__(self) -> str:
        return f"{plain(self.field, 400)}: {shown(self.value)} {plain(self.problem, 2_000)}"


_FAULTS_TOLD = 50
"""Nobody reads more at once; a damaged list may have thousands."""


class SpecError(DigitlabError):
    """A specification with faults: all of them, one a line; of very many, the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults[:_FAULTS_TOLD]]
        if len(self.faults) > _FAULTS_TOLD:
            lines.append(f"and {len(self.faults) - _FAULTS_TOLD:,} more faults")
        super().__init__("\n".join(lines))
