"""`digitlab report`: what the studies found, as one HTML file."""

import os
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.choices import SCALES, one_of, studies
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import stderr, stdout
from digitlab.errors import Fault, SpecError, StoreError

if TYPE_CHECKING:
    from digitlab.report.build import CompletedStudy
    from digitlab.result import RunResult
    from digitlab.store import Store

_TEXT_BROWSERS = {"www-browser", "links", "links2", "elinks", "lynx", "w3m"}

REPORT = Path("digitlab-report.html")
OutputOption = Annotated[Path, typer.Option("--output", metavar="FILE", help="The report to write.")]


def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]…",
            autocompletion=studies,
            help="Studies.",
            show_default="all built-in ones that are done",
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SCALES),
            autocompletion=one_of(SCALES),
            help="Of this scale.",
            show_default="full where it is done, else quick",
        ),
    ] = None,
    store: StoreOption = None,
    output: OutputOption = REPORT,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Write SVG and PNG of every picture too.")
    ] = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the browser.")] = True,
) -> None:
    """Write what the studies found into one HTML file."""
    checked_page(output)
    with opened(store, must_exist=True) as place:
        write_report(chosen_studies(names or [], scale, place), place, output, figures)
    stdout().print(str(output.resolve()), soft_wrap=True)
    if opens and (browser := _browser()):
        browser.open(output.resolve().as_uri())


def checked_page(path: Path) -> None:
    """Raises SpecError when a name is not that of a web page."""
    if path.suffix.lower() not in {".html", ".htm"}:
        problem = "is not the name of a web page; name a file that ends in .html"
        raise SpecError([Fault("output", str(path), problem)])


def _browser() -> webbrowser.BaseBrowser | None:
    """The browser, if it has a window of its own: no page is to take over the terminal."""
    is_unix = os.name == "posix" and sys.platform != "darwin"
    if is_unix and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return None
    program = Path(shlex.split(getattr(browser, "name", "") or "-")[0]).name
    return None if program in _TEXT_BROWSERS else browser


def chosen_studies(names: list[str], scale: str | None, place: "Store") -> "list[CompletedStudy]":
    """The studies that are done, of those named; those that are not are said.

    Raises StoreError when none is done.
    """
    from digitlab.report.build import completed_study
    from digitlab.studies import built_in_names, read_study

    found: list[CompletedStudy] = []
    for name in names or built_in_names():
        whole = read_study(name)
        usual = [whole.usual_scale, *(one for one in whole.scales if one != whole.usual_scale)]
        scales = [scale] if scale else usual
        done = next(
            (one for one in (completed_study(whole.at(at), at, place, name) for at in scales) if one), None
        )
        if done:
            found.append(done)
        elif names:
            stderr().print(
                f"{name} is not done, and left out; `digitlab study run {name} --scale {scales[-1]}` does it",
                soft_wrap=True,
            )
    if not found:
        raise StoreError(
            "no study is done in this store; `digitlab study run all --scale quick` takes some minutes"
        )
    return found


def write_report(
    studies: "list[CompletedStudy]",
    place: "Store | None",
    output: Path,
    figures: Path | None = None,
    exercise: "Sequence[RunResult]" = (),
) -> None:
    """Write the report, and the figures where they are chosen.

    exercise: runs of the exercise's networks; by default those that the store knows
    """
    from digitlab.report import build
    from digitlab.report.figures import write_figures
    from digitlab.report.html import write

    with stderr().status("writing the report"):
        shown = build.example_network(studies)
        examples = []
        if shown is not None:
            # Loaded here, for only an example network needs torch.
            from digitlab.lab import inspection_of

            examples.append(inspection_of(shown))
        whole = build.report(studies, examples, place, exercise)
        write(whole, output)
        if figures is not None:
            write_figures(whole, figures)
