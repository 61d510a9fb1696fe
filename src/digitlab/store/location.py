"""Where the store lies, and how it is opened."""

import os
from pathlib import Path

from digitlab import places
from digitlab.errors import StoreError
from digitlab.store.database import OnWait, ignore
from digitlab.store.interface import Store
from digitlab.store.schema import is_current, prepare
from digitlab.store.sql import SqlStore
from digitlab.store.sqlite import sqlite_database

TIMEOUT_SECONDS = 10.0


def store_path(path: str | os.PathLike[str] | None = None) -> Path:
    """The file: the one named, else DIGITLAB_STORE, else digitlab.db in the platform's data folder.

    Its folder need not be there. Raises StoreError where there is no home folder to hold it.
    """
    file = places.expanded(path) if path else places.store_file()
    if file is None:
        raise StoreError(
            "there is no home folder to keep a store in; set HOME, or name a file by --store or "
            "DIGITLAB_STORE"
        )
    return file


def is_named(path: str | os.PathLike[str] | None) -> bool:
    """Whether somebody has named a store, by its path or by DIGITLAB_STORE."""
    return path is not None or bool(os.environ.get("DIGITLAB_STORE"))


def is_there(path: str | os.PathLike[str] | None = None) -> bool:
    """Whether there is a store to look into. The usual place may be none, or closed to this user."""
    try:
        return store_path(path).exists()
    except (OSError, StoreError):
        return is_named(path)  # then it is told when it is opened


def open_store(
    path: str | os.PathLike[str] | None = None,
    *,
    must_exist: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
    on_wait: OnWait = ignore,
) -> Store:
    """The store in a file; where there is none it is made, its folders too.

    path:            see `store_path`
    must_exist:      do not make one
    timeout_seconds: how long to wait while another process writes
    on_wait:         told when that takes longer than a moment
    Raises StoreError when there is none, when it cannot be made or read, when a newer digitlab made it.
    """
    file = store_path(path)
    _see_to_file(file, must_exist)
    database = sqlite_database(file, timeout_seconds, on_wait)
    # Read first: a store that is as it should be can be opened where nothing may be written.
    if not database.read(lambda connection: is_current(connection, database.location)):
        database.write(lambda connection: prepare(connection, database.location))
    return SqlStore(database)


def usable_store(
    path: str | os.PathLike[str] | None = None, *, on_wait: OnWait = ignore
) -> Store | StoreError:
    """The store; or why there is none, where nobody named one, for those who can do without.

    Raises what `open_store` raises, where somebody named it.
    """
    try:
        return open_store(path, on_wait=on_wait)
    except StoreError as error:
        if is_named(path):
            raise
        return error


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
