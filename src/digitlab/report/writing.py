"""Writing a report: one page, and files of its pictures."""

from collections.abc import Sequence
from pathlib import Path

from digitlab.analysis.findings import Table
from digitlab.handout import Comparison
from digitlab.lab import inspection_of
from digitlab.report import build
from digitlab.report.document import checked_page
from digitlab.report.figures import write_figures
from digitlab.report.html import write
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
    shown = build.example_network(studies)
    examples = [inspection_of(shown)] if shown is not None else []
    whole = build.report(studies, examples, store, exercise, replications)
    write(whole, output)
    if figures is not None:
        write_figures(whole, figures)
