"""`digitlab report`: what the studies found, as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from digitlab.cli.browser import browser_with_window
from digitlab.cli.choices import SCALES, one_of, studies
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import stderr, stdout

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
    seed_bases: Annotated[
        list[int] | None,
        typer.Option(
            "--seed-base",
            metavar="N",
            help="Studies that were run with this first seed; given twice or more, side by side.",
            show_default="as each study says",
        ),
    ] = None,
    store_file: StoreOption = None,
    output: OutputOption = REPORT,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Write SVG and PNG of every picture too.")
    ] = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the browser.")] = True,
) -> None:
    """Write what the studies found into one HTML file."""
    # Loaded here: --help must not wait for it.
    from digitlab.report.build import completed_studies
    from digitlab.report.document import checked_page
    from digitlab.report.replications import replicated_studies, replication_tables

    def on_left_out(name: str, scale: str) -> None:
        stderr().print(
            f"{name} is not done, and left out; `digitlab study run {name} --scale {scale}` does it",
            soft_wrap=True,
        )

    checked_page(output)
    with opened(store_file, must_exist=True) as store:
        if seed_bases:
            found = replicated_studies(names or [], scale, seed_bases, store)
        else:
            found = completed_studies(names or [], scale, store, on_left_out)
        from digitlab.report.writing import write_report  # charts are of no use where no study is done

        with stderr().status("writing the report"):
            write_report(found, store, output, figures, replications=replication_tables(found))
    stdout().print(str(output.resolve()), soft_wrap=True)
    if opens and (browser := browser_with_window()):
        browser.open(output.resolve().as_uri())
