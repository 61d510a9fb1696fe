"""The report as one HTML file that needs nothing else: no script, no network, no fonts of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from digitlab.analysis.findings import Picture, StudyFindings
from digitlab.errors import RunError
from digitlab.files import write_whole
from digitlab.models.inspection import Inspection
from digitlab.models.missed import Missed
from digitlab.report import numbers
from digitlab.report.cells import written
from digitlab.report.charts import HALF, NARROW, SMALL, WIDE, svg
from digitlab.report.document import Report
from digitlab.report.examples import (
    accuracy_table,
    confusion_picture,
    missed_digits,
    missed_in_words,
    mistakes,
    weight_images,
)
from digitlab.report.opening import Opening, answer_of
from digitlab.report.tables import table_of

if TYPE_CHECKING:
    from digitlab.analysis.pair import RunPair

_FILES = ("page.html", "mistakes.html", "pair.html", "parts.html", "style.css")


_WIDTHS: Mapping[str, Mapping[str, int]] = {
    "chapter": {"wide": WIDE, "narrow": NARROW},
    "ranking": {"wide": HALF, "narrow": NARROW},
    "network": {"screen": NARROW, "paper": SMALL},
    "answer": {"wide": SMALL, "narrow": NARROW},
}
"""The drawings of a picture by where it stands: class of each in style.css, which shows the one that fits."""


def render(report: Report) -> str:
    """The whole page. Every text is escaped."""
    return _environment().get_template("page.html").render(report=report)


def mistakes_page(network: Inspection, missed: Missed | None) -> str:
    """A page of what one network gets wrong, and what all networks like it do."""
    shown = replace(network, weights=())
    return _environment().get_template("mistakes.html").render(network=shown, missed=missed)


def fragment(findings: StudyFindings) -> str:
    """A study's part of the page, with its style, for a notebook: the answer first."""
    return _framed(
        "{{ parts.said(answer) }}{{ parts.study(study, 'study') }}",
        answer=answer_of(findings),
        study=findings,
    )


def opening_fragment(opening: Opening, studies: Sequence[StudyFindings]) -> str:
    """What a report says first, and below it each study, folded, for a notebook."""
    return _framed(
        "{{ parts.opening(opening) }}{% for study in studies %}"
        "<details><summary>{{ study.title }}</summary>{{ parts.study(study, 'study-%d' % loop.index) }}"
        "</details>{% endfor %}",
        opening=opening,
        studies=studies,
    )


def pair_page(pair: "RunPair") -> str:
    """Two runs beside each other, as a page of its own."""
    return _environment().get_template("pair.html").render(pair=pair)


def pair_fragment(pair: "RunPair") -> str:
    """The same with its style, for a notebook."""
    return _framed("{{ parts.pair(pair) }}", pair=pair)


def _framed(body: str, **values: object) -> str:
    """A part of the page with its style."""
    template = _environment().from_string(
        "{% import 'parts.html' as parts %}<div class='digitlab'><style>{{ style }}</style>" + body + "</div>"
    )
    return template.render(**values)


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
        confusion_picture=confusion_picture,
        estimate=numbers.estimate,
        interval=numbers.interval,
        mistakes=mistakes,
        missed_digits=missed_digits,
        missed_in_words=missed_in_words,
        table_of=table_of,
        written=written,
        weight_images=weight_images,
    )
    return environment


def _finalize(value: object) -> object:
    """No control characters, no line that begins with a percent sign; markup of our own stays what it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return numbers.clean(value).replace(" %", "\u00a0%")


def _charts(picture: Picture, prefix: str, place: str = "chapter") -> dict[str, Markup]:
    """A picture in several widths: for a page, and for a telephone. The page shows the one that fits."""
    return {
        kind: Markup(svg(picture, "page", pixels=pixels, prefix=f"{prefix}-{kind}"))  # noqa: S704  # well-formed
        for kind, pixels in _WIDTHS[place].items()
    }
