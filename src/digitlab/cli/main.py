"""The `digitlab` command: its parts, its exit codes, its last words.

Exit codes: 0 done (a run that diverged is a result); 1 data or run failure, or stdout was closed; 2 usage;
130 interrupted by Ctrl-C; 143 terminated by SIGTERM.
"""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup

from digitlab.cli.data import data_app
from digitlab.cli.evaluate import evaluate
from digitlab.cli.exercise import exercise
from digitlab.cli.report import report
from digitlab.cli.runs import runs_app
from digitlab.cli.store import store_app
from digitlab.cli.streams import prepare_streams
from digitlab.cli.study import study_app
from digitlab.cli.terminal import clean
from digitlab.cli.train import train
from digitlab.errors import DigitlabError, SpecError
from digitlab.version import __version__

EXIT_FAILURE, EXIT_USAGE = 1, 2
EXIT_SIGINT, EXIT_SIGTERM = 128 + signal.SIGINT, 128 + signal.SIGTERM


class _PlainGroup(TyperGroup):
    """A list of commands in plain text: drawn with rich it would keep its reader waiting."""

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
app.command()(report)
app.add_typer(data_app, name="data", cls=_PlainGroup)
app.add_typer(study_app, name="study", cls=_PlainGroup)
app.add_typer(runs_app, name="runs", cls=_PlainGroup)
app.add_typer(store_app, name="store", cls=_PlainGroup)


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


_terminated = False


def _on_sigterm(_signal: int, _frame: FrameType | None) -> NoReturn:
    # As an exception, so that files half written are removed on the way out.
    global _terminated  # noqa: PLW0603
    _terminated = True
    sys.exit(EXIT_SIGTERM)


def _on_sigint(_signal: int, _frame: FrameType | None) -> NoReturn:
    # The first Ctrl-C cleans up on its way out; a second one, wherever that is, does not wait for it.
    signal.signal(signal.SIGINT, _leave_at_once)
    raise KeyboardInterrupt


def _leave_at_once(_signal: int, _frame: FrameType | None) -> NoReturn:
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")  # a bar may have hidden the cursor
    os._exit(EXIT_SIGINT)


def _end_after_sigint() -> NoReturn:
    # All is cleaned up. Not by way of the interpreter's end, in which a second Ctrl-C would kill it.
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_SIGINT)


def _fail(message: object, code: int) -> NoReturn:
    with suppress(OSError):  # stderr may be full or closed
        for line in clean(str(message)).splitlines():
            print(f"error: {line}" if not line.startswith(" ") else line, file=sys.stderr)
    sys.exit(code)


def main() -> NoReturn:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else who started us has it ignored
        signal.signal(signal.SIGINT, _on_sigint)
    prepare_streams()
    # Torch's threads wait for each other at every step. By default they do so busily, and hold the cores that
    # another program's threads, or their own, would need. To be said before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        Path.cwd()
    except OSError:  # removed: torch's libraries would end the process
        _fail("the current folder is no longer there; change to one that is", EXIT_FAILURE)
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read stdout has gone.
        _drop_stdout()
        sys.exit(EXIT_FAILURE)
    except SpecError as error:
        _fail(error, EXIT_USAGE)
    except DigitlabError as error:
        _fail(error, EXIT_FAILURE)
    except OSError as error:
        _drop_stdout()
        told = error.strerror or str(error) or type(error).__name__
        _fail(told if error.filename is None else f"{error.filename}: {told}", EXIT_FAILURE)
    except ImportError as error:  # a limit on memory, a broken installation
        if _terminated:
            sys.exit(EXIT_SIGTERM)
        _fail(
            f"a library cannot be loaded ({error}); see that there is memory for it, or install it again", 1
        )
    except KeyboardInterrupt:
        _end_after_sigint()
    except SystemExit as end:  # so typer passes a Ctrl-C on
        if end.code == EXIT_SIGINT:
            _end_after_sigint()
        raise
    except Exception:
        if _terminated:  # Python wraps what is raised while a class is made: SIGTERM in mid-import
            sys.exit(EXIT_SIGTERM)
        raise
    sys.exit(0)


def _drop_stdout() -> None:
    """Let nothing more go to stdout: Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
