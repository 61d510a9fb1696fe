"""Writing a report: one page, and files of its pictures; and mistakes, as a page or a picture."""

from collections.abc import Sequence
from pathlib import Path

from digitlab.analysis.findings import Table
from digitlab.data import registry
from digitlab.errors import RunError
from digitlab.files import write_whole
from digitlab.handout import Comparison
from digitlab.lab import inspection_of
from digitlab.mistakes import Mistakes, missed_by
from digitlab.report import build
from digitlab.report.document import Report, checked_page, checked_sheet
from digitlab.report.figures import write_figures
from digitlab.report.html import mistakes_page, write
from digitlab.report.sheet import sheet_png, sheet_svg
from digitlab.store import Store


def write_report(
    studies: Sequence[build.CompletedStudy],
    store: Store | None,
    output: Path,
    figures: Path | None = None,
    exercise: Comparison | None = None,
    replications: Sequence[Table] = (),
) -> None:
    """Write a report into one file; the example network is trained again for it.

    store:    where the exercise's networks may be known; None where there is no store
    figures:  a folder for SVG and PNG of every picture
    exercise: the exercise's networks; by default those that the store knows
    replications: tables of studies beside themselves with other seeds
    Raises SpecError for a name that is not that of a web page, RunError when a file cannot be written.
    """
    checked_page(output)
    whole = whole_report(studies, store, exercise, replications)
    write(whole, output)
    if figures is not None:
        write_figures(whole, figures)


def whole_report(
    studies: Sequence[build.CompletedStudy],
    store: Store | None,
    exercise: Comparison | None = None,
    replications: Sequence[Table] = (),
) -> Report:
    """The report; the example network is trained again for it. See `write_report`."""
    shown = build.example_network(studies)
    examples = [inspection_of(shown)] if shown is not None else []
    missed = None
    if shown is not None and store is not None:
        beside = build.networks_beside(studies, shown)
        missed = missed_by(beside, shown, registry.load(shown.data.name), store)
    return build.report(studies, examples, store, exercise, replications, missed)


def write_mistakes(found: Mistakes, output: Path) -> None:
    """Write a contact sheet: a page with all that is known, or the digits alone as a picture.

    Raises SpecError for another kind of file, RunError when it cannot be written.
    """
    checked_sheet(output)
    kind = output.suffix.lower()
    content: str | bytes
    if kind == ".svg":
        content = sheet_svg(found.network, found.missed)
    elif kind == ".png":
        content = sheet_png(found.network, found.missed)
    else:
        content = mistakes_page(found.network, found.missed)
    try:
        write_whole(output, content)
    except OSError as error:
        raise RunError(
            f"{output}: cannot be written ({error.strerror}); name a file in a folder that is there and that "
            "you may write to"
        ) from None
