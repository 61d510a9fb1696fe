"""How numbers and texts are written, the same on the page, in charts and in the terminal."""

import math
import re
from collections.abc import Iterable, Sequence

from digitlab.analysis.findings import Cell, Estimate, decimals_for

DASH = "–"
"""Stands where a number is not finite."""
_SEPARATED_FROM = 10_000  # below, a year would be torn: 1,998
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """A text without control characters, which XML does not bear."""
    return _CONTROL.sub("\ufffd", text)


def are_powers_of_two(values: Iterable[float]) -> bool:
    """Whether all values are 2^k and one is below 1/2 or above 2: rates and batch sizes, not shares."""
    found = [value for value in values if math.isfinite(value)]
    return may_be_powers_of_two(found) and any(not 0.5 <= value <= 2 for value in found)


def may_be_powers_of_two(values: Iterable[float]) -> bool:
    """Whether all values are 2^k; of 1/2, 1 and 2 alone, what stands beside them tells what they are."""
    return all(value > 0 and math.frexp(value)[0] == 0.5 for value in values if math.isfinite(value))


def number(value: float, *, decimals: int | None = None, fractions: bool = False) -> str:
    """A number in figures: `60,000`, `0.0312`, `−3.2`, `–` for one that is not finite.

    decimals:  how many; by default as many as make four figures, without closing zeros
    fractions: 2^-k is written 1/2^k
    """
    if not math.isfinite(value):
        return DASH
    if fractions and 0 < value < 1:
        return f"1/{round(1 / value)}"
    if float(value).is_integer() and decimals is None and abs(value) < 1e15:
        grouping = "," if abs(value) >= _SEPARATED_FROM else ""
        return f"{int(value):{grouping}}".replace("-", "−")
    if decimals is None:
        text = _trimmed(f"{value:.{decimals_for(abs(value), 4)}f}")
        if float(text) == 0:
            text = f"{value:.3g}"
    else:
        text = f"{value:,.{decimals}f}" if abs(value) >= _SEPARATED_FROM else f"{value:.{decimals}f}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share, 0 to 1, in percent: `98.1 %`."""
    return f"{number(100 * share)} %" if math.isfinite(share) else DASH


def column(cells: Sequence[Cell], *, beside_powers: bool = False) -> list[str]:
    """A column of a table: its fractions get the same number of decimals.

    Powers of two are written as fractions when there is nothing else in the column.

    beside_powers: whether other columns of the table are written so; then one of 1/2, 1 and 2 alone is too
    """
    floats = [cell for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    fractions = are_powers_of_two(floats) or (beside_powers and may_be_powers_of_two(floats))
    decimals = None if fractions or all(map(float.is_integer, floats)) else _common_decimals(floats)
    return [_cell(cell, decimals, fractions=fractions) for cell in cells]


def estimate(value: Estimate, unit: str = "") -> str:
    """The estimate alone, as precise as its interval allows: `0.423`, `−1.2 s`."""
    return _with_unit(number(value.value, decimals=_decimals_of(value)), unit)


def interval(value: Estimate, unit: str = "") -> str:
    """Its interval: `0.401 to 0.445`; a dash where there is none."""
    if not value.has_interval:
        return DASH
    decimals = _decimals_of(value)
    low, high = (number(end, decimals=decimals) for end in (value.low, value.high))
    return _with_unit(f"{low} to {high}", unit)


def _cell(cell: Cell, decimals: int | None, *, fractions: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return clean(cell)
    if isinstance(cell, int):
        return number(cell)
    return number(cell, decimals=decimals, fractions=fractions)


def _with_unit(text: str, unit: str) -> str:
    return text if text == DASH or not unit else f"{text} {clean(unit)}"


def _decimals_of(value: Estimate) -> int | None:
    """The interval's width with two figures: more would be noise."""
    if not value.has_interval or value.high <= value.low:
        return None
    return decimals_for(value.high - value.low, 2)


def _common_decimals(values: Sequence[float]) -> int:
    """Four figures for the largest, less the closing zeros that all share; at least two for most."""
    sizes = sorted(abs(value) for value in values if value)
    most = max(decimals_for(sizes[-1], 4), decimals_for(sizes[len(sizes) // 2], 2))
    return max(len(_trimmed(f"{value:.{most}f}").partition(".")[2]) for value in values)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
