"""A table as it is written, on the page and in the terminal: no empty column, and what is missing is said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from digitlab.analysis.findings import Cell, Table
from digitlab.report.numbers import DASH, are_powers_of_two, column

_MISSING = f"{DASH}: no value."


@dataclass(frozen=True)
class Head:
    """A column's name; numbers stand to the right."""

    name: str
    kind: Literal["text", "number"]


@dataclass(frozen=True)
class Written:
    """A table in texts: rows [row][column]."""

    heads: tuple[Head, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def written(table: Table) -> Written:
    """How a table is written.

    A column without any value is left out. A value that is missing among others is a dash, which the note
    explains. Learning rates that are powers of two are fractions in every column that holds nothing else.
    """
    columns = [(name, [row[index] for row in table.rows]) for index, name in enumerate(table.columns)]
    shown = [(name, cells) for name, cells in columns if not all(map(_is_empty, cells))]
    beside_powers = any(are_powers_of_two(_floats(cells)) for _, cells in shown)
    texts = [_texts(cells, beside_powers=beside_powers) for _, cells in shown]
    missing = any(_is_missing(cell) for _, cells in shown for cell in cells) and DASH not in table.note
    return Written(
        heads=tuple(Head(name, _kind(cells)) for name, cells in shown),
        rows=tuple(zip(*texts, strict=True)),
        note=" ".join(filter(None, (table.note, _MISSING if missing else ""))),
    )


def _texts(cells: Sequence[Cell], *, beside_powers: bool) -> list[str]:
    texts = column(cells, beside_powers=beside_powers)
    return [DASH if _is_missing(cell) else text for cell, text in zip(cells, texts, strict=True)]


def _kind(cells: Sequence[Cell]) -> Literal["text", "number"]:
    return "text" if any(isinstance(cell, str) for cell in cells) else "number"


def _floats(cells: Sequence[Cell]) -> list[float]:
    return [cell for cell in cells if isinstance(cell, float) and math.isfinite(cell)]


def _is_missing(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, float) and not math.isfinite(cell))


def _is_empty(cell: Cell) -> bool:
    return _is_missing(cell) or cell == ""
