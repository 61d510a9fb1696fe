"""What commands that use the store share: which store, and who waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.terminal import stderr

if TYPE_CHECKING:
    from digitlab.store import Store

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FILE|URL",
        help="Where runs are kept: a file, or postgresql://USER@HOST/DATABASE.",
        show_default="DIGITLAB_STORE, else the platform's data folder",
    ),
]


def on_wait(message: str) -> None:
    """Say that another process holds the store."""
    stderr().print(message, soft_wrap=True)


@contextmanager
def opened(place: str | None, *, must_exist: bool = False) -> Iterator["Store"]:
    """The store; when another process holds it, that is said on stderr."""
    from digitlab.store import open_store

    store = open_store(place, must_exist=must_exist, on_wait=on_wait)
    try:
        yield store
    finally:
        store.close()
