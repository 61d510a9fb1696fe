"""The curve of a run as a chart of Altair's, in the house's colours, that a notebook shows."""

from typing import Any

import altair as alt

from digitlab.analysis.curves import pictures_of
from digitlab.report.charts import WIDE, altair_chart, drawn
from digitlab.report.charts.marks import look
from digitlab.result import RunResult


class Plot(alt.VConcatChart):
    """A chart that is drawn here when a notebook shows it.

    Altair's own charts are drawn by the browser, with scripts that it fetches: without a network they stay
    blank. In all else, such as `save` and `properties`, it is a chart of Altair's.
    """

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, str]:
        return {"image/svg+xml": drawn(self), "text/plain": "a chart; .save('curve.svg') keeps it"}


def plot_of(result: RunResult) -> Plot:
    """The curve of one run: its losses, and the validation accuracy where there is one."""
    return altair_chart(pictures_of(result), look("light", pixels=WIDE), Plot)
