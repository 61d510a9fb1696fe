"""A picture of lines, as a chart: measured, fitted, predicted, and figures of others."""

import math
from collections import Counter
from collections.abc import Sequence

import altair as alt

from digitlab.analysis.findings import Line, Lines, Point, Role
from digitlab.report.charts.axes import (
    Placed,
    in_numbers,
    interval_within,
    on_field,
    placed,
    x_encoding,
    y_encoding,
)
from digitlab.report.charts.colours import GREYS, SERIES
from digitlab.report.charts.marks import (
    DASHES,
    SHAPES,
    Layer,
    Look,
    Row,
    Stroke,
    chart,
    legend,
    line_layers,
)

_POINTS_FOR_BAND = 6
"""A line with fewer points shows its intervals as bars."""
_FITTED = ((), (11, 3, 2, 3), (4, 2))
_PREDICTED = ((7, 5), (7, 3, 2, 3))
_OF_OTHERS = ((2, 3), (9, 3), (9, 3, 2, 3))
"""Dashes of lines that have no points of their own to be told apart by."""
_POINTS_FOR_MARKS = 40
"""A measured line with more points than this is drawn without their marks: they would touch."""


def lines_chart(picture: Lines, look: Look) -> tuple[Layer, Layer | None]:
    """The chart and its legend."""
    points = [point for line in picture.lines for point in line.points]
    x = placed(picture.x, [point.x for point in points], most_ticks=_most_ticks(look))
    heights = [height for point in points for height in (point.y, *interval_within(picture.y, point))]
    y = in_numbers(
        picture.y,
        [*heights, *([picture.rule[0]] if picture.rule else [])],
        most_ticks=5 if look.is_small else 8,
    )
    width = look.plot_pixels
    places = {"x": x_encoding(x, width), "y": y_encoding(y)}
    strokes = strokes_of(picture.lines, look.ink)
    layers = [_anchor(x, y, places)]
    for line, stroke in zip(picture.lines, strokes, strict=True):
        rows = _rows(line, x, y)
        layers += _interval_layers(rows, stroke, places)
        layers += line_layers(stroke, rows, **places)
    named = {
        line.name: stroke
        for line, stroke in zip(picture.lines, strokes, strict=True)
        if not look.is_small or line.role in {"measured", "reference"}
    }
    if picture.rule and math.isfinite(rule_height := y.place(picture.rule[0])):
        named[picture.rule[1]] = Stroke(look.ink, (4, 3), width=1.2)
        layers += _rule_layers(rule_height, named[picture.rule[1]], places)
    height = round(width * (0.55 if look.is_small else 0.7 if look.is_narrow else 0.56))
    drawn = alt.layer(*layers).properties(width=width, height=height)
    return drawn, legend(named, look, width)


def _most_ticks(look: Look) -> int:
    return 4 if look.is_small else 6 if look.is_narrow else 13


def strokes_of(lines: Sequence[Line], ink: str = "currentColor") -> list[Stroke]:
    """How each line looks; no two look alike.

    ink: the colour of reference points that no line joins, which lie upon other lines

    One that is fitted or predicted has the colour of the measured line whose name its own begins with
    (`2 × 100`, `2 × 100, power law`), and a fit joins that line's points instead; else a colour of its own.
    """
    measured = [line for line in lines if line.role == "measured"]
    places = {line.name: index for index, line in enumerate(measured)}
    joined = {_owner(line, measured) for line in lines if line.role == "fitted"}
    strokes: list[Stroke] = []
    of_role: Counter[Role] = Counter()
    for line in lines:
        nth, owner = of_role[line.role], _owner(line, measured)
        of_role[line.role] += 1
        if line.drawn == "points alone":
            is_other = line.role == "reference"
            colour = ink if is_other else _colour(places.setdefault(line.name, len(places)))
            strokes.append(Stroke(colour, None, SHAPES[nth % len(SHAPES)], filled=not is_other, size=30))
        elif line.role == "reference":
            shape = SHAPES[(nth + 3) % len(SHAPES)]
            grey = GREYS[nth % len(GREYS)]
            strokes.append(Stroke(grey, _OF_OTHERS[nth % len(_OF_OTHERS)], shape, filled=False))
        elif line.role == "measured":
            strokes.append(_measured(line, places[line.name], is_joined=line.name not in joined))
        else:
            if owner is None:
                places[line.name] = max(places.values(), default=-1) + 1
            dashes: tuple[tuple[int, ...], ...] = _FITTED if line.role == "fitted" else _PREDICTED
            dash = dashes[0] if owner else dashes[nth % len(dashes)]
            mark = "diamond" if len(line.points) == 1 else None  # a line needs two
            strokes.append(Stroke(_colour(places[owner or line.name]), dash, mark, filled=False))
    return strokes


def _owner(line: Line, measured: Sequence[Line]) -> str | None:
    """The measured line that a fit or a prediction is named after."""
    names = [
        measured_line.name
        for measured_line in measured
        if measured_line.name and line.name.startswith(measured_line.name)
    ]
    return max(names, key=len, default=None) if line.role in {"fitted", "predicted"} else None


def _measured(line: Line, index: int, *, is_joined: bool) -> Stroke:
    """Colours come again when all were used, with another dash and another shape."""
    dash = DASHES[index // len(SERIES) % len(DASHES)]
    if len(line.points) > _POINTS_FOR_MARKS or line.drawn == "line alone":
        return Stroke(_colour(index), dash)
    return Stroke(_colour(index), dash if is_joined else None, SHAPES[index % len(SHAPES)])


def _colour(index: int) -> str:
    return SERIES[index % len(SERIES)]


def _rows(line: Line, x: Placed, y: Placed) -> list[Row]:
    rows: list[Row] = []
    for point in line.points:
        position = {"x": x.place(point.x), "y": y.place(point.y)}
        if all(map(math.isfinite, position.values())):
            low, high = _ends(point, y)
            rows.append({**position, "low": low, "high": high, "order": len(rows)})
    return rows


def _ends(point: Point, y: Placed) -> tuple[float | None, float | None]:
    low, high = interval_within(y.axis, point)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None, None
    return y.clamp(low), y.clamp(high)


def _interval_layers(rows: list[Row], stroke: Stroke, places: Row) -> list[Layer]:
    """A band if all points of a long line have an interval, else a bar for each that has one."""
    known = [row for row in rows if row["low"] is not None]
    if not known:
        return []
    ends = {"x": places["x"], "y": on_field(places["y"], "low"), "y2": "high:Q"}
    if len(known) == len(rows) >= _POINTS_FOR_BAND and stroke.dash is not None:
        band = chart(known).mark_area(color=stroke.colour, opacity=0.18, clip=True)
        return [band.encode(**ends)]
    bars = chart(known).mark_rule(color=stroke.colour, strokeWidth=1.6, clip=True)
    return [bars.encode(**ends)]


def _rule_layers(height: float, stroke: Stroke, places: Row) -> list[Layer]:
    rule = chart([{"y": height}]).mark_rule(
        color=stroke.colour, strokeWidth=stroke.width, strokeDash=list(stroke.dash or ())
    )
    return [rule.encode(y=places["y"])]


def _anchor(x: Placed, y: Placed, places: Row) -> Layer:
    """Nothing to be seen, so that axes are there when nothing else is."""
    corner = chart([{"x": x.domain[0], "y": y.domain[0]}])
    layer: Layer = corner.mark_point(opacity=0, size=0).encode(**places)
    return layer
