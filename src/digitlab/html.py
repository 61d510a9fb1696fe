"""Small pieces of HTML by which values show themselves in a notebook: a table, a line chart.

Plain strings, so that a result can be looked at without any drawing library.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#3366aa", "#cc6622", "#227755")
_WIDTH, _HEIGHT, _MARGIN = 420, 220, 44


def table(rows: Mapping[str, str]) -> str:
    """An HTML table of two columns."""
    left = 'style="text-align:left"'
    cells = "".join(
        f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def line_chart(x_name: str, xs: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    """An SVG chart of lines over common x values, from zero up; non-finite points are left out.

    xs:    x of each point, [point]
    lines: name of each line and its values, [point]; an empty line is left out
    Returns an empty string when there is nothing to draw.
    """
    points = {
        name: [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
        for name, ys in lines.items()
        if ys
    }
    drawn = [point for line in points.values() for point in line]
    if not drawn:
        return ""
    x_top, y_top = max(x for x, _ in drawn) or 1, max(y for _, y in drawn) or 1
    right, bottom = _WIDTH - 12, _HEIGHT - _MARGIN

    def place(x: float, y: float) -> tuple[float, float]:
        return _MARGIN + (right - _MARGIN) * x / x_top, bottom - (bottom - 12) * y / y_top

    parts = [
        f'<path d="M{_MARGIN} 12V{bottom}H{right}" fill="none" stroke="currentColor"/>',
        f'<text x="{_MARGIN - 4}" y="20" text-anchor="end">{y_top:.3g}</text>',
        f'<text x="{_MARGIN - 4}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{x_top:,} {escape(x_name)}s</text>',
    ]
    for i, (name, line) in enumerate(points.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        placed = [place(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in placed)
        parts.append(
            f'<text x="{_MARGIN + 8 + 130 * i}" y="{_HEIGHT - 6}" fill="{colour}">{escape(name)}</text>'
        )
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" style="max-width:100%"'
    look = 'font-family="sans-serif" font-size="11" fill="currentColor"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {look}>{"".join(parts)}</svg>'
