"""Two runs compared, as a page, as a picture, and in a notebook."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from digitlab.analysis.pair import RunPair
from digitlab.comparing import compared
from digitlab.errors import Fault, RunError, SpecError
from digitlab.files import write_whole
from digitlab.report.charts import WIDE, altair_chart, drawn
from digitlab.report.charts.marks import look
from digitlab.report.html import pair_fragment, pair_page
from digitlab.report.plot import Plot
from digitlab.result import RunResult

FORMS = (".html", ".svg")


@dataclass(frozen=True)
class PairView:
    """Two runs beside each other that show themselves."""

    pair: RunPair = field(repr=False)

    def _repr_html_(self) -> str:
        """In a notebook: what may be said, then curves and tables."""
        return pair_fragment(self.pair)


def compare(a: RunResult, b: RunResult) -> PairView:
    """What two results say beside each other; a notebook shows it.

    Raises SpecError when their data set is another one now, and what `load_dataset` raises.
    """
    return PairView(compared(a, b))


def checked_form(path: Path) -> None:
    """Raise SpecError for a file that no comparison can be written into, by its name."""
    if path.suffix.lower() not in FORMS:
        problem = "is neither a page nor a picture; name it .html for all of it, or .svg for the curves"
        raise SpecError([Fault("output", str(path), problem)])


def write_pair(pair: RunPair, path: str | os.PathLike[str]) -> None:
    """Write a comparison into a file: a page (.html), or the curves over each other (.svg).

    Raises SpecError for another name, RunError when it cannot be written.
    """
    target = Path(path)
    checked_form(target)
    if target.suffix.lower() == ".html":
        content = pair_page(pair)
    else:
        content = drawn(altair_chart(pair.pictures, look("light", pixels=WIDE), Plot))
    try:
        write_whole(target, content)
    except OSError as error:
        raise RunError(
            f"{path}: the comparison cannot be written ({error.strerror}); "
            "name a file in a folder that is there and that you may write to"
        ) from None
