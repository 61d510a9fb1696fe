"""The report as one HTML file that needs nothing else: no script, no network, no fonts of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from digitlab.analysis.findings import Cell, Picture, StudyFindings, Table
from digitlab.errors import RunError
from digitlab.files import write_whole
from digitlab.report import numbers
from digitlab.report.charts import NARROW, WIDE, svg
from digitlab.report.document import Report
from digitlab.report.examples import accuracy_table, confusion_picture, mistakes, weight_images
from digitlab.report.tables import table_of

_FILES = ("page.html", "parts.html", "style.css")


@dataclass(frozen=True)
class _Head:
    """A column of a table: numbers stand to the right."""

    name: str
    kind: str


def render(report: Report) -> str:
    """The whole page. Every text is escaped."""
    return _environment().get_template("page.html").render(report=report)


def fragment(findings: StudyFindings) -> str:
    """A study's part of the page, with its style, for a notebook."""
    template = _environment().from_string(
        "{% import 'parts.html' as parts %}<div class='digitlab'><style>{{ style }}</style>"
        "{{ parts.study(study, prefix) }}</div>"
    )
    return template.render(study=findings, prefix="study")


def write(report: Report, path: Path) -> None:
    """Write the whole page into a file: all of it, or nothing.

    Raises RunError when it cannot be written.
    """
    page = render(report)
    try:
        write_whole(path, page)
    except OSError as error:
        raise RunError(
            f"{path}: the report cannot be written ({error.strerror}); "
            "name a file in a folder that is there and that you may write to"
        ) from error


@cache
def _environment() -> Environment:
    folder = resources.files("digitlab.report")
    texts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in _FILES}
    environment = Environment(
        loader=DictLoader(texts),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        accuracy_table=accuracy_table,
        style=Markup(texts["style.css"]),  # noqa: S704  # our own
        charts=_charts,
        columns=_columns,
        confusion_picture=confusion_picture,
        estimate=numbers.estimate,
        interval=numbers.interval,
        mistakes=mistakes,
        table_of=table_of,
        weight_images=weight_images,
    )
    return environment


def _finalize(value: object) -> object:
    """No control characters, no line that begins with a percent sign; markup of our own stays what it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return numbers.clean(value).replace(" %", "\u00a0%")


def _charts(picture: Picture, prefix: str) -> dict[str, Markup]:
    """A picture twice: for a page, and for a telephone. The page shows the one that fits."""
    return {
        kind: Markup(svg(picture, "page", pixels=pixels, prefix=f"{prefix}-{kind}"))  # noqa: S704  # well-formed
        for kind, pixels in (("wide", WIDE), ("narrow", NARROW))
    }


def _columns(table: Table) -> tuple[list[_Head], list[list[tuple[str, str]]]]:
    """Heads, and rows of cells as they are written: (text, kind)."""
    columns: list[Sequence[Cell]] = [
        [row[index] for row in table.rows] for index in range(len(table.columns))
    ]
    kinds = ["text" if any(isinstance(cell, str) for cell in cells) else "number" for cells in columns]
    written = [numbers.column(cells) for cells in columns]
    rows = [
        [(cells[index], kind) for cells, kind in zip(written, kinds, strict=True)]
        for index in range(len(table.rows))
    ]
    return [_Head(name, kind) for name, kind in zip(table.columns, kinds, strict=True)], rows
