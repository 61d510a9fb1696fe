"""Tables for terminals of any width: texts fold where space is short, numbers stay whole."""

from collections.abc import Sequence

from rich.box import SIMPLE, Box
from rich.cells import cell_len
from rich.table import Table

from digitlab.cli.streams import clean
from digitlab.cli.terminal import stdout

_GAP = 2
_LONG = 24
"""A longer word without digits may be torn."""
_RULED = Box(str(SIMPLE), ascii=True)
"""Else rich draws a cage in its stead where the encoding is not UTF-8; the stream knows a better stand-in."""


def print_table(
    align: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, is_ruled: bool = False
) -> None:
    """Print a table, as wide as its texts or as the terminal is.

    align:    a letter for each column: `l` for texts, at the left; `r` for numbers, at the right
    is_ruled: with a line below the heads, and a margin
    Where not even the folded columns fit, each row is printed as lines of `head  cell`.
    """
    heads, rows = list(map(clean, heads)), [list(map(clean, row)) for row in rows]
    columns = [[head, *(row[index] for row in rows)] for index, head in enumerate(heads)]
    least, whole = list(map(_least_width, columns)), [max(map(_width, column)) for column in columns]
    margin = stdout().width - (4 if is_ruled else 0)
    spaces = {gap: margin - gap * (len(heads) - 1) for gap in (_GAP, 1)}
    fitting = [gap for needed in (whole, least) for gap, space in spaces.items() if sum(needed) <= space]
    if not fitting:
        _print_records(heads, rows)
        return
    gap = fitting[0]
    table = Table(box=_RULED if is_ruled else None, header_style="", pad_edge=is_ruled, padding=0)
    table.padding = (0, gap - 1, 0, 0) if is_ruled else (0, gap, 0, 0)
    for head, letter, width in zip(heads, align, _widths(least, whole, spaces[gap]), strict=True):
        table.add_column(head, justify="right" if letter == "r" else "left", width=width, overflow="fold")
    for row in rows:
        table.add_row(*row)
    stdout().print(table)


def _width(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _least_width(column: Sequence[str]) -> int:
    """The width at which nothing is torn but long words without digits."""
    words = [word for text in column for word in text.split()]
    return max(
        (cell_len(word) if any(map(str.isdecimal, word)) else min(cell_len(word), _LONG) for word in words),
        default=1,
    )


def _widths(least: Sequence[int], whole: Sequence[int], space: int) -> list[int]:
    """Widths of columns between the least and the whole, whose sum fits; the widest give way first."""
    widths = list(whole)
    while sum(widths) > space:
        widest = max(range(len(widths)), key=lambda index: (widths[index] > least[index], widths[index]))
        widths[widest] -= 1
    return widths


def _print_records(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row as lines of its own."""
    longest = max(map(cell_len, heads))
    for row in rows:
        for head, cell in zip(heads, row, strict=True):
            if cell:
                stdout().print(f"{head}{' ' * (longest - cell_len(head))}  {cell}".strip(), overflow="fold")
        stdout().print()
