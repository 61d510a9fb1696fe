"""The numbers behind a picture, as a table."""

import math

from digitlab.analysis.findings import (
    Axis,
    Cell,
    Estimate,
    Forest,
    HeatMap,
    Line,
    Lines,
    Picture,
    Ranking,
    Square,
    Table,
)
from digitlab.report.charts.axes import Value, in_categories, interval_within, labels
from digitlab.report.numbers import column


def table_of(picture: Picture) -> Table:
    """The numbers behind a picture; shares in percent."""
    if isinstance(picture, Lines):
        return _of_lines(picture)
    if isinstance(picture, HeatMap):
        return _of_heatmap(picture)
    if isinstance(picture, Ranking):
        return _of_ranking(picture)
    return _of_forest(picture)


def _of_lines(picture: Lines) -> Table:
    points = [(line, point) for line in picture.lines for point in line.points]
    has_intervals = any(math.isfinite(point.low) or math.isfinite(point.high) for _, point in points)
    columns = ["line", _head(picture.x), _head(picture.y), *(["from", "to"] if has_intervals else [])]
    rows = []
    for line, point in points:
        ends = interval_within(picture.y, point) if has_intervals else ()
        ys = [_scaled(picture.y, y) for y in (point.y, *ends)]
        rows.append((line.name, _scaled(picture.x, point.x), *ys))
    note = f"From … to: {picture.interval}." if has_intervals else ""
    if picture.rule:
        height, name = picture.rule
        rows.append((name, None, _scaled(picture.y, height), *([None, None] if has_intervals else [])))
    return Table(picture.title, tuple(columns), tuple(rows), note)


def _of_heatmap(picture: HeatMap) -> Table:
    """A row for each y, a column for each x."""
    xs = in_categories(picture.x, [square.x for square in picture.squares]).order
    ys = in_categories(picture.y, [square.y for square in picture.squares]).order
    cells = {(square.x, square.y): _cell(picture, square) for square in picture.squares}
    columns = (f"{picture.y.title} ↓ · {picture.x.title} →", *labels(picture.x, xs))
    names = labels(picture.y, ys)
    rows = tuple((name, *(cells.get((x, y)) for x in xs)) for name, y in zip(names, ys, strict=True))
    notes = [f"Cells: {_head(picture.value)}.", *_best(picture), *map(_told, picture.lines)]
    return Table(picture.title, columns, rows, " ".join(notes))


def _of_forest(picture: Forest) -> Table:
    columns = ("group", "effect", _head(picture.x), "from", "to")
    rows = tuple(
        (effect.group, effect.label, *(_scaled(picture.x, end) for end in _ends(effect.estimate)))
        for effect in picture.effects
    )
    return Table(picture.title, columns, rows, "From … to: the interval of 95 %.")


def _of_ranking(picture: Ranking) -> Table:
    columns = ("what", "kind", _head(picture.x), "from", "to")
    rows = tuple(
        (row.label, entry.kind, *(_scaled(picture.x, end) for end in _ends(entry.estimate)))
        for row in picture.rows
        for entry in row.entries
    )
    return Table(picture.title, columns, rows, f"From … to: {picture.interval}.")


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _head(axis: Axis) -> str:
    """A column's name: with the unit that its numbers have."""
    return f"{axis.title} (%)" if axis.is_share and "%" not in axis.title else axis.title


def _scaled(axis: Axis, value: Value) -> Cell:
    return 100 * value if axis.is_share and not isinstance(value, str) else value


def _cell(picture: HeatMap, square: Square) -> Cell:
    if square.state in {"collapsed", "diverged"}:
        return square.state
    return _scaled(picture.value, square.value)


def _best(picture: HeatMap) -> list[str]:
    best = [square for square in picture.squares if square.state == "best"]
    return [
        f"Best: {labels(picture.x, [square.x])[0]}, {labels(picture.y, [square.y])[0]}." for square in best
    ]


def _told(line: Line) -> str:
    xs = column([point.x for point in line.points])
    ys = column([point.y for point in line.points])
    return f"{line.name}: " + ", ".join(f"{x}: {y}" for x, y in zip(xs, ys, strict=True)) + "."
