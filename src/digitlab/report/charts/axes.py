"""Axes of charts: where values lie, which ticks stand beside them, and how these are written."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import altair as alt

from digitlab.analysis.findings import Axis, Point
from digitlab.report.numbers import are_powers_of_two, clean, number, percent

Value = float | str
Options = dict[str, Any]
_SMALLEST, _LARGEST = 1e-100, 1e100
"""What lies beyond is not drawn: the ends of an axis could not be reckoned."""
_MOST_WHOLE = 1e12
"""Whole numbers that lie farther apart have no whole ticks of their own."""
_LETTER_PIXELS = 6.6
"""About the width of a letter at the charts' size."""


@dataclass(frozen=True)
class Placed:
    """An axis with a place for each of its values.

    scale:  of the chart; categories are placed on a linear one, at 0, 1, …
    domain: both ends
    ticks:  place and label; None leaves them to the chart
    order:  the categories; () when places are the values
    """

    axis: Axis
    scale: Literal["linear", "log"]
    domain: tuple[float, float]
    ticks: tuple[tuple[float, str], ...] | None
    order: tuple[Value, ...] = ()

    def place(self, value: Value) -> float:
        """Where a value lies: among categories that are numbers, between its neighbours; NaN if nowhere."""
        if not self.order:
            return float(value) if _is_shown(value, self.scale) else math.nan
        if value in self.order:
            return float(self.order.index(value))
        return _between(value, self.order)

    def clamp(self, position: float) -> float:
        """The place, moved to the nearer end when it lies outside."""
        return min(max(position, self.domain[0]), self.domain[1])


def _is_shown(value: Value, scale: str) -> bool:
    """Whether a value has a place on a scale of numbers."""
    number = float(value)
    return _SMALLEST < number < _LARGEST if scale == "log" else abs(number) < _LARGEST


def _between(value: Value, order: Sequence[Value]) -> float:
    numbers = [float(known) for known in order if isinstance(known, float | int)]
    if not isinstance(value, float | int) or len(numbers) != len(order) or not math.isfinite(value):
        return math.nan
    by_ratio = min(*numbers, value) > 0
    number, *known = [math.log(n) if by_ratio else n for n in (value, *numbers)]
    for index, (left, right) in enumerate(pairwise(known)):
        if min(left, right) <= number <= max(left, right) and left != right:
            return index + (number - left) / (right - left)
    return math.nan


def labels(axis: Axis, values: Sequence[Value]) -> list[str]:
    """How values are written beside this axis."""
    numbers = [value for value in values if not isinstance(value, str)]
    fractions = not axis.is_share and are_powers_of_two(numbers)
    return [
        clean(value)
        if isinstance(value, str)
        else percent(value)
        if axis.is_share
        else number(value, fractions=fractions)
        for value in values
    ]


def interval_within(axis: Axis, point: Point) -> tuple[float, float]:
    """The ends of a point's interval. That of a share reaches no further than from 0 to 1."""
    if axis.is_share and 0 <= point.y <= 1:
        return max(point.low, 0.0), min(point.high, 1.0)
    return point.low, point.high


def in_categories(axis: Axis, values: Iterable[Value]) -> Placed:
    """An axis of categories. Those of a scale of numbers are sorted, others keep their order."""
    order = list(dict.fromkeys(values))
    if axis.scale != "category" and all(isinstance(value, float | int) for value in order):
        order.sort(key=float)
    ticks = tuple((float(index), label) for index, label in enumerate(labels(axis, order)))
    return Placed(axis, "linear", (-0.5, max(len(order), 1) - 0.5), ticks, tuple(order))


def in_numbers(axis: Axis, values: Iterable[float], *, most_ticks: int) -> Placed:
    """An axis of numbers that holds all finite values; on a log scale, all positive ones."""
    is_log = axis.scale == "log"
    found = [value for value in (*values, *axis.covers) if _is_shown(value, "log" if is_log else "linear")]
    if not found:
        found = [1.0, 10.0] if is_log else [0.0, 1.0]
    low, high = min(found), max(found)
    if is_log:
        room = max((high / low) ** 0.04, 1.02)
        domain = (low / room, high * room)
        return Placed(axis, "log", domain, _log_ticks(axis, found, domain, most_ticks))
    room = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
    domain = (low - room, high + room)
    if axis.is_share and low > 0 and high <= 1:
        domain = (max(domain[0], 0.0), min(domain[1], 1.0))
    return Placed(axis, "linear", domain, None if axis.is_share else _whole_ticks(found, most_ticks))


def placed(axis: Axis, values: Sequence[Value], *, most_ticks: int) -> Placed:
    """An axis of whichever kind its scale says; texts make it one of categories."""
    if axis.scale == "category" or any(isinstance(value, str) for value in values):
        return in_categories(axis, values)
    return in_numbers(axis, map(float, values), most_ticks=most_ticks)


def _whole_ticks(values: Sequence[float], most_ticks: int) -> tuple[tuple[float, str], ...] | None:
    """Whole numbers, 1, 2 or 5 times 10^k apart, where all values are whole; else the chart's own."""
    low, high = min(values), max(values)
    if not all(float(value).is_integer() for value in values) or high - low > _MOST_WHOLE:
        return None
    steps = (factor * 10**power for power in range(16) for factor in (1, 2, 5))
    step = next(step for step in steps if (high - low) / step < most_ticks)
    ticks = range(math.ceil(low / step) * step, math.floor(high) + 1, step)
    return tuple((float(tick), number(tick)) for tick in ticks) or None


def _log_ticks(
    axis: Axis, values: Sequence[float], domain: tuple[float, float], most_ticks: int
) -> tuple[tuple[float, str], ...]:
    """Powers of two where all values are that; else of ten, with 2 and 5 between them where there is room."""
    low, high = domain
    if are_powers_of_two(values) and not axis.is_share:
        first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
        step = math.ceil((last - first + 1) / most_ticks)
        ticks = [2.0**power for power in range(first, last + 1, step)]
    else:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factors in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,)):
            ticks = [f * 10.0**power for power in powers for f in factors if low <= f * 10.0**power <= high]
            if len(ticks) <= most_ticks:
                break
        ticks = ticks[:: math.ceil(len(ticks) / most_ticks) or 1] or [math.sqrt(low * high)]
        ticks = [float(f"{tick:.3g}") for tick in ticks]
    return tuple(zip(ticks, labels(axis, ticks), strict=True))


# ---- Drawn ----


def drawn_labels(placed: Placed) -> Options:
    """Options that write an axis's, or a legend's, ticks."""
    if placed.ticks is None:
        share, plain = "format(datum.value * 100, '~r') + ' %'", "format(datum.value, ',~r')"
        return {"labelExpr": share if placed.axis.is_share else plain, "tickCount": 6}
    positions, texts = [position for position, _ in placed.ticks], [text for _, text in placed.ticks]
    return {
        "values": positions,
        "labelExpr": f"{json.dumps(texts)}[indexof({json.dumps(positions)}, datum.value)]",
    }


def _scale(placed: Placed, *, reverse: bool = False) -> alt.Scale:
    return alt.Scale(type=placed.scale, domain=list(placed.domain), nice=False, zero=False, reverse=reverse)


def x_encoding(placed: Placed, pixels: float, *, grid: bool = True) -> alt.X:
    """The field `x` on this axis; labels that would touch are turned."""
    longest = max((len(text) for _, text in placed.ticks or ()), default=0)
    turned: Options = {}
    if placed.order and longest * _LETTER_PIXELS + 6 > pixels / len(placed.order):
        turned = {"labelAngle": -45, "labelAlign": "right", "labelBaseline": "middle"}
    look: Options = {"grid": grid, "labelOverlap": False if turned else "greedy", **turned}
    axis = alt.Axis(title=clean(placed.axis.title), **look, **drawn_labels(placed))
    return alt.X("x:Q", scale=_scale(placed), axis=axis)


def y_encoding(placed: Placed, *, grid: bool = True, reverse: bool = False) -> alt.Y:
    """The field `y` on this axis, whose title lies above it, to be read without turning one's head."""
    title: Options = {
        "titleAngle": 0,
        "titleAlign": "left",
        "titleBaseline": "bottom",
        "titleX": 0,
        "titleY": -9,
    }
    look: Options = {"grid": grid, "labelOverlap": "greedy"}
    axis = alt.Axis(title=clean(placed.axis.title), **title, **look, **drawn_labels(placed))
    return alt.Y("y:Q", scale=_scale(placed, reverse=reverse), axis=axis)


def on_field(encoding: alt.X | alt.Y, field: str) -> Any:
    """The same axis for another field of numbers."""
    other = encoding.copy(deep=False)
    other["shorthand"] = f"{field}:Q"
    return other
