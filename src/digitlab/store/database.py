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

_LONGEST_PAUSE_SECONDS = 1.0


def ignore(_message: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Database:
    """What differs between databases.

    location:        where it is, for messages
    readers:         makes connections, each used by one thread, whose transactions read
    writers:         the same for those that write
    timeout_seconds: how long one transaction may wait, from its first failure on, until others let it in
    on_wait:         told, once a transaction, when that takes longer than a moment
    insert:          the dialect's INSERT, which knows ON CONFLICT
    obstacle:        what an error says is in the way, where it is worth trying again; else None
    pause_seconds:   so long to wait before that; 0: the database itself has waited a moment
    explain:         an error in words of ours, with the remedy
    alone:           makes a transaction the only one that changes tables, until it ends
    examine:         raises StoreError when the database's own structures are damaged
    is_shared:       whether several drivers are expected to work at one study in it
    """

    location: str
    readers: Engine
    writers: Engine
    timeout_seconds: float
    on_wait: OnWait
    insert: Callable[[Table], Any]
    obstacle: Callable[[Exception], str | None]
    explain: Callable[[Exception], StoreError]
    examine: Callable[[Connection], None]
    alone: Callable[[Connection], None] = lambda _: None
    pause_seconds: float = 0.0
    is_shared: bool = False

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of reading in one transaction. Raises StoreError."""
        return self._transact(self.readers, work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of writing in one transaction: all of it, or nothing and StoreError.

        The work may be done twice, where the connection is lost while the database says that it is done.
        """
        return self._transact(self.writers, work)

    def close(self) -> None:
        """Let go of all connections."""
        self.readers.dispose()  # of the writers too: they share a pool

    def _transact(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        end, pause = None, self.pause_seconds
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            # The latter two: a number or a text that no database can hold, in a filter; a text in the
            # database that is none.
            except (SQLAlchemyError, OverflowError, UnicodeError) as error:
                obstacle, is_first = self.obstacle(error), end is None
                if end is None:  # not before: a program that was stopped in the middle has not waited yet
                    end = time.monotonic() + self.timeout_seconds
                if obstacle is None or time.monotonic() >= end:
                    raise self.explain(error) from None
            if is_first:
                self.on_wait(f"{self.location}: {obstacle}; waiting for up to {self.timeout_seconds:g} s")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
