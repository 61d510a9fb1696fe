"""A ranking, as a chart: a row a value on one axis, its name beside the mark, marks that tell kinds apart."""

import math
from collections.abc import Sequence

import altair as alt

from digitlab.analysis.findings import Entry, Ranked, Ranking
from digitlab.report.charts.axes import Placed, in_numbers, on_field, x_encoding
from digitlab.report.charts.colours import GREYS, SERIES
from digitlab.report.charts.marks import SHAPES, Layer, Look, Row, Stroke, chart, legend, point_layer
from digitlab.report.numbers import clean

_ROW = 16
_AWAY = 9
"""Pixels between a row's marks and its name."""


def ranking_chart(picture: Ranking, look: Look) -> tuple[Layer, Layer | None]:
    """The chart and its legend."""
    rows = picture.rows
    ends = [end for row in rows for entry in row.entries for end in _ends(entry)]
    x = in_numbers(picture.x, ends, most_ticks=5 if look.is_narrow else 9)
    width = look.pixels - 24
    strokes = strokes_of(picture, look)
    down = alt.Scale(domain=[max(len(rows), 1) - 0.4, -0.6], nice=False, zero=False)
    places = {"x": x_encoding(x, width), "y": alt.Y("y:Q", scale=down, axis=None)}
    layers: list[Layer] = [chart([{"x": x.domain[0], "y": 0}]).mark_point(opacity=0).encode(**places)]
    marks, names = _marks_and_names(rows, picture.own, x)
    for kind in sorted(strokes, key=lambda kind: kind in picture.own):  # its own lie above the others
        mine = [mark for mark in marks if mark["kind"] == kind]
        layers += _mark_layers(mine, strokes[kind], places)
    layers += _name_layers(names, look, places)
    drawn = alt.layer(*layers).properties(width=width, height=max(len(rows), 1) * _ROW)
    return drawn, legend(strokes, look, width)


def strokes_of(picture: Ranking, look: Look) -> dict[str, Stroke]:
    """How each kind looks: its own kinds first, filled and in ink; the others each in a colour."""
    strokes = {
        kind: Stroke(SERIES[0], None, "circle", size=70)
        if index == 0
        else Stroke(look.ink, None, SHAPES[(index + 2) % len(SHAPES)], filled=False, size=90)
        for index, kind in enumerate(picture.own)
    }
    colours = (*GREYS[:1], *SERIES[1:], *GREYS[1:])
    for kind in dict.fromkeys(entry.kind for row in picture.rows for entry in row.entries):
        if kind not in strokes:
            nth = len(strokes) - len(picture.own)
            shape = SHAPES[(nth + 1) % len(SHAPES)]
            strokes[kind] = Stroke(colours[nth % len(colours)], None, shape, size=40)
    return strokes


def _marks_and_names(rows: Sequence[Ranked], own: Sequence[str], x: Placed) -> tuple[list[Row], list[Row]]:
    marks: list[Row] = []
    names: list[Row] = []
    for y, row in enumerate(rows):
        shown = [_mark(entry, x, y) for entry in row.entries if math.isfinite(x.place(entry.estimate.value))]
        is_own = any(entry.kind in own for entry in row.entries)
        names.append(_name(row.label, shown, x, y, is_own=is_own))
        marks += shown
    return marks, names


def _ends(entry: Entry) -> tuple[float, float, float]:
    return entry.estimate.value, entry.estimate.low, entry.estimate.high


def _mark(entry: Entry, x: Placed, y: int) -> Row:
    low, high = entry.estimate.low, entry.estimate.high
    has_interval = entry.estimate.has_interval
    return {
        "x": x.place(entry.estimate.value),
        "y": y,
        "kind": entry.kind,
        "low": x.clamp(low) if has_interval else None,
        "high": x.clamp(high) if has_interval else None,
    }


def _mark_layers(marks: Sequence[Row], stroke: Stroke, places: Row) -> list[Layer]:
    known = [mark for mark in marks if mark["low"] is not None]
    ends = {"x": on_field(places["x"], "low"), "x2": "high:Q", "y": places["y"]}
    bars = [chart(known).mark_rule(color=stroke.colour, strokeWidth=2).encode(**ends)] if known else []
    return [*bars, point_layer(stroke, marks, **places)]


def _name(label: str, marks: Sequence[Row], x: Placed, y: int, *, is_own: bool) -> Row:
    """Where a row's name stands: on that side of its marks that has more room."""
    found = [mark[field] for mark in marks for field in ("x", "low", "high") if mark[field] is not None]
    low, high = min(found, default=x.domain[0]), max(found, default=x.domain[0])
    left, right = _share(low, x), 1 - _share(high, x)
    is_right = right >= left
    words = {"name": clean(label), "is_own": is_own, "is_right": is_right}
    return {"x": high if is_right else low, "y": y, **words}


def _share(position: float, x: Placed) -> float:
    """How far along the axis, 0 to 1."""
    low, high = x.domain
    if x.scale == "log":
        low, high, position = math.log(low), math.log(high), math.log(position)
    return (position - low) / (high - low)


def _name_layers(names: Sequence[Row], look: Look, places: Row) -> list[Layer]:
    layers: list[Layer] = []
    for is_own in (False, True):
        for is_right in (False, True):
            mine = [row for row in names if (row["is_own"], row["is_right"]) == (is_own, is_right)]
            words = chart(mine).mark_text(
                align="left" if is_right else "right",
                dx=_AWAY if is_right else -_AWAY,
                fontSize=look.font_size - 1.5,
                fontWeight="bold" if is_own else "normal",
                limit=look.pixels * 0.75,
            )
            layers.append(words.encode(text="name:N", **places))
    return layers
