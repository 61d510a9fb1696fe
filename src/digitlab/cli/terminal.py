"""How the commands speak: results on stdout, progress and errors on stderr, bars on terminals only.

What is shown may come from anybody (a title, a folder's name, a row of somebody's store), so every text is
cleaned on its way out; an encoding that lacks a character shows one like it.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.outputs import output_file
from digitlab.cli.streams import CONTROL, clean
from digitlab.errors import DigitlabError

if TYPE_CHECKING:
    from rich.console import Console

    from digitlab.engine.progress import OnProgress
    from digitlab.engine.progress import Progress as RunProgress
    from digitlab.lab import Advance, OnAdvance

_WIDTH_OF_NO_TERMINAL = 100
"""A pipe or a file has no width; lines are laid out for this one, or for what COLUMNS says."""
_LEAST_WIDTH = 20

JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def print_json(document: object, output: Path | None = None) -> None:
    """Print a document, or the JSON text of one, as one line on stdout, or write it into a file."""
    text = json_text(document)
    if output is None:
        print(text)
        return
    with output_file(output) as file:
        file.write(f"{text}\n".encode())


def json_text(document: object) -> str:
    """A document, or the JSON text of one, as one line of JSON that is safe to look at."""
    return escaped(document if isinstance(document, str) else json.dumps(json_numbers(document)))


def json_numbers(value: object) -> object:
    """A document as RunResults write it: numbers that are not finite are "NaN", "Infinity", "-Infinity"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: json_numbers(member) for name, member in value.items()}
    return [json_numbers(member) for member in value] if isinstance(value, list | tuple) else value


def escaped(text: str) -> str:
    """A line of JSON whose control characters are escapes: the same document, and safe to look at."""
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
    from digitlab.cli.console import CleanConsole

    # Colours may be forced upon a log; a bar, which redraws itself, may not.
    forced = bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR")
    console = CleanConsole(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        color_system="standard" if forced else "auto",
    )
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        console.width = _WIDTH_OF_NO_TERMINAL
    if console.width < _LEAST_WIDTH:
        console.width = _LEAST_WIDTH
    return console


@contextmanager
def training_progress(title: str) -> Iterator["OnProgress"]:
    """A bar for one run: steps, loss, accuracy, time left."""
    from digitlab.cli.bar import progress_bar

    def show(progress: "RunProgress") -> None:
        update(
            progress.step,
            progress.step_count,
            [f"loss {progress.training_loss:.4f}", f"accuracy {progress.accuracy:.4f}"],
        )

    with progress_bar(title) as update:
        yield show


@contextmanager
def many_progress(title: str, more: Callable[[], Sequence[str]] = lambda: ()) -> Iterator["OnAdvance"]:
    """A bar for many runs: the share of the work that is done, runs, time left.

    more: what else it shows, the most important first
    """
    from digitlab.cli.bar import progress_bar

    def show(advance: "Advance") -> None:
        update(advance.share, 1, [f"{advance.runs:,} of {advance.run_count:,} runs", *more()])

    with progress_bar(title) as update:
        yield show


def confirmed(question: str, remedy: str) -> bool:
    """Ask the user a question, on stderr.

    remedy: what to do where there is nobody to ask
    Raises DigitlabError when stdin has no answer.
    """
    try:
        return typer.confirm(clean(question), err=True)
    except typer.Abort:
        stderr().print()  # behind the question
        raise DigitlabError(f"stdin: cannot be read, and there is a question: {question} {remedy}") from None
