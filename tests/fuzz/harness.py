"""Feed random inputs to a parser: it may take them, or refuse them with a DigitlabError, and nothing else."""

import base64
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from digitlab.errors import DigitlabError, SpecError

SEED = 20_260
SECONDS_AN_INPUT = 10.0
LONGEST_REFUSAL = 20_000
"""Characters; one fault is short, but a document may have many."""


@dataclass(frozen=True)
class Parser:
    """What reads, and what makes inputs for it."""

    name: str
    make: Callable[[Random], Any]
    read: Callable[[Any], object]


@dataclass
class Tally:
    """What became of a parser's inputs; a failure says what the input was."""

    name: str
    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count what became of more inputs."""
        self.inputs += other.inputs
        self.refused += other.refused
        self.accepted += other.accepted
        self.seconds += other.seconds
        self.failures += other.failures


def fuzz(parser: Parser, numbers: range, seed: int = SEED, *, most_failures: int = 5) -> Tally:
    """Give a parser the inputs of these numbers; each depends on seed, parser and its number alone."""
    tally = Tally(parser.name)
    begin = time.perf_counter()
    for number in numbers:
        given = parser.make(Random(f"{seed}/{parser.name}/{number}"))
        start = time.perf_counter()
        problem = _read(parser, given, tally)
        if time.perf_counter() - start > SECONDS_AN_INPUT:
            problem = problem or f"it took more than {SECONDS_AN_INPUT:g} s"
        if problem:
            tally.failures.append(f"{parser.name}, input {number}: {problem}\n{_shown(given)}")
            if len(tally.failures) >= most_failures:
                break
        tally.inputs += 1
    tally.seconds = time.perf_counter() - begin
    return tally


def _read(parser: Parser, given: Any, tally: Tally) -> str | None:
    try:
        parser.read(given)
    except DigitlabError as error:
        tally.refused += 1
        text = str(error)
        if len(text) > LONGEST_REFUSAL:
            return f"its refusal has {len(text):,} characters"
        if isinstance(error, SpecError) and not text.replace("\n", "").isprintable():
            return f"its refusal has control characters: {text!r}"
        return None
    except Exception:  # noqa: BLE001  # this is what is looked for
        return traceback.format_exc(limit=-6)
    tally.accepted += 1
    return None


def _shown(given: Any) -> str:
    if isinstance(given, bytes):
        return f"base64: {base64.b64encode(given[:6_000]).decode()}"
    try:
        return repr(given)[:2_000]
    except (ValueError, RecursionError):
        return "(too large or too deep to show; make it again by its number)"
