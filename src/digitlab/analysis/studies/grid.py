"""The grid that two crossed axes make: its cells, its table, its heat map."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import Condition, how_broken, in_words, level_name, seed_count
from digitlab.analysis.findings import Axis, HeatMap, Square, Table
from digitlab.analysis.reached import reached
from digitlab.analysis.summary import accuracy


@dataclass(frozen=True)
class Grid:
    """Every level of one axis with every level of another.

    axes:      names of the axis of rows, and of that of columns
    levels:    their labels
    cells:     [row][column]
    reference: row and column that the others are compared with
    """

    axes: tuple[str, str]
    levels: tuple[tuple[str, ...], tuple[str, ...]]
    cells: tuple[tuple[Condition, ...], ...]
    reference: tuple[int, int]

    @property
    def conditions(self) -> list[Condition]:
        """Row by row."""
        return [condition for row in self.cells for condition in row]

    @property
    def points(self) -> Float64[np.ndarray, "seed row column"]:
        """Test accuracy in percent; NaN where most networks broke."""
        seeds = seed_count(self.conditions)
        values = [
            100 * reached(cell) if cell.reports else np.full(seeds, math.nan) for cell in self.conditions
        ]
        return np.stack(values, axis=1).reshape(seeds, *map(len, self.levels))

    def axis(self, number: int) -> str:
        """The name of an axis, for sentences."""
        return in_words(self.axes[number])

    def level(self, number: int, index: int) -> str:
        """A level of an axis, with the axis."""
        return level_name(self.axes[number], self.levels[number][index])

    def others(self, number: int) -> list[int]:
        """The levels of an axis that are compared with its reference."""
        return [index for index in range(len(self.levels[number])) if index != self.reference[number]]


def grid_of(conditions: Sequence[Condition], baseline: str | None) -> Grid | None:
    """The grid that conditions make; None where they do not cross exactly two axes of two levels or more.

    baseline: label of the level that others of its axis are compared with; elsewhere it is the first
    """
    axes = tuple(conditions[0].labels)
    if len(axes) != 2:
        return None
    rows, columns = (tuple(dict.fromkeys(each.labels[axis] for each in conditions)) for axis in axes)
    by_levels = {(each.labels[axes[0]], each.labels[axes[1]]): each for each in conditions}
    if min(len(rows), len(columns)) < 2 or len(by_levels) < len(rows) * len(columns):
        return None
    first, second = (levels.index(baseline) if baseline in levels else 0 for levels in (rows, columns))
    cells = tuple(tuple(by_levels[row, column] for column in columns) for row in rows)
    return Grid(axes, (rows, columns), cells, (first, second))


def heat_map(grid: Grid) -> HeatMap:
    """Test accuracy, a cell a setting."""
    values = [accuracy(condition).value for condition in grid.conditions]
    best = max((value for value in values if math.isfinite(value)), default=math.nan)
    squares = tuple(
        _square(condition, value, is_best=value == best)
        for condition, value in zip(grid.conditions, values, strict=True)
    )
    return HeatMap(
        name="grid",
        title=f"Test accuracy by {grid.axis(0)} and {grid.axis(1)}",
        caption=(
            f"Mean test accuracy of {seed_count(grid.conditions)} seeds"
            f"{', each setting at its best learning rate' if grid.conditions[0].is_tuned else ''}. "
            "× most networks collapsed, ∞ most diverged. Where the steps from row to row are the same in all "
            "columns, there is no interaction."
        ),
        x=Axis(grid.axis(1), "category"),
        y=Axis(grid.axis(0), "category"),
        value=Axis("test accuracy", is_share=True),
        squares=squares,
        text=True,
    )


def _square(condition: Condition, value: float, *, is_best: bool) -> Square:
    y, x = condition.labels.values()
    if condition.reports:
        return Square(x, y, value, "best" if is_best else "fine")
    return Square(x, y, math.nan, how_broken([run for same in condition.judged for run in same]))


def grid_table(grid: Grid) -> Table:
    """Test accuracy, a row and a column a level."""
    return Table(
        title=f"Test accuracy by {grid.axis(0)} and {grid.axis(1)}",
        columns=(f"{grid.axis(0)} ↓ · {grid.axis(1)} →", *grid.levels[1]),
        rows=tuple(
            (label, *(accuracy(cell).value if cell.reports else None for cell in row))
            for label, row in zip(grid.levels[0], grid.cells, strict=True)
        ),
        note="Mean over seeds; no number where most networks broke.",
    )
