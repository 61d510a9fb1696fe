"""A contact sheet of what networks get wrong, as one picture: SVG or PNG, fit for a slide."""

from collections.abc import Sequence
from textwrap import wrap
from xml.etree import ElementTree as ET

import vl_convert

from digitlab.models.inspection import Inspection
from digitlab.models.missed import Missed
from digitlab.report.examples import Mistake, missed_digits, missed_in_words, mistakes
from digitlab.report.numbers import clean

_SVG = "http://www.w3.org/2000/svg"
_INK, _SOFT, _PAPER = "#24292f", "#5b6570", "#ffffff"
_COLUMNS, _CELL_WIDTH, _IMAGE, _MARGIN, _LINE = 6, 150, 84, 28, 17
_WIDTH = 2 * _MARGIN + _COLUMNS * _CELL_WIDTH
_LETTERS_A_LINE = 130


def sheet_svg(network: Inspection, missed: Missed | None) -> str:
    """The sheet as an SVG document: the network's mistakes, and below them what all networks miss."""
    root = ET.Element(f"{{{_SVG}}}svg")
    y = _heading(root, _MARGIN + 20, f"Mistakes of {network.title}", network.caption, size=22)
    y = _cells(root, y, mistakes(network))
    if missed is not None:
        y = _heading(root, y + 34, "What all networks miss", missed_in_words(missed), size=18)
        y = _cells(root, y, missed_digits(missed))
    height = y + _MARGIN - 10
    for name, value in {"width": _WIDTH, "height": height, "viewBox": f"0 0 {_WIDTH} {height}"}.items():
        root.set(name, str(value))
    root.set("font-family", "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif")
    root.insert(0, ET.Element(f"{{{_SVG}}}rect", {"width": "100%", "height": "100%", "fill": _PAPER}))
    return ET.tostring(root, encoding="unicode")


def sheet_png(network: Inspection, missed: Missed | None, scale: float = 2) -> bytes:
    """The same as a PNG image, `scale` times as wide."""
    image: bytes = vl_convert.svg_to_png(sheet_svg(network, missed), scale=scale)
    return image


def _heading(root: ET.Element, y: int, title: str, text: str, *, size: int) -> int:
    """A title and a paragraph below it; where the next thing begins."""
    _text(root, _MARGIN, y, title, size=size, weight="600")
    for line in wrap(clean(text), _LETTERS_A_LINE):
        y += _LINE + 3
        _text(root, _MARGIN, y, line, size=13, fill=_SOFT)
    return y + 20


def _cells(root: ET.Element, y: int, shown: Sequence[Mistake]) -> int:
    """A grid of digits; where the next thing begins."""
    lines = 2 + max((len(mistake.bars) for mistake in shown), default=0)
    cell_height = _IMAGE + lines * _LINE + 22
    for i, mistake in enumerate(shown):
        row, column = divmod(i, _COLUMNS)
        _cell(root, _MARGIN + column * _CELL_WIDTH, y + row * cell_height, mistake)
    return y + -(-len(shown) // _COLUMNS) * cell_height


def _cell(root: ET.Element, x: int, y: int, mistake: Mistake) -> None:
    place = {"x": str(x), "y": str(y), "width": str(_IMAGE), "height": str(_IMAGE)}
    smooth = {"image-rendering": "optimizeSpeed", "style": "image-rendering: pixelated"}
    ET.SubElement(root, f"{{{_SVG}}}image", {**place, "href": mistake.image, **smooth})
    ET.SubElement(root, f"{{{_SVG}}}rect", {**place, "fill": "none", "stroke": "#d9dee3"})
    y += _IMAGE + _LINE
    _text(root, x, y, f"{mistake.label} taken for {mistake.predicted}", size=13, weight="600")
    _text(root, x, y + _LINE, f"test image {mistake.place}", size=11, fill=_SOFT)
    for i, bar in enumerate(mistake.bars, start=2):
        weight = "600" if bar.is_label else "400"
        _text(root, x, y + i * _LINE, f"{bar.name}: {bar.words}", size=12, weight=weight)


def _text(
    root: ET.Element, x: int, y: int, text: str, *, size: int, weight: str = "400", fill: str = _INK
) -> None:
    attributes = {"x": x, "y": y, "font-size": size, "font-weight": weight, "fill": fill}
    element = ET.SubElement(root, f"{{{_SVG}}}text", {name: str(value) for name, value in attributes.items()})
    element.text = clean(text)
