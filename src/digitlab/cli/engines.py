"""What commands that train share: which engine, how many workers."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from digitlab.cli.choices import ENGINES, one_of
from digitlab.errors import Fault, SpecError

if TYPE_CHECKING:
    from digitlab.lab import Engine

EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="|".join(ENGINES),
        autocompletion=one_of(ENGINES),
        help="The fast one, or plain PyTorch.",
        rich_help_panel="Run",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes that train at the same time; one network takes one.",
        show_default="one a core",
        rich_help_panel="Run",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=256,
        help="Cores that train one network together, by the fast engine; bits stay the same.",
        show_default="the free ones, as many as gain",
        rich_help_panel="Run",
    ),
]


def checked_engine(name: str) -> "Engine":
    """The engine of this name. Raises SpecError when there is none."""
    if name not in ENGINES:
        raise SpecError([Fault("engine", name, f"is not known; use {' or '.join(ENGINES)}")])
    return cast("Engine", name)
