"""The `digitlab` command: its parts, its exit codes, its last words.

Exit codes: 0 done (a run that diverged is a result); 1 data or run failure, or stdout was closed; 2 usage;
130 interrupted by Ctrl-C; 143 terminated by SIGTERM.
"""

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup

from digitlab.cli.data import data_app
from digitlab.cli.evaluate import evaluate
from digitlab.cli.exercise import exercise
from digitlab.cli.train import train
from digitlab.errors import DigitlabError, SpecError
from digitlab.version import __version__

EXIT_FAILURE, EXIT_USAGE, EXIT_SIGTERM = 1, 2, 128 + signal.SIGTERM


class _PlainGroup(TyperGroup):
    """A list of commands in plain text: drawn with rich it would take twice as long to appear."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{**options, "rich_markup_mode": None})  # type: ignore[arg-type]


app = typer.Typer(
    name="digitlab",
    cls=_PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(exercise)
app.command()(train)
app.command()(evaluate)
app.add_typer(data_app, name="data", cls=_PlainGroup)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"digitlab {__version__}")
        raise typer.Exit


@app.callback()
def digitlab(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A laboratory for multilayer perceptrons on handwritten digits.

    Exit codes: 0 done, 1 data or run failure, 2 usage, 130 Ctrl-C, 143 SIGTERM.
    """


def _on_sigterm(_signal: int, _frame: FrameType | None) -> NoReturn:
    # As an exception, so that files half written are removed on the way out.
    sys.exit(EXIT_SIGTERM)


def _fail(message: object, code: int) -> NoReturn:
    for line in str(message).splitlines():
        print(f"error: {line}" if not line.startswith(" ") else line, file=sys.stderr)
    sys.exit(code)


def main() -> NoReturn:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read stdout has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILURE)
    except SpecError as error:
        _fail(error, EXIT_USAGE)
    except DigitlabError as error:
        _fail(error, EXIT_FAILURE)
    except MemoryError:
        _fail("out of memory; use smaller networks or batches", EXIT_FAILURE)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(0)
