"""A picture of effects beside zero, as a chart: a row an effect, in groups, with intervals."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import altair as alt

from digitlab.analysis.findings import Effect, Forest
from digitlab.report.charts.axes import Placed, in_numbers, on_field, x_encoding
from digitlab.report.charts.colours import GREY, SERIES
from digitlab.report.charts.marks import (
    SHAPES,
    Layer,
    Look,
    Row,
    Stroke,
    chart,
    legend,
    point_layer,
    wrapped,
)
from digitlab.report.numbers import clean, number, percent

_ROW, _NARROW_ROW, _SMALL_ROW = 24, 40, 27
_LABEL_PIXELS, _NUMBER_PIXELS = 210, 10


def forest_chart(picture: Forest, look: Look) -> tuple[Layer, Layer | None]:
    """The chart and its legend."""
    groups = list(dict.fromkeys(effect.group for effect in picture.effects))
    rows = [row for row in _rows(picture.effects, groups) if not (look.is_small and row["is_head"])]
    for place, row in enumerate(rows):
        row["y"] = place
    ends = [end for effect in picture.effects for end in _ends(effect)]
    margin = [picture.margin, -picture.margin]
    x = in_numbers(
        replace(picture.x, scale="linear"), [0.0, *ends, *margin], most_ticks=5 if look.is_small else 7
    )
    width = look.plot_pixels + 30 if look.is_narrow else look.pixels - _LABEL_PIXELS - _NUMBER_PIXELS
    room = look.plot_pixels if look.is_narrow else _LABEL_PIXELS - 26
    lines = _wrap_labels(rows, room, look)
    row_height = (_SMALL_ROW if look.is_small else _NARROW_ROW if look.is_narrow else _ROW) + (
        lines - 1
    ) * _line_height(look)
    height = max(len(rows), 1) * row_height
    down = alt.Scale(domain=[max(len(rows), 1) - 0.5, -0.5], nice=False, zero=False)
    y = alt.Y("y:Q", scale=down, axis=None)
    places = {"x": x_encoding(x, width), "y": y}
    layers = [*_margin_layers(x, picture.margin, places), _zero_layer(look, places)]
    for index, group in enumerate(groups):
        mine = [row for row in rows if row["group"] == group and not row["is_head"]]
        stroke = Stroke(SERIES[index % len(SERIES)], None, SHAPES[index % len(SHAPES)])
        layers += _effect_layers([row for row in mine if row["x"] is not None], stroke, places)
    layers += _label_layers(rows, look, y, lines=lines)
    drawn = alt.layer(*layers).properties(width=width, height=height)
    return drawn, legend(_margin_entry(picture), look, width)


def _rows(effects: Sequence[Effect], groups: Sequence[str]) -> list[Row]:
    """A row for each group's name, where there are names, and below it one for each of its effects."""
    rows: list[Row] = []
    for group in groups:
        if group:
            rows.append({"y": len(rows), "group": group, "is_head": True, "label": clean(group), "x": None})
        for effect in effects:
            if effect.group == group:
                rows.append(_row(effect, len(rows)))
    return rows


def _row(effect: Effect, y: int) -> Row:
    value = effect.estimate.value
    low, high = (effect.estimate.low, effect.estimate.high) if effect.estimate.has_interval else (None, None)
    return {
        "y": y,
        "group": effect.group,
        "is_head": False,
        "label": clean(effect.label),
        "x": value if math.isfinite(value) else None,
        "low": low,
        "high": high,
    }


def _ends(effect: Effect) -> tuple[float, float, float]:
    return effect.estimate.value, effect.estimate.low, effect.estimate.high


def _wrap_labels(rows: Sequence[Row], pixels: float, look: Look) -> int:
    """Break labels that are too wide into lines; how many the longest has then."""
    most = 1
    for row in rows:
        lines = wrapped(row["label"], pixels, look.letter_pixels * (1.08 if row["is_head"] else 1))
        row["label"], most = "\n".join(lines), max(most, len(lines))
    return most


def _line_height(look: Look) -> int:
    return look.font_size + 2


def _effect_layers(rows: list[Row], stroke: Stroke, places: Row) -> list[Layer]:
    if not rows:
        return []
    ends = {"x": on_field(places["x"], "low"), "x2": "high:Q", "y": places["y"]}
    known = [row for row in rows if row["low"] is not None]
    bars = chart(known).mark_rule(color=stroke.colour, strokeWidth=2.4).encode(**ends)
    return [bars, point_layer(stroke, rows, **places)]


def _margin_layers(x: Placed, margin: float, places: Row) -> list[Layer]:
    if not math.isfinite(margin):
        return []
    sides = chart([{"left": x.clamp(-margin), "right": x.clamp(margin)}])
    left = on_field(places["x"], "left")
    return [sides.mark_rect(color=GREY, opacity=0.2).encode(x=left, x2="right:Q")]


def _zero_layer(look: Look, places: Row) -> Layer:
    rule = chart([{"x": 0}]).mark_rule(color=look.ink, strokeWidth=1.2, opacity=0.8)
    layer: Layer = rule.encode(x=places["x"])
    return layer


def _label_layers(rows: Sequence[Row], look: Look, y: alt.Y, *, lines: int) -> list[Layer]:
    """Names, of so many lines at most: left of the plot, or above each bar where it is narrow."""
    layers = []
    for is_head in (True, False):
        mine = chart([row for row in rows if row["is_head"] == is_head])
        weight: Any = "bold" if is_head else "normal"
        form: Row = {
            "align": "left",
            "fontWeight": weight,
            "lineBreak": "\n",
            "lineHeight": _line_height(look),
        }
        if look.is_narrow:
            placement: Row = {
                "x": 0 if is_head else 6,
                "dy": 4 if is_head else (-9 if look.is_small else -12) - (lines - 1) * _line_height(look) / 2,
            }
            # Lines of the chart pass below these names.
            edge: Row = {"color": look.paper, "stroke": look.paper, "strokeWidth": 3}
            halo = mine.mark_text(**form, **placement, **edge)
            layers.append(halo.encode(y=y, text="label:N"))
        else:
            placement = {"x": 12 - _LABEL_PIXELS, "dx": 0 if is_head else 12}
        words = mine.mark_text(**form, **placement)
        layers.append(words.encode(y=y, text="label:N"))
    return layers


def _margin_entry(picture: Forest) -> dict[str, Stroke]:
    if not math.isfinite(picture.margin):
        return {}
    within = percent(picture.margin) if picture.x.is_share else number(picture.margin)
    return {f"practically equal: within ± {within}": Stroke(f"{GREY}80", (), None, width=14)}
