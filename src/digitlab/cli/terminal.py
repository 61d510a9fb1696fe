"""How the commands speak: results on stdout, progress and errors on stderr, bars on terminals only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from digitlab.engine.progress import OnProgress
    from digitlab.engine.progress import Progress as RunProgress
    from digitlab.lab import Advance, OnAdvance

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
def training_progress(title: str) -> Iterator["OnProgress"]:
    """A bar for one run: steps, loss, accuracy, time left."""

    def show(at: "RunProgress") -> None:
        figures = f"loss {at.training_loss:.4f}  accuracy {at.accuracy:.4f}"
        bar.update(task, total=at.step_count, completed=at.step, figures=figures)

    with _bar() as bar:
        task = bar.add_task(title, total=None, figures="")
        yield show


@contextmanager
def many_progress(title: str, more: Callable[[], str] = str) -> Iterator["OnAdvance"]:
    """A bar for many runs: the share of the work that is done, runs, time left.

    more: what else it shows
    """

    def show(at: "Advance") -> None:
        figures = f"{at.runs:,} of {at.run_count:,} runs  {more()}"
        bar.update(task, total=1, completed=at.share, figures=figures)

    with _bar() as bar:
        task = bar.add_task(title, total=None, figures="")
        yield show


def _bar() -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=stderr(),
        transient=True,
        disable=not stderr().is_terminal,
    )
