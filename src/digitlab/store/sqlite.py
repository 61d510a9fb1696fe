"""All that is SQLite's own: how its file is opened and locked, and what its errors mean."""

import sqlite3
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine, event
from sqlalchemy.dialects.sqlite import insert

from digitlab.errors import StoreError
from digitlab.store.database import Database, OnWait
from digitlab.store.schema import NOT_OURS

_MOMENT_SECONDS = 2.0
"""So long a wait is not worth a word."""

_HELD = "another digitlab holds the store"

_DAMAGED = (
    "is damaged, or no store ({cause}); move it away, and its results are computed again. `digitlab store "
    "merge` cannot read it, but sqlite3's `.recover` may save rows"
)
_MEANINGS = {
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_FULL": "the disk is full ({cause}); make room and run it again: what was added before is kept",
    "SQLITE_IOERR": "the disk failed ({cause}); see that it is intact and has room, and run it again: what "
    "was added before is kept",
    "SQLITE_READONLY": "cannot be written ({cause}); allow writing to the file and its folder, or name "
    "another place by --store",
    "SQLITE_CANTOPEN": "cannot be opened or written ({cause}); see that the file is there and that it and "
    "its folder may be written, or name another place by --store",
    # What is asked of the tables is right, so it is they that are not.
    "SQLITE_ERROR": NOT_OURS,
    "SQLITE_CONSTRAINT": NOT_OURS,
    "SQLITE_MISMATCH": NOT_OURS,
}


def sqlite_database(path: Path, timeout_seconds: float, on_wait: OnWait) -> Database:
    """The database in a file, which must be there; a file of no bytes is an empty one.

    Each transaction opens a connection of its own, which takes well under a millisecond: so threads need
    not share one, and a forked process inherits none.
    """
    moment = min(_MOMENT_SECONDS, timeout_seconds)
    engine = create_engine("sqlite://", creator=partial(_connect, path, moment), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return Database(
        location=str(path),
        readers=engine,
        writers=engine.execution_options(writes=True),
        timeout_seconds=timeout_seconds,
        on_wait=on_wait,
        insert=insert,
        obstacle=lambda error: _HELD if _is_busy(error) else None,
        explain=partial(_explain, path, timeout_seconds),
        examine=partial(_examine, path),
    )


def _connect(path: Path, timeout_seconds: float) -> sqlite3.Connection:
    # mode=rw: a file that was moved away meanwhile is not made anew. Read-only files are opened for reading.
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        # A damaged text must not keep the intact ones beside it from being read.
        connection.text_factory = lambda text: text.decode(errors="replace")
        # With a rollback journal, not a write-ahead log, the store is one file, on network drives too; EXTRA
        # also waits for the folder, so that a commit outlives a power failure.
        connection.execute("PRAGMA trusted_schema=OFF")  # its file may come from anywhere
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA synchronous=EXTRA")
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the lock at once: two that both read first, and then both want to write, would block
    # each other.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _cause(error: Exception) -> str:
    """SQLite's own name for an error, such as SQLITE_BUSY_SNAPSHOT; "" when it is none of SQLite's."""
    return str(getattr(getattr(error, "orig", None), "sqlite_errorname", ""))


def _is_busy(error: Exception) -> bool:
    return _cause(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _explain(path: Path, timeout_seconds: float, error: Exception) -> StoreError:
    cause = getattr(error, "orig", None) or error
    if _is_busy(error):
        return StoreError(f"{path}: {_HELD}, for more than {timeout_seconds:g} s; try again when it is done")
    for name, meaning in _MEANINGS.items():
        if _cause(error).startswith(name):
            return StoreError(f"{path}: {meaning.format(cause=cause)}")
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return StoreError(f"{path}: cannot be asked for that ({cause}); give another number or text")
    return StoreError(f"{path}: {_DAMAGED.format(cause=cause)}")


def _examine(path: Path, connection: Connection) -> None:
    found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    if found != "ok":
        raise StoreError(f"{path}: {_DAMAGED.format(cause=found)}")
