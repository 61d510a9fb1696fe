"""Where the store lies, and how it is opened: a file, or a database behind a URL."""

import os
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from digitlab import places
from digitlab.errors import StoreError
from digitlab.store.database import Database, OnWait, ignore
from digitlab.store.interface import Store
from digitlab.store.schema import can_be_read, is_current, prepare
from digitlab.store.sql import SqlStore
from digitlab.store.sqlite import sqlite_database

TIMEOUT_SECONDS = 10.0

Place: TypeAlias = str | os.PathLike[str]
"""A path, or a URL such as postgresql://USER@HOST/DATABASE."""

_EXAMPLE = "give a file, or postgresql://USER@HOST/DATABASE"


def store_place(place: Place | None = None) -> Path | URL:
    """The one named, else DIGITLAB_STORE, else digitlab.db in the platform's data folder.

    A file's folder need not be there. Raises StoreError where there is no home folder to hold it, and for a
    URL of another kind.
    """
    named = os.fspath(place) if place else os.environ.get("DIGITLAB_STORE") or ""
    if "://" in named:
        return _url(named)
    file = places.expanded(named) if named else places.store_file()
    if file is None:
        raise StoreError(
            "there is no home folder to keep a store in; set HOME, or name a file by --store or "
            "DIGITLAB_STORE"
        )
    return file


def shown_place(place: Place | None = None) -> str:
    """The same in words that may be shown to anybody: without a password."""
    found = store_place(place)
    return str(found) if isinstance(found, Path) else _without_password(found)


def is_named(place: Place | None) -> bool:
    """Whether somebody has named a store, by its place or by DIGITLAB_STORE."""
    return place is not None or bool(os.environ.get("DIGITLAB_STORE"))


def is_there(place: Place | None = None) -> bool:
    """Whether there is a store to look into. The usual place may be none, or closed to this user."""
    try:
        found = store_place(place)
        return not isinstance(found, Path) or found.exists()
    except (OSError, StoreError):
        return is_named(place)  # then it is told when it is opened


def open_store(
    place: Place | None = None,
    *,
    must_exist: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
    on_wait: OnWait = ignore,
) -> Store:
    """The store in a file or a database; where there is none it is made, a file's folders too.

    place:           see `store_place`
    must_exist:      do not make a file; a database is there or not, and gets its tables
    timeout_seconds: how long to wait while another process writes, or a server is away
    on_wait:         told when that takes longer than a moment
    Raises StoreError when there is none, when it cannot be made or read, when a newer digitlab made it.
    """
    found = store_place(place)
    if isinstance(found, Path):
        _see_to_file(found, must_exist)
        database = sqlite_database(found, timeout_seconds, on_wait)
    else:
        from digitlab.store.postgresql import postgresql_database  # whose library is an extra

        database = postgresql_database(found, _without_password(found), timeout_seconds, on_wait)
    try:
        _see_to_tables(database)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)


def _see_to_tables(database: Database) -> None:
    # Read first: a store that is as it should be can be opened where nothing may be written.
    if database.read(lambda connection: is_current(connection, database.location)):
        return

    def work(connection: Connection) -> None:
        database.alone(connection)
        prepare(connection, database.location)

    try:
        database.write(work)
    except StoreError:
        if not database.read(lambda connection: can_be_read(connection, database.location)):
            raise


def usable_store(place: Place | None = None, *, on_wait: OnWait = ignore) -> Store | StoreError:
    """The store; or why there is none, where nobody named one, for those who can do without.

    Raises what `open_store` raises, where somebody named it.
    """
    try:
        return open_store(place, on_wait=on_wait)
    except StoreError as error:
        if is_named(place):
            raise
        return error


def _url(named: str) -> URL:
    try:
        url = make_url(named)
    except (ArgumentError, ValueError):  # whose message may hold the password
        raise StoreError(f"{named.split('://')[0]}://…: is no place of a store; {_EXAMPLE}") from None
    if url.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise StoreError(f"{_without_password(url)}: is no place of a store; {_EXAMPLE}")
    if not url.database:
        raise StoreError(f"{_without_password(url)}: names no database; {_EXAMPLE}")
    return url.set(drivername="postgresql")


def _without_password(url: URL) -> str:
    # Without options too, for they may hold one.
    shown = URL.create(url.drivername, url.username, None, url.host, url.port, url.database)
    return shown.render_as_string()


def _see_to_file(path: Path, must_exist: bool) -> None:
    try:
        if path.is_dir():
            raise StoreError(f"{path}: is a folder; name a file in it, such as {path / 'digitlab.db'}")
        # SQLite would wait for ever at a pipe, and would read its own files beside the store likewise.
        for file in (path, *(path.with_name(f"{path.name}-{more}") for more in ("journal", "wal", "shm"))):
            if file.exists() and not file.is_file():
                raise StoreError(
                    f"{file}: is not a regular file; move it away, or name another place by --store"
                )
        if must_exist and not path.exists():
            raise StoreError(
                f"{path}: there is no store; it is made when runs are first kept. If there is one "
                "elsewhere, name it by --store or DIGITLAB_STORE"
            )
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise StoreError(
            f"{path}: no store can be made there ({cause}); name another place by --store or DIGITLAB_STORE"
        ) from None
