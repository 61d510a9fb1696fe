"""Findings: what a study's results say, as frozen values: numbers, verdicts, and the data of pictures.

Everything that is printed or drawn of a study is in here, computed and testable; reports only lay it out.
"""

import math
from dataclasses import dataclass
from typing import Literal

Cell = str | float | int | None
"""What a table holds. None and a float that is not finite are missing values, shown as a dash."""

_MOST_DECIMALS = 8


def three_figures(value: float) -> str:
    """A number as sentences give it: `1.00`, `0.0312`, `12,400`, `∞`."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:#.3g}".removesuffix(".") if value else "0"


def decimals_for(size: float, figures: int) -> int:
    """So many decimals show a number of this size with so many figures."""
    if size == 0:
        return 0
    return min(max(figures - 1 - math.floor(math.log10(size)), 0), _MOST_DECIMALS)


@dataclass(frozen=True)
class Estimate:
    """A number with its interval of 95 % confidence; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        if math.isnan(self.low) or math.isnan(self.high):
            return three_figures(self.value)
        width = self.high - self.low
        if math.isinf(width) or width <= 0:
            value, low, high = map(three_figures, (self.value, self.low, self.high))
        else:  # all three to the place that gives half the width two figures
            places = decimals_for(width / 2, 2)
            value, low, high = (f"{part:,.{places}f}" for part in (self.value, self.low, self.high))
        return f"{value} (95 % interval {low} to {high})"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    title:    what was estimated, in words
    estimate: in `unit` ("" for a plain number)
    n, n_of:  how many of what it rests on: 5 "seeds"
    method:   how estimate and interval were computed, with the source
    verdict:  what may be said, in one sentence or two, no stronger than the numbers allow
    """

    title: str
    estimate: Estimate
    unit: str
    n: int
    n_of: str
    method: str
    verdict: str


@dataclass(frozen=True)
class Table:
    """Numbers in columns: rows [row][column]."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


# ---- Pictures, as data ----

Role = Literal["measured", "fitted", "predicted", "reference"]
"""Measured: points joined by a line; fitted: a line; predicted: a dashed line; reference: figures of others,
drawn grey."""


@dataclass(frozen=True)
class Axis:
    """What an axis shows. category: values are texts or numbers in the order in which they come."""

    title: str
    scale: Literal["linear", "log", "category"] = "linear"
    is_share: bool = False
    """Values are shares, 0 to 1, to be shown in percent."""
    covers: tuple[float, ...] = ()
    """Values that it holds besides those that are drawn, so that pictures side by side can share it."""


@dataclass(frozen=True)
class Point:
    """One point; low and high are the ends of its interval, NaN where there is none."""

    x: float | str
    y: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Line:
    """Points that belong together, in order of x. drawn: by which marks; by default as its role has it."""

    name: str
    points: tuple[Point, ...]
    role: Role = "measured"
    drawn: Literal["as its role", "line alone", "points alone"] = "as its role"


@dataclass(frozen=True)
class Lines:
    """A chart of lines.

    rule:     a horizontal line at this height, with its name
    interval: what reaches from low to high of the points
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    rule: tuple[float, str] | None = None
    interval: str = "the interval of 95 %"


State = Literal["fine", "best", "collapsed", "diverged"]


@dataclass(frozen=True)
class Square:
    """One cell of a heat map; value is NaN where the network broke."""

    x: float | str
    y: float | str
    value: float
    state: State = "fine"


@dataclass(frozen=True)
class HeatMap:
    """A chart of cells, coloured by value (logarithmically if said), with lines above it.

    text: whether each cell shows its value
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    value: Axis
    squares: tuple[Square, ...]
    lines: tuple[Line, ...] = ()
    text: bool = False


@dataclass(frozen=True)
class Effect:
    """One row of a forest: a difference with its interval."""

    label: str
    group: str
    estimate: Estimate


@dataclass(frozen=True)
class Forest:
    """A chart of effects beside zero. margin: differences within ± this count as practically equal."""

    name: str
    title: str
    caption: str
    x: Axis
    effects: tuple[Effect, ...]
    margin: float = math.nan


@dataclass(frozen=True)
class Entry:
    """A value in a ranking. kind: what its mark tells, such as what was used to reach it."""

    kind: str
    estimate: Estimate


@dataclass(frozen=True)
class Ranked:
    """A row of a ranking: its name, and what is compared in it, one value or several."""

    label: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Ranking:
    """A chart of many values on one axis, in rows, in the order in which they come.

    own:      the kinds that are the point of the chart, the first of all first
    interval: what reaches from low to high of the estimates
    """

    name: str
    title: str
    caption: str
    x: Axis
    rows: tuple[Ranked, ...]
    own: tuple[str, ...]
    interval: str = "the interval of 95 %"


Picture = Lines | HeatMap | Forest | Ranking


@dataclass(frozen=True)
class Headline:
    """The answer of a study for those who read nothing else.

    sentence: the answer
    how_sure: on what it rests: `95 % interval 0.36 to 0.41, 10 seeds`
    picture:  the name of the one of the study's pictures that shows it
    """

    sentence: str
    how_sure: str
    picture: str


@dataclass(frozen=True)
class StudyFindings:
    """All that a study says.

    name, title, question, scale: the study's own
    answer:   the question answered, a sentence or two each
    findings: with estimate, interval, n and method
    methods:  what was done, a paragraph each
    run_count, seeds: what it rests on
    headline: the answer in one sentence; without one, the first sentence of the answer stands for it
    """

    name: str
    title: str
    question: str
    scale: str
    answer: tuple[str, ...]
    findings: tuple[Finding, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    methods: tuple[str, ...]
    run_count: int
    seeds: str
    headline: Headline | None = None
