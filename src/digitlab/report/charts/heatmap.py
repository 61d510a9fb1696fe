"""A picture of cells, as a chart: coloured by value, with broken cells marked and lines above them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from digitlab.analysis.findings import HeatMap, Line, Square
from digitlab.report.charts.axes import (
    Placed,
    drawn_labels,
    in_categories,
    in_numbers,
    on_field,
    x_encoding,
    y_encoding,
)
from digitlab.report.charts.colours import BLACK, CASING, ON_CELLS, ONE_HUE, SCHEME, WHITE
from digitlab.report.charts.marks import Layer, Look, Row, Stroke, chart, legend, line_layers
from digitlab.report.numbers import clean, number, percent

BROKEN = {"collapsed": "×", "diverged": "∞"}
_DASHES = ((), (6, 4), (2, 3))
_DARK_UNTIL = 0.45
"""Where on viridis black writing begins to be read better than white."""
_HUE_STRONG_FROM = 0.55
_SIGN_SIZE = 15


def heatmap_chart(picture: HeatMap, look: Look) -> tuple[Layer, Layer | None]:
    """The chart and its legend."""
    x = in_categories(picture.x, [square.x for square in picture.squares])
    y = in_categories(picture.y, [square.y for square in picture.squares])
    values = in_numbers(picture.value, [square.value for square in picture.squares], most_ticks=5)
    width = look.plot_pixels
    # Texts are read from the top; numbers rise.
    places = {
        "x": x_encoding(x, width, grid=False),
        "y": y_encoding(y, grid=False, reverse=picture.y.scale == "category"),
    }
    colours = _Colours(values, is_hue=picture.text, is_reversed=not _best_is_highest(picture.squares))
    rows = [_row(square, picture, x, y, colours) for square in picture.squares]
    layers = _cell_layers(rows, colours, look, places)
    written = rows if picture.text else [row for row in rows if row["state"] in BROKEN]
    size = _text_size(rows, width, look) if picture.text else _SIGN_SIZE
    layers += _text_layers(written, look, places, size=size)
    strokes = [_stroke(index) for index in range(len(picture.lines))]
    for line, stroke in zip(picture.lines, strokes, strict=True):
        layers += line_layers(stroke, _places_of(line, x, y), **places)
    height = _height(
        len(x.order), len(y.order), width, least=10 if look.is_small else 24, most=16 if look.is_small else 42
    )
    drawn = alt.layer(*layers).properties(width=width, height=height)
    named = {line.name: stroke for line, stroke in zip(picture.lines, strokes, strict=True)}
    if look.is_small:  # beside its answer in words; the chapter's has everything
        return drawn, None
    return drawn, legend(named | _state_strokes(picture.squares, look), look, width)


@dataclass(frozen=True)
class _Colours:
    """Viridis, bright where it is best; or, below writing, one hue that grows stronger.

    values: the axis of what is coloured
    """

    values: Placed
    is_hue: bool
    is_reversed: bool

    @property
    def scale(self) -> alt.Scale:
        domain = list(self.values.domain)
        if self.is_hue:
            return alt.Scale(type=self.values.scale, domain=domain, range=list(ONE_HUE), nice=False)
        return alt.Scale(
            type=self.values.scale, domain=domain, scheme=SCHEME, reverse=self.is_reversed, nice=False
        )

    def writing(self, value: float) -> str:
        """The colour of writing on this value's colour; "" is the chart's own."""
        share = _share_of_scale(value, self.values)
        if self.is_hue:
            return WHITE if share > _HUE_STRONG_FROM else ""
        brightness = 1 - share if self.is_reversed else share
        return BLACK if brightness > _DARK_UNTIL else WHITE


def _best_is_highest(squares: Sequence[Square]) -> bool:
    best = [square.value for square in squares if square.state == "best"]
    found = [square.value for square in squares if math.isfinite(square.value)]
    return bool(best) and best[0] > (min(found) + max(found)) / 2


def _row(square: Square, picture: HeatMap, x: Placed, y: Placed, colours: _Colours) -> Row:
    at_x, at_y = x.place(square.x), y.place(square.y)
    position = colours.values.place(square.value)
    known = math.isfinite(position) and square.state not in BROKEN
    words = BROKEN.get(square.state, "")
    if not words and math.isfinite(square.value):
        words = percent(square.value) if picture.value.is_share else number(square.value)
    return {
        "x": at_x,
        "y": at_y,
        "left": at_x - 0.5,
        "right": at_x + 0.5,
        "top": at_y - 0.5,
        "bottom": at_y + 0.5,
        "value": position if known else None,
        "state": square.state,
        "words": words,
        "colour": colours.writing(position) if known else "",
    }


def _share_of_scale(value: float, values: Placed) -> float:
    """How far along the colour scale, 0 to 1."""
    low, high = values.domain
    if values.scale == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _cell_layers(rows: Sequence[Row], colours: _Colours, look: Look, places: Row) -> list[Layer]:
    edges = {
        "x": on_field(places["x"], "left"),
        "x2": "right:Q",
        "y": on_field(places["y"], "top"),
        "y2": "bottom:Q",
    }
    known = [row for row in rows if row["value"] is not None]
    broken = [row for row in rows if row["state"] in BROKEN]
    best = [row for row in rows if row["state"] == "best"]
    layers: list[Layer] = [chart(broken).mark_rect(color=look.ink, opacity=0.09).encode(**edges)]
    if known:
        key = None if look.is_small else _colour_key(colours.values, look)
        colour = alt.Color("value:Q", scale=colours.scale, legend=key)
        layers.append(chart(known).mark_rect(stroke=look.paper, strokeWidth=1).encode(color=colour, **edges))
    for colour_of_edge, width in ((look.paper, 5.5), (look.ink, 2.5)):
        outline = chart(best).mark_rect(fill="transparent", stroke=colour_of_edge, strokeWidth=width)
        layers.append(outline.encode(**edges))
    return layers


def _colour_key(values: Placed, look: Look) -> alt.Legend:
    """The colours beside numbers, above the chart."""
    placement: Row = {
        "title": clean(values.axis.title),
        "orient": "top",
        "gradientLength": min(260, look.plot_pixels - 60),
        "gradientThickness": 12,
        "offset": 22,
    }
    return alt.Legend(**placement, **drawn_labels(values))


def _text_layers(rows: Sequence[Row], look: Look, places: Row, *, size: float) -> list[Layer]:
    """What is written in cells: a layer for each colour."""
    layers = []
    for colour in sorted({row["colour"] for row in rows}):
        mine = chart([row for row in rows if row["colour"] == colour])
        words = mine.mark_text(fontSize=size, color=colour or look.ink)
        layers.append(words.encode(text="words:N", **places))
    return layers


def _text_size(rows: Sequence[Row], width: float, look: Look) -> float:
    """So large that the longest word fits its cell."""
    longest = max((len(row["words"]) for row in rows), default=1)
    columns = len({row["x"] for row in rows}) or 1
    return max(6.0, min(look.font_size - 1.0, width / columns / (0.62 * longest + 0.4)))


def _stroke(index: int) -> Stroke:
    again = index // len(ON_CELLS)  # the colours' second round has other dashes
    dash = _DASHES[(index + again) % len(_DASHES)]
    return Stroke(ON_CELLS[index % len(ON_CELLS)], dash, None, casing=CASING, width=2.4)


def _state_strokes(squares: Sequence[Square], look: Look) -> dict[str, Stroke]:
    states = {square.state for square in squares}
    strokes = {
        "best": Stroke(look.ink, None, "square", filled=False),
        "collapsed": Stroke(look.ink, None, text=BROKEN["collapsed"]),
        "diverged": Stroke(look.ink, None, text=BROKEN["diverged"]),
    }
    names = {"best": "best cell", "collapsed": "collapsed to chance", "diverged": "diverged"}
    return {names[state]: stroke for state, stroke in strokes.items() if state in states}


def _places_of(line: Line, x: Placed, y: Placed) -> list[Row]:
    rows: list[Row] = []
    for point in line.points:
        position = {"x": x.place(point.x), "y": y.place(point.y)}
        if all(map(math.isfinite, position.values())):
            rows.append({**position, "order": len(rows)})
    return rows


def _height(columns: int, rows: int, width: float, *, least: int, most: int) -> float:
    """Cells are about square, unless that makes the chart too tall or too flat."""
    cell = min(max(width / max(columns, 1), least), most)
    return float(cell * max(rows, 1))
