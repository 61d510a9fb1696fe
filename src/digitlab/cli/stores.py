"""What commands that use the store share: which store, which of its runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.terminal import stderr
from digitlab.errors import StoreError

if TYPE_CHECKING:
    from digitlab.store import Store

SHORT_KEY = 12
"""So many digits of a key are shown; they tell apart all the runs that a store will ever hold."""

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FILE",
        help="Where runs are kept.",
        show_default="DIGITLAB_STORE, else the platform's data folder",
    ),
]


@contextmanager
def opened(path: Path | None, *, must_exist: bool = False) -> Iterator["Store"]:
    """The store; when another process holds it, that is said on stderr."""
    from digitlab.store import open_store

    store = open_store(
        path, must_exist=must_exist, on_wait=lambda message: stderr().print(message, soft_wrap=True)
    )
    try:
        yield store
    finally:
        store.close()


def is_named(path: Path | None) -> bool:
    """Whether the user has named a store, by `--store` or by DIGITLAB_STORE."""
    return path is not None or bool(os.environ.get("DIGITLAB_STORE"))


def is_there(path: Path | None) -> bool:
    """Whether there is a store to look into. The usual place may be none, or closed to this user."""
    from digitlab.store import store_path

    try:
        return store_path(path).exists()
    except (OSError, StoreError):
        return is_named(path)  # then it is told when it is opened


def full_key(store: "Store", prefix: str) -> str:
    """The key that begins with these digits. Raises StoreError when there is none, or several."""
    from digitlab.store import Filter

    chosen = Filter(key_prefix=prefix)
    found = store.keys(chosen, limit=3)
    if not found:
        raise StoreError(
            f"{prefix}: no run's key begins with that; `digitlab runs list` shows the runs that there are"
        )
    if len(found) > 1:
        some = ", ".join(key[:SHORT_KEY] for key in found)
        count = store.count(chosen)
        raise StoreError(f"{prefix}: {count:,} runs' keys begin with that ({some}, …); give more digits")
    return found[0]
