"""How the commands speak: results on stdout, progress and errors on stderr, bars on terminals only."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from digitlab.engine.progress import OnProgress
    from digitlab.engine.progress import Progress as RunProgress

_WIDTH_OF_NO_TERMINAL = 100
"""A pipe or a file has no width; lines are laid out for this one."""


@cache
def stdout() -> "Console":
    """Where results go."""
    return _console(stderr=False)


@cache
def stderr() -> "Console":
    """Where progress and errors go."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> "Console":
    # Loaded here, as all of rich is: it takes a good part of the time that --help may take.
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_OF_NO_TERMINAL)
    return console


@contextmanager
def training_progress(title: str, runs: int = 1) -> Iterator["OnProgress"]:
    """A bar for one or more runs of equal length: steps, loss, accuracy, time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    finished = 0

    def show(at: "RunProgress") -> None:
        nonlocal finished
        bar.update(task, total=runs * at.step_count, completed=finished + at.step)
        bar.update(task, loss=f"loss {at.training_loss:.4f}", accuracy=f"accuracy {at.accuracy:.4f}")
        if at.step == at.step_count:
            finished += at.step_count

    columns = ("{task.description}", "{task.fields[loss]}", "{task.fields[accuracy]}")
    title_column, *figure_columns = (TextColumn(column, markup=False) for column in columns)
    with Progress(
        title_column,
        BarColumn(),
        *figure_columns,
        TimeRemainingColumn(),
        TextColumn("left"),
        console=stderr(),
        transient=True,
        disable=not stderr().is_terminal,
    ) as bar:
        task = bar.add_task(title, total=None, loss="", accuracy="")
        yield show
