"""Report: all that one report shows, as a value; `build` makes it, `html` lays it out."""

from dataclasses import dataclass
from pathlib import Path

from digitlab.analysis.findings import StudyFindings, Table
from digitlab.errors import Fault, SpecError
from digitlab.models.inspection import Inspection
from digitlab.models.missed import Missed
from digitlab.report.opening import EMPTY, Opening


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    opening:      what comes first: the exercise's networks, and an answer for each of the studies
    introduction: paragraphs on the whole
    tables:       of the whole: the exercise's networks beside the handout, published results, provenance
    examples:     example networks
    missed:       test images that all networks like an example get wrong; None where few are known
    commands:     shell lines that reproduce it
    mixture:      what differs between where results come from ("" when nothing does)
    """

    title: str
    introduction: tuple[str, ...]
    tables: tuple[Table, ...]
    studies: tuple[StudyFindings, ...]
    examples: tuple[Inspection, ...]
    commands: tuple[str, ...]
    mixture: str = ""
    opening: Opening = EMPTY
    missed: Missed | None = None


def checked_page(path: Path) -> None:
    """Raises SpecError when a name is not that of a web page."""
    if path.suffix.lower() not in {".html", ".htm"}:
        problem = "is not the name of a web page; name a file that ends in .html"
        raise SpecError([Fault("output", str(path), problem)])


def checked_sheet(path: Path) -> None:
    """Raises SpecError when a name is neither that of a web page nor that of a picture."""
    if path.suffix.lower() not in {".html", ".htm", ".svg", ".png"}:
        problem = "is not the name of a page or a picture; name a file that ends in .html, .svg or .png"
        raise SpecError([Fault("output", str(path), problem)])
