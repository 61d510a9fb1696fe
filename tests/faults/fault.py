"""What a fault is: one small contract for all kinds."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.faults.system import System

Do = Callable[[System, Random], None]


def nothing(system: System, rng: Random) -> None:
    """Nothing has to be there."""


def _everywhere() -> str:
    return ""


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    inject:  does it at a random moment, while the study runs
    prepare: what has to be there before the study starts
    why_not: why it cannot be done on this machine; empty where it can
    codes:   with which the study may end; with 0 it ended as if nothing had been
    remedy:  the command that is given before the study runs again, where that alone does not do
    is_there_from_the_start: whether it is `prepare` that does it
    store:   in what kind of database the store lies
    is_done_once: whether no run may be trained by two drivers though two work at one study
    """

    name: str
    inject: Do
    codes: tuple[int, ...] = (0,)
    prepare: Do = nothing
    why_not: Callable[[], str] = _everywhere
    remedy: tuple[str, ...] = ()
    is_there_from_the_start: bool = False
    store: Literal["sqlite", "postgresql"] = "sqlite"
    is_done_once: bool = False
