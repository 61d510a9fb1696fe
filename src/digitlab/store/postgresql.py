"""All that is PostgreSQL's own: how its server is reached, and what its errors mean."""

import os
import weakref
from functools import partial

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from digitlab.errors import StoreError, with_extra
from digitlab.store.database import Database, OnWait
from digitlab.store.schema import NOT_OURS

_SECONDS_TO_CONNECT = 5
_SECONDS_TO_STAND_STILL = 10
"""A driver that was stopped in the midst of a transaction holds up the others for so long, and no longer."""
_PAUSE_SECONDS = 0.1
_LOCK = int.from_bytes(b"digitlab")
"""Which of the server's advisory locks is ours."""

# A network that is gone is noticed within half a minute, also while an answer is awaited.
_SETTINGS = {
    "application_name": "digitlab",
    "connect_timeout": _SECONDS_TO_CONNECT,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

_HELD = "another digitlab holds the store"
_LOST = "the connection to the server was lost"
_AWAY = "the server cannot be reached"

_OBSTACLES = {
    "08": _LOST,
    "57P01": _LOST,  # the server, or its administrator, ended it
    "57P02": _LOST,
    "57P03": "the server is starting or stopping",
    "53300": "the server has no connection left",
    "40": _HELD,  # a deadlock, or two at the same rows
    "55P03": _HELD,
    "25P03": _LOST,  # this process stood still in the midst of a transaction
}
"""Beginnings of SQL states -> what is in the way; it passes."""

_MEANINGS = {
    "42501": "this user may not do that there ({cause}); ask its administrator to let you use the tables",
    "25006": "cannot be written ({cause}); name a server that may be written by --store",
    "53100": "the server's disk is full ({cause}); make room and run it again: what was added before is kept",
    "58": "the server's disk failed ({cause}); see that it is intact and has room, and run it again: what "
    "was added before is kept",
    "53": "the server has no room for that ({cause}); run it again later: what was added before is kept",
    "XX": "is damaged ({cause}); bring back a copy of the database",
    "22": "cannot be asked for that ({cause}); give another number or text",
    "42": NOT_OURS,
    "23": NOT_OURS,
    "28": "does not let this user in ({cause}); see to the user's name and password, as in "
    "postgresql://USER:PASSWORD@HOST/DATABASE, in PGPASSWORD or in ~/.pgpass",
    "3D": "there is no such database ({cause}); make it with `createdb`, or name another by --store",
}
_REFUSALS = {"password": "28", "authentication": "28", "pg_hba": "28", 'role "': "28", 'database "': "3D"}
"""Words of a refusal that comes before a server tells states."""
_PASSING = (
    *("refused", "No such file", "closed the connection", "timeout", "timed out", "reset by peer"),
    *("unreachable", "starting up", "shutting down", "not yet accepting", "terminating"),
)
"""What the client library says, always in English, when a server is away for a while."""


def postgresql_database(url: URL, location: str, timeout_seconds: float, on_wait: OnWait) -> Database:
    """The database behind a URL; connections to it are kept, a thread takes one for each transaction.

    location: the URL for messages
    Raises StoreError when the library is missing.
    """
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={name: value for name, value in _SETTINGS.items() if name not in url.query},
            max_overflow=-1,
        )
    except ModuleNotFoundError as error:
        if error.name not in {"psycopg", "psycopg_binary"}:
            raise
        missing = f"a store in PostgreSQL needs psycopg, which is not installed; {with_extra('postgres')}"
        raise StoreError(missing) from None
    event.listen(engine, "connect", partial(_set_up, timeout_seconds))
    _let_go_in_children(engine)
    return Database(
        location=location,
        readers=engine,
        writers=engine,
        timeout_seconds=timeout_seconds,
        on_wait=on_wait,
        insert=insert,
        obstacle=_obstacle,
        explain=partial(_explain, location, timeout_seconds),
        alone=_alone,
        examine=lambda _: None,  # the server sees to its own structures
        pause_seconds=_PAUSE_SECONDS,
        is_shared=True,
    )


def _alone(connection: Connection) -> None:
    # Two that make the same table at once are not refused in turn: one fails.
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def _set_up(timeout_seconds: float, connection: object, _record: object) -> None:
    # By a statement, for poolers refuse what is asked for at the beginning of a connection.
    with connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(
            f"SET idle_in_transaction_session_timeout = '{_SECONDS_TO_STAND_STILL}s'; "
            f"SET lock_timeout = {max(1, round(1_000 * timeout_seconds))}; SET client_encoding = 'UTF8'"
        )
    connection.commit()  # type: ignore[attr-defined]


def _let_go_in_children(engine: Engine) -> None:
    """Let a forked child open connections of its own: its parent still uses those that it inherits."""
    known = weakref.ref(engine)

    def let_go() -> None:
        if (mine := known()) is not None:
            mine.dispose(close=False)

    os.register_at_fork(after_in_child=let_go)


def _state(error: Exception) -> str:
    """The SQL state of an error; "" when the server has told none."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


def _among(state: str, meanings: dict[str, str]) -> str | None:
    found = [meaning for start, meaning in meanings.items() if state.startswith(start)]
    return found[0] if state and found else None


def _obstacle(error: Exception) -> str | None:
    if state := _state(error):
        return _among(state, _OBSTACLES)
    if not isinstance(error, DBAPIError):
        return None
    if error.connection_invalidated:
        return _LOST
    return _AWAY if any(word in str(error.orig) for word in _PASSING) else None


def _explain(location: str, timeout_seconds: float, error: Exception) -> StoreError:
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    if obstacle := _obstacle(error):
        return StoreError(
            f"{location}: {obstacle} for more than {timeout_seconds:g} s ({cause}); see that it runs and run "
            "it again: what was added before is kept"
        )
    if meaning := _among(_state(error), _MEANINGS):
        return StoreError(f"{location}: {meaning.format(cause=cause)}")
    if isinstance(error, OverflowError | UnicodeError):
        return StoreError(f"{location}: cannot be asked for that ({cause}); give another number or text")
    for word, state in _REFUSALS.items():
        if word in cause:
            return StoreError(f"{location}: {_MEANINGS[state].format(cause=cause)}")
    return StoreError(
        f"{location}: cannot be used ({cause}); see to the server, or name another place by --store"
    )
