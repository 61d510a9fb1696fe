"""Charts: a picture -> SVG or PNG. Drawn by Vega without browser or network."""

import re
from collections.abc import Sequence
from functools import cache
from textwrap import wrap
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

import altair as alt
import vl_convert

from digitlab.analysis.findings import HeatMap, Lines, Picture, Ranking
from digitlab.report.charts.colours import Theme
from digitlab.report.charts.forest import forest_chart
from digitlab.report.charts.heatmap import heatmap_chart
from digitlab.report.charts.lines import lines_chart
from digitlab.report.charts.marks import Look, look
from digitlab.report.charts.ranking import ranking_chart
from digitlab.report.numbers import clean

__all__ = ["HALF", "NARROW", "SMALL", "WIDE", "altair_chart", "drawn", "png", "svg"]

Kind = TypeVar("Kind", bound=alt.VConcatChart)

WIDE, HALF, NARROW, SMALL = 700, 560, 350, 216
"""Pixels from side to side: on a page, on half of a wide one, on a telephone's, beside text."""
_SVG = "http://www.w3.org/2000/svg"
_TITLE_LETTER_PIXELS = 9.0
_SPACING = 14

ET.register_namespace("", _SVG)
ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def svg(picture: Picture, theme: Theme = "light", *, pixels: int = WIDE, prefix: str = "chart") -> str:
    """A picture as an SVG document, which tells what it is to those who do not see it.

    theme:  light or dark, with the picture's title; page: for inside a page, in its colours, without title
    pixels: from side to side
    prefix: of the ids inside, so that many can stand on one page
    """
    drawn = vl_convert.vegalite_to_svg(_specification(picture, look(theme, pixels=pixels)), _version())
    return _finished(_with_own_ids(drawn, prefix), picture, prefix)


def png(picture: Picture, scale: float = 2) -> bytes:
    """A picture as a PNG image on white, `scale` times 700 pixels wide: fit for a slide."""
    specification = _specification(picture, look("light", pixels=WIDE))
    image: bytes = vl_convert.vegalite_to_png(specification, _version(), scale=scale)
    return image


@cache
def _version() -> str:
    """Of Vega-Lite, as Altair writes it: `6.4`."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def altair_chart(pictures: Sequence[Picture], look: Look, kind: type[Kind]) -> Kind:
    """Pictures below each other as a chart of Altair's, of this kind."""
    whole = kind(vconcat=[_chart(picture, look) for picture in pictures], spacing=2 * _SPACING)
    configured: Kind = whole.configure(**_config(look))
    return configured


def drawn(chart: alt.VConcatChart) -> str:
    """A chart as an SVG document."""
    return _with_own_ids(vl_convert.vegalite_to_svg(chart.to_dict(), _version()), "chart")


def _specification(picture: Picture, look: Look) -> dict[str, Any]:
    specification: dict[str, Any] = _chart(picture, look).configure(**_config(look)).to_dict()
    return specification


def _chart(picture: Picture, look: Look) -> alt.VConcatChart:
    if isinstance(picture, Lines):
        marks, legend = lines_chart(picture, look)
    elif isinstance(picture, HeatMap):
        marks, legend = heatmap_chart(picture, look)
    elif isinstance(picture, Ranking):
        marks, legend = ranking_chart(picture, look)
    else:
        marks, legend = forest_chart(picture, look)
    whole = alt.vconcat(*([marks, legend] if legend else [marks]), spacing=_SPACING)
    if look.has_title:
        lines = wrap(clean(picture.title), int(look.pixels / _TITLE_LETTER_PIXELS)) or [""]
        whole = whole.properties(title=alt.TitleParams(lines, anchor="start", offset=18))
    return whole


def _config(look: Look) -> dict[str, Any]:
    colours = {"labelColor": look.ink, "titleColor": look.ink}
    words = {**colours, "labelFontSize": look.font_size - 1, "titleFontSize": look.font_size}
    return {
        "background": look.paper if look.has_title else "transparent",
        "padding": 16 if look.has_title else 4,
        "font": "sans-serif",
        "aria": False,
        "view": {"stroke": None},
        "text": {"color": look.ink, "fontSize": look.font_size - 0.5},
        "title": {"color": look.ink, "fontSize": look.font_size + 4, "fontWeight": 600},
        "axis": {
            **words,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "titleLimit": look.pixels - 30,
            "labelLimit": 70 if look.is_narrow else 110,
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
            "gridColor": look.ink,
            "gridOpacity": 0.13,
        },
        "legend": {**words, "titleFontWeight": "normal", "titleLimit": look.plot_pixels},
    }


# ---- The SVG, made fit for a page ----


def _with_own_ids(drawn: str, prefix: str) -> str:
    """Clips and gradients, which Vega numbers through all that it draws, numbered for this drawing alone."""
    own: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + own.setdefault(found[2], f"{prefix}-{len(own) + 1}")

    return re.sub(r'( id="|="url\(#)((?:clip|gradient)[\w-]*)', renamed, drawn)


def _finished(drawn: str, picture: Picture, prefix: str) -> str:
    root = ET.fromstring(drawn)  # noqa: S314  # just made here
    for element in root.iter():  # the whole is described, its marks are not
        for name in [name for name in element.attrib if name == "role" or name.startswith("aria-")]:
            del element.attrib[name]
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title")
    title = ET.Element(f"{{{_SVG}}}title", {"id": f"{prefix}-title"})
    title.text = clean(f"{picture.title}. {picture.caption}" if picture.caption else picture.title)
    root.insert(0, title)
    return ET.tostring(root, encoding="unicode")
