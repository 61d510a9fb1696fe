"""`digitlab report`: what the studies found, as one HTML file."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import stderr, stdout
from digitlab.errors import StoreError

if TYPE_CHECKING:
    from digitlab.contents import Told
    from digitlab.spec import RunSpec
    from digitlab.store import Store


REPORT = Path("digitlab-report.html")
OutputOption = Annotated[Path, typer.Option("--output", metavar="FILE", help="The report to write.")]


def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]…", help="Studies.", show_default="all built-in ones that are done"
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="quick|full", help="Of this scale.", show_default="full where it is done, else quick"
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
    with opened(store, must_exist=True) as place:
        studies = chosen_studies(names or [], scale, place)
        write_report(studies, place, output, figures)
    stdout().print(str(output.resolve()), soft_wrap=True)
    if opens:
        webbrowser.open(output.resolve().as_uri())


def chosen_studies(names: list[str], scale: str | None, place: "Store") -> "list[Told]":
    """The studies that are done, of those named; those that are not are said.

    Raises StoreError when none is done.
    """
    from digitlab.contents import told
    from digitlab.studies import built_in_names, read_study

    found: list[Told] = []
    for name in names or built_in_names():
        whole = read_study(name)
        usual = [whole.usual_scale, *(one for one in whole.scales if one != whole.usual_scale)]
        scales = [scale] if scale else usual
        done = next((one for one in (told(whole.at(at), at, place, name) for at in scales) if one), None)
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


def write_report(studies: "list[Told]", place: "Store", output: Path, figures: Path | None = None) -> None:
    """Write the report, and the figures where they are wished."""
    from digitlab import contents
    from digitlab.report.figures import write_figures
    from digitlab.report.html import write

    with stderr().status("writing the report"):
        shown = network_on_show(studies)
        exhibits = []
        if shown is not None:
            # Loaded here, for only a network on show needs torch.
            from digitlab.lab import exhibit_of

            exhibits.append(exhibit_of(shown))
        whole = contents.report(studies, exhibits, place)
        write(whole, output)
        if figures is not None:
            write_figures(whole, figures)


def network_on_show(studies: "list[Told]") -> "RunSpec | None":
    """The reported network of the best validation loss that has a hidden layer."""
    runs = [run for told in studies for one in told.stage.conditions for run in one.reports]
    seen = [
        (run.metrics.validation_loss, run.key, run.spec)
        for run in runs
        if run.spec.hidden and run.outcome == "completed" and run.metrics.validation_loss is not None
    ]
    return min(seen, key=lambda one: one[:2])[2] if seen else None
