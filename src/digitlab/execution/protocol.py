"""What this process and its workers say to each other.

Pickles both ways, between processes of one user that started one another: orders to a worker's standard
input, replies in a frame to a pipe of their own, which is not standard output, to which anything in a process
may print.
"""

import pickle
import struct
from dataclasses import dataclass
from typing import IO

from digitlab.engine.progress import CohortProgress
from digitlab.result import RunResult


@dataclass(frozen=True)
class Order:
    """Train a cohort: its runs' specs as JSON, a folder for the networks' weights, and the runs whose
    parameters are to be told.
    """

    specs: list[str]
    save: str | None
    observed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stop:
    """Stop runs of the cohort that trains."""

    keys: frozenset[str]


@dataclass(frozen=True)
class Observe:
    """Tell the parameters of these runs of the cohort, and of no others."""

    keys: frozenset[str]


@dataclass(frozen=True)
class Ready:
    """The worker waits for its first order."""


@dataclass(frozen=True)
class Done:
    """What came of a cohort: results of the runs that were not stopped; or none, and why."""

    results: list[RunResult]
    cause: str


Reply = Ready | CohortProgress | Done

_HEADER = struct.Struct(">8sQ")
_MAGIC = b"digitlab"


def send(reply: Reply, target: IO[bytes]) -> None:
    """Write a reply, so that `receive` can tell it from anything else."""
    content = pickle.dumps(reply)
    target.write(_HEADER.pack(_MAGIC, len(content)) + content)
    target.flush()


def receive(source: IO[bytes]) -> Reply:
    """Read a reply.

    Raises EOFError when the pipe ends before the reply does, ValueError when it is not a reply.
    """
    magic, size = _HEADER.unpack(_read_exactly(source, _HEADER.size))
    if magic != _MAGIC:
        raise ValueError("it is not a reply")
    reply = pickle.loads(_read_exactly(source, size))  # noqa: S301
    if not isinstance(reply, Reply):
        raise ValueError("it is not a reply")  # noqa: TRY004  # to the reader it is content, as any other
    return reply


def _read_exactly(source: IO[bytes], size: int) -> bytes:
    content = source.read(size)
    if len(content) < size:
        raise EOFError
    return content
