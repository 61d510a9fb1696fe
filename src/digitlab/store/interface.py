"""What a store promises, whatever database it lies in; one suite of tests holds every store to it."""

import builtins
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from digitlab.result import Outcome, RunResult


@dataclass(frozen=True)
class Filter:
    """Which runs are meant: those that agree with every field that is given.

    data:       name of the data set
    network:    layer sizes, as in 784-100-10
    key_prefix: the digits that the key begins with
    """

    data: str | None = None
    network: str | None = None
    outcome: Outcome | None = None
    batch_size: int | None = None
    seed: int | None = None
    key_prefix: str | None = None


@dataclass(frozen=True)
class RunRow:
    """The few figures by which runs are listed.

    test_accuracy:   NaN when the run diverged
    validation_loss: nats; None without a validation split, and when it is not a number
    seconds:         of training
    finished:        UTC, ISO 8601
    is_intact:        False: the row is not as it was written, and nothing else but its key is told
    """

    key: str
    data: str
    network: str
    batch_size: int
    learning_rate: float
    seed: int
    outcome: Outcome
    test_accuracy: float
    validation_loss: float | None
    seconds: float
    finished: str
    is_intact: bool = True

    @classmethod
    def damaged(cls, key: str) -> "RunRow":
        """The row of a run of which nothing but the key can be told."""
        return cls(key, "", "", 0, math.nan, 0, "diverged", math.nan, None, math.nan, "", is_intact=False)


SortBy = Literal[
    "key",
    "data",
    "network",
    "batch_size",
    "learning_rate",
    "seed",
    "outcome",
    "test_accuracy",
    "validation_loss",
    "seconds",
    "finished",
]
"""The figures of a RunRow that a listing can be sorted by."""


@dataclass(frozen=True)
class Order:
    """In which order runs are listed: what has no value comes last, and equals stand by their keys."""

    by: SortBy = "finished"
    descending: bool = True


NEWEST_FIRST = Order()


@dataclass(frozen=True)
class Verification:
    """What came of a verification.

    checked:    number of runs that were read
    set_aside:  keys under which something was not as it was written; it counts as unknown from now on
    unreadable: keys under which something is as it was written, but not by this version of digitlab: it
                stays, and counts as unknown
    """

    checked: int
    set_aside: tuple[str, ...]
    unreadable: tuple[str, ...] = ()


class Claims(Protocol):
    """What one driver of several has taken on, for a while: nobody else then trains the same.

    A claim ends when it is released, or when its driver has not been heard of for the time of a lease, by the
    database's clock; whoever asks next then has it. Nothing goes wrong when a driver comes back later: what
    it has trained is added like everything else. Any thread may call. Every method raises StoreError.
    """

    @property
    def beat_seconds(self) -> float:
        """How often `beat` is to be called."""
        ...

    def claim(self, keys: Collection[str]) -> frozenset[str]:
        """Those of the keys that are this driver's now, and are not done yet.

        A key that it holds already is granted again.
        """
        ...

    def beat(self) -> None:
        """Let the others know that this driver is alive: all that it holds is held for a whole lease more."""
        ...

    def holders(self, keys: Collection[str]) -> dict[str, str]:
        """Of the keys that other drivers hold: who holds them, in words for a person."""
        ...

    def release(self, keys: Collection[str]) -> None:
        """Give back what this driver holds of the keys; what others hold stays theirs."""
        ...

    def close(self) -> None:
        """Give back everything."""
        ...


class Store(Protocol):
    """RunResults by key, and what was measured on their networks.

    Sharing: any number of threads may use one store, any number of processes may open one place; a forked
    child may use its parent's. Nobody needs to take turns: who meets a store in use waits.
    Durability: what a method has written is on the disk when it returns, and whole: a process killed in the
    midst of it leaves nothing of it, and everything from before.
    Damage: every row has a hash. A row that does not agree with it counts as unknown everywhere, and so does
    one that this version of digitlab cannot read; it is computed again and then replaced.
    Every method raises StoreError, which tells the remedy, when the place cannot be read or written.
    """

    def add(self, results: Sequence[RunResult]) -> int:
        """Keep results, all of them or, when it raises, none; how many of them were new.

        A known key stays as it is, whatever the result says.
        """
        ...

    def known(self, keys: Iterable[str]) -> frozenset[str]:
        """Those of the keys whose runs `get` would give."""
        ...

    def get(self, keys: Iterable[str], *, predictions: bool = False) -> dict[str, RunResult]:
        """Results by key; what is not known is left out, and so is what this version cannot read.

        predictions: with them, else `predictions` is None; a run whose predictions were damaged is then
                     left out too
        """
        ...

    def predictions(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Predictions by key, a byte for each test image, of the runs that have them."""
        ...

    def list(
        self, run_filter: Filter, limit: int | None = None, *, offset: int = 0, order: Order = NEWEST_FIRST
    ) -> builtins.list[RunRow]:
        """Rows of the chosen runs, the newest first, each verified by its hash.

        limit, offset: at most so many of them, after so many
        order:         another one
        """
        ...

    def keys(self, run_filter: Filter, limit: int | None = None) -> builtins.list[str]:
        """Keys of the chosen runs in the same order. Quick, for nothing is verified."""
        ...

    def count(self, run_filter: Filter) -> int:
        """How many runs are chosen. Quick, for nothing is verified."""
        ...

    def delete(self, keys: Iterable[str]) -> int:
        """Forget all that is kept under these keys; how many runs that were."""
        ...

    def add_measurement(self, key: str, name: str, values: Mapping[str, float]) -> None:
        """Keep what was measured on the network of a key, such as its gradient noise scale.

        What is known already stays as it is. The run itself need not be there.
        """
        ...

    def measurements(self, keys: Iterable[str], name: str) -> dict[str, dict[str, float]]:
        """What was measured under a name, by key."""
        ...

    def measured(self) -> frozenset[tuple[str, str]]:
        """Key and name of all that was measured."""
        ...

    def verify(self) -> Verification:
        """Read and verify everything; what is not as it was written is set aside, out of all others' sight.

        The next run that needs it then computes it again. What this version cannot read is told and left.
        """
        ...

    def merge(self, other: "Store") -> int:
        """Take over what another store holds and this one does not; how many runs were new."""
        ...

    def claims(self, name: str = "") -> Claims | None:
        """New claims of this driver on runs; None where no other driver is expected.

        name: claims on what is measured under this name instead
        """
        ...

    def close(self) -> None:
        """Let go of the place. The store is of no use afterwards."""
        ...
