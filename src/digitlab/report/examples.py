"""An example network, laid out: accuracies, the confusion matrix, mistakes, weights as images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digitlab.analysis.findings import Axis, Cell, HeatMap, Square, Table
from digitlab.analysis.statistics.intervals import accuracy_intervals
from digitlab.models.inspection import Digit, Inspection
from digitlab.models.missed import Missed, MissedDigit
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
    """A misclassified digit.

    place:     which of the test images it is, from 0
    image:     a data: URI
    label:     its class
    predicted: the predicted class
    """

    place: int
    image: str
    label: str
    predicted: str
    bars: tuple[Bar, ...]


def accuracy_table(network: Inspection) -> Table:
    """Accuracy on each part of the data, a row for all images and one for each class."""
    tested = accuracy_intervals(network.confusion)
    rows: list[tuple[Cell, ...]] = [
        (name, *(shares[i] for shares in network.accuracy.values()), interval.low, interval.high)
        for i, (name, interval) in enumerate(zip(("all", *network.class_names), tested, strict=True))
    ]
    return Table(
        "Accuracy by class",
        ("class", *(f"{name} images" for name in network.accuracy), "from", "to"),
        tuple(rows),
        "From … to: the interval of 95 % for images like the test images, taken as independent (Wilson 1927)."
        " It is wider for new writers, and for other seeds.",
    )


def confusion_picture(network: Inspection) -> HeatMap:
    """The confusion matrix: a row for each true class, a column for each predicted class."""
    squares = tuple(
        Square(_name(predicted, network), _name(label, network), float(count))
        for label, row in enumerate(network.confusion)
        for predicted, count in enumerate(row)
    )
    return HeatMap(
        "confusion",
        f"Confusion matrix: {network.title}",
        "Test images by their class (rows) and the predicted class (columns); off the diagonal are "
        "mistakes. Colours follow the logarithm of the count.",
        Axis("predicted class", "category"),
        Axis("true class", "category"),
        Axis("images", "log"),
        squares,
        text=True,
    )


def mistakes(network: Inspection) -> list[Mistake]:
    """The misclassified digits, in their order."""
    return [_mistake(digit, network) for digit in network.misclassified]


def missed_digits(missed: Missed) -> list[Mistake]:
    """The images that all networks miss, in their order; bars are shares of the networks."""
    return [_missed(digit, missed) for digit in missed.digits]


def missed_in_words(missed: Missed) -> str:
    """How many images all networks get wrong, and what that means."""
    networks = f"{missed.networks} networks that differ in their seed alone"
    if not missed.count:
        return f"No test image is missed by all of {networks}."
    images = "1 test image" if missed.count == 1 else f"{missed.count:,} test images"
    chance = "less than one" if missed.by_chance < 1 else f"about {missed.by_chance:,.0f}"
    return (
        f"All {networks} miss {images} of {missed.images:,}; were their mistakes independent of each other, "
        f"{chance} would be expected. What all miss is hard for networks of this kind: bad handwriting, a "
        "label that is wrong itself, or shapes that they do not tell apart. Those images come first on whose "
        "class the networks agree most."
    )


def weight_images(network: Inspection) -> list[str]:
    """The first layer's weights as data: URIs, [unit], all on one scale that is symmetric about 0."""
    limit = largest(network.weights)
    return [diverging(unit, limit) for unit in network.weights]


def _mistake(digit: Digit, network: Inspection) -> Mistake:
    order = sorted(range(len(digit.probabilities)), key=lambda index: -_known(digit.probabilities[index]))
    shown = order[:_BARS] if digit.label in order[:_BARS] else [*order[:_BARS], digit.label]
    bars = tuple(_bar(index, digit, network) for index in shown if index < len(digit.probabilities))
    predicted = _name(order[0], network) if order else ""
    return Mistake(digit.index, grey(digit.image), _name(digit.label, network), predicted, bars)


def _missed(digit: MissedDigit, missed: Missed) -> Mistake:
    names = missed.class_names
    bars = tuple(
        Bar(
            clean(names[predicted]),
            round(100 * votes / missed.networks, 1),
            f"{votes} of {missed.networks}",
            False,
        )
        for predicted, votes in digit.votes[:_BARS]
    )
    return Mistake(digit.index, grey(digit.image), clean(names[digit.label]), bars[0].name, bars)


def _bar(index: int, digit: Digit, network: Inspection) -> Bar:
    share = digit.probabilities[index]
    words = f"{number(100 * share, decimals=1)} %" if math.isfinite(share) else DASH
    width = round(100 * min(max(_known(share), 0.0), 1.0), 1)
    return Bar(_name(index, network), width, words, index == digit.label)


def _known(share: float) -> float:
    return share if math.isfinite(share) else 0.0


def _name(index: int, network: Inspection) -> str:
    names: Sequence[str] = network.class_names
    return clean(names[index]) if index < len(names) else str(index)
