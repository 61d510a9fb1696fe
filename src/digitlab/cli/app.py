"""The `digitlab` command: its parts, put together."""

from typing import Annotated

import typer
from typer.core import TyperGroup

from digitlab.cli.commands.data import data_app
from digitlab.cli.commands.evaluate import evaluate
from digitlab.cli.commands.exercise import exercise
from digitlab.cli.commands.export import export
from digitlab.cli.commands.mistakes import mistakes
from digitlab.cli.commands.predict import predict
from digitlab.cli.commands.report import report
from digitlab.cli.commands.runs import runs_app
from digitlab.cli.commands.serve import serve
from digitlab.cli.commands.store import store_app
from digitlab.cli.commands.study import study_app
from digitlab.cli.commands.train import train
from digitlab.version import __version__


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
app.command()(export)
app.command()(mistakes)
app.command()(predict)
app.command()(report)
app.command()(serve)
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
