"""A network on show, laid out: its confusion matrix as a picture, its mistakes, its weights as images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digitlab.analysis.findings import Axis, Digit, Exhibit, HeatMap, Square
from digitlab.report.images import diverging, grey, largest
from digitlab.report.numbers import DASH, clean, number

_BARS = 3
"""So many classes are shown beside a digit, the likeliest first, and its own if not among them."""


@dataclass(frozen=True)
class Bar:
    """A class and how likely the network holds it: width in percent of the whole, and in words."""

    name: str
    width: float
    words: str
    is_label: bool


@dataclass(frozen=True)
class Mistake:
    """A misclassified digit: its image (a data: URI), its class, the class given to it."""

    image: str
    label: str
    given: str
    bars: tuple[Bar, ...]


def confusion_picture(exhibit: Exhibit) -> HeatMap:
    """The confusion matrix: a row for each true class, a column for each class given."""
    squares = tuple(
        Square(_name(given, exhibit), _name(label, exhibit), float(count))
        for label, row in enumerate(exhibit.confusion)
        for given, count in enumerate(row)
    )
    return HeatMap(
        "confusion",
        f"What it takes for what: {exhibit.title}",
        "Test images by their class (rows) and the class given to them (columns); off the diagonal are "
        "mistakes. Colours follow the logarithm of the count.",
        Axis("class given", "category"),
        Axis("true class", "category"),
        Axis("images", "log"),
        squares,
        text=True,
    )


def mistakes(exhibit: Exhibit) -> list[Mistake]:
    """The misclassified digits, in their order."""
    return [_mistake(digit, exhibit) for digit in exhibit.misclassified]


def weight_images(exhibit: Exhibit) -> list[str]:
    """The first layer's weights as data: URIs, [unit], all on one scale that is symmetric about 0."""
    limit = largest(exhibit.weights)
    return [diverging(unit, limit) for unit in exhibit.weights]


def _mistake(digit: Digit, exhibit: Exhibit) -> Mistake:
    order = sorted(range(len(digit.probabilities)), key=lambda index: -_known(digit.probabilities[index]))
    shown = order[:_BARS] if digit.label in order[:_BARS] else [*order[:_BARS], digit.label]
    bars = tuple(_bar(index, digit, exhibit) for index in shown if index < len(digit.probabilities))
    given = _name(order[0], exhibit) if order else ""
    return Mistake(grey(digit.image), _name(digit.label, exhibit), given, bars)


def _bar(index: int, digit: Digit, exhibit: Exhibit) -> Bar:
    share = digit.probabilities[index]
    words = f"{number(100 * share, decimals=1)} %" if math.isfinite(share) else DASH
    width = round(100 * min(max(_known(share), 0.0), 1.0), 1)
    return Bar(_name(index, exhibit), width, words, index == digit.label)


def _known(share: float) -> float:
    return share if math.isfinite(share) else 0.0


def _name(index: int, exhibit: Exhibit) -> str:
    names: Sequence[str] = exhibit.class_names
    return clean(names[index]) if index < len(names) else str(index)
