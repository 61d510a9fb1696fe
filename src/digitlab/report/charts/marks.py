"""What all charts share: the look of light and dark paper, marks that carry their own look, the legend.

No colour stands alone: lines differ in the shape of their points or in their dashes too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from textwrap import wrap
from typing import Any

import altair as alt

from digitlab.report.charts.colours import INK_AND_PAPER, Theme
from digitlab.report.numbers import clean

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
DASHES: tuple[tuple[int, ...], ...] = ((), (8, 3), (2, 3), (8, 3, 2, 3))
FONT_SIZE, SMALL_FONT_SIZE = 13, 11
_LEGEND_ROW, _LEGEND_TEXT_AT = 22, 36

Row = dict[str, Any]
Layer = alt.Chart | alt.LayerChart | alt.FacetChart


@dataclass(frozen=True)
class Look:
    """How a chart is drawn.

    pixels:     wide, axes and all
    has_title:  whether the title is drawn too
    ink, paper: colours of text and lines, and of what is below them
    """

    pixels: int
    has_title: bool
    ink: str
    paper: str

    @property
    def plot_pixels(self) -> int:
        """Width of what lies between the axes, about."""
        return self.pixels - (50 if self.is_small else 62)

    @property
    def is_narrow(self) -> bool:
        """Whether it is for a telephone, or small."""
        return self.pixels < 480

    @property
    def is_small(self) -> bool:
        """Whether it stands beside text or beside others, with smaller letters."""
        return self.pixels < 300

    @property
    def font_size(self) -> int:
        """Of its letters."""
        return SMALL_FONT_SIZE if self.is_small else FONT_SIZE

    @property
    def letter_pixels(self) -> float:
        """About the width of a letter."""
        return 0.53 * self.font_size


def look(theme: Theme, *, pixels: int) -> Look:
    """The look of a theme."""
    ink, paper = INK_AND_PAPER[theme]
    return Look(pixels, theme != "page", ink, paper)


@dataclass(frozen=True)
class Stroke:
    """How a line or a point looks, in the chart and in the legend.

    dash:   lengths of strokes and gaps; () is one stroke, None no line
    shape:  of points; None: no points
    casing: the colour of an edge on both sides; None: no edge
    text:   a sign that stands for it, in the legend
    size:   of points, their area in square pixels
    """

    colour: str
    dash: tuple[int, ...] | None = ()
    shape: str | None = None
    filled: bool = True
    casing: str | None = None
    width: float = 2.2
    text: str = ""
    size: int = 52


def chart(rows: Sequence[Row]) -> alt.Chart:
    """A chart of these rows, still without marks."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def line_layers(stroke: Stroke, rows: Sequence[Row], **places: Any) -> list[Layer]:
    """A line through the rows' places and, if it has them, its points."""
    layers = []
    if stroke.dash is not None:
        dash: Row = {"strokeDash": list(stroke.dash)} if stroke.dash else {}
        both = [(stroke.casing, stroke.width + 2.2)] if stroke.casing else []
        for colour, width in (*both, (stroke.colour, stroke.width)):
            line = chart(rows).mark_line(color=colour, strokeWidth=width, clip=True, **dash)
            layers.append(line.encode(order=alt.Order("order:Q"), **places))
    if stroke.shape:
        layers.append(point_layer(stroke, rows, **places))
    return layers


def point_layer(stroke: Stroke, rows: Sequence[Row], **places: Any) -> Layer:
    """Points at the rows' places."""
    points = chart(rows).mark_point(
        shape=stroke.shape or "circle",
        fill=stroke.colour if stroke.filled else "transparent",
        stroke=stroke.casing or stroke.colour,
        strokeWidth=1.2 if stroke.filled else 2,
        size=stroke.size,
        opacity=1,
    )
    layer: Layer = points.encode(**places)
    return layer


def wrapped(text: str, pixels: float, letter_pixels: float) -> list[str]:
    """A text in lines that are no wider; at least one."""
    return wrap(clean(text), max(int(pixels / letter_pixels), 4)) or [""]


def legend(entries: Mapping[str, Stroke], look: Look, pixels: float) -> Layer | None:
    """Names beside what they look like, in as many columns as fit; None when there is nothing to name.

    pixels: wide; a longer name goes on in further lines
    """
    if not entries:
        return None
    longest = max(len(name) for name in entries)
    columns = max(1, int(pixels // (_LEGEND_TEXT_AT + longest * look.letter_pixels + 14)))
    columns = min(columns, len(entries))
    cell, line_height = pixels / columns, look.font_size + 3
    names = [wrapped(name, cell - _LEGEND_TEXT_AT, look.letter_pixels) for name in entries]
    tallest = [max(map(len, names[first : first + columns])) for first in range(0, len(names), columns)]
    tops = [0.0, *accumulate(_LEGEND_ROW + line_height * (lines - 1) for lines in tallest)]
    scale: Row = {"scale": alt.Scale(domain=[0, pixels], nice=False), "axis": None}
    down: Row = {"scale": alt.Scale(domain=[tops[-1], 0], nice=False), "axis": None}
    places = {"x": alt.X("x:Q", **scale), "y": alt.Y("y:Q", **down)}
    layers: list[Layer] = []
    for index, (lines, stroke) in enumerate(zip(names, entries.values(), strict=True)):
        left, y = cell * (index % columns), tops[index // columns] + _LEGEND_ROW / 2
        layers += _legend_mark(stroke, left, y, places)
        beside = [
            {"x": left + _LEGEND_TEXT_AT, "y": y + line_height * nth, "name": line}
            for nth, line in enumerate(lines)
        ]
        layers.append(chart(beside).mark_text(align="left").encode(text="name:N", **places))
    return alt.layer(*layers).properties(width=pixels, height=tops[-1])


def _legend_mark(stroke: Stroke, left: float, y: float, places: Row) -> list[Layer]:
    middle = {"x": left + 14, "y": y}
    ends = [{"x": left + dx, "y": y, "order": dx} for dx in (0, 28)]
    lines = line_layers(stroke, ends, **places)
    layers = lines[:-1] if stroke.shape else lines
    if stroke.shape:
        layers.append(point_layer(stroke, [middle], **places))
    if stroke.text:
        sign = chart([middle]).mark_text(text=stroke.text, fontSize=16, color=stroke.colour)
        layers.append(sign.encode(**places))
    return layers
