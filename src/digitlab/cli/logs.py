"""What commands that train share: where else the runs are logged."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.terminal import stderr

if TYPE_CHECKING:
    from digitlab.sinks.opening import See

LogOption = Annotated[
    str | None,
    typer.Option(
        "--log",
        metavar="tensorboard[:DIR]|mlflow[:URI]",
        help="Log the training there too; whatever becomes of that, the training goes on.",
        rich_help_panel="Run",
    ),
]


@contextmanager
def logging_to(wanted: str | None) -> "Iterator[See | None]":
    """What takes events and logs them; None where nothing is logged. A fault is told once, on stderr."""
    if wanted is None:
        yield None
        return
    from digitlab.sinks.opening import logged

    def warn(sentence: str) -> None:
        stderr().print(f"warning: {sentence}", soft_wrap=True)

    with logged(wanted, warn) as see:
        yield see
