"""One database as the store sees it: transactions that wait their turn, and errors told with their remedy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import SQLAlchemyError

from digitlab.errors import StoreError

T = TypeVar("T")
OnWait = Callable[[str], None]


def ignore(_message: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Database:
    """What differs between databases.

    location:        where it is, for messages
    readers:         makes connections, each used by one thread, whose transactions read
    writers:         the same for those that write
    timeout_seconds: how long one transaction may wait until others let it in
    on_wait:         told, once a transaction, when that takes longer than a moment
    insert:          the dialect's INSERT, which knows ON CONFLICT
    is_busy:         whether an error means that others are at it; raised a moment after the call
    explain:         an error in words of ours, with the remedy
    examine:         raises StoreError when the database's own structures are damaged
    """

    location: str
    readers: Engine
    writers: Engine
    timeout_seconds: float
    on_wait: OnWait
    insert: Callable[[Table], Any]
    is_busy: Callable[[Exception], bool]
    explain: Callable[[Exception], StoreError]
    examine: Callable[[Connection], None]

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of reading in one transaction. Raises StoreError."""
        return self._transact(self.readers, work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of writing in one transaction: all of it, or nothing and StoreError."""
        return self._transact(self.writers, work)

    def close(self) -> None:
        """Let go of all connections."""
        self.readers.dispose()  # of the writers too: they share a pool

    def _transact(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        start, is_told = time.monotonic(), False
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            # The latter two: a number or a text that no database can hold, in a filter; a text in the
            # database that is none.
            except (SQLAlchemyError, OverflowError, UnicodeError) as error:
                if not self.is_busy(error) or time.monotonic() - start >= self.timeout_seconds:
                    raise self.explain(error) from None
            if not is_told:
                patience = f"waiting for up to {self.timeout_seconds:g} s"
                self.on_wait(f"{self.location}: another digitlab holds the store; {patience}")
                is_told = True
