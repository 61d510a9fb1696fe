"""Reliability drawn: how often answers are right at each confidence, with intervals."""

from collections.abc import Sequence
from pathlib import Path

from digitlab.analysis.findings import Axis, Line, Lines, Point
from digitlab.analysis.statistics.intervals import wilson_interval
from digitlab.errors import RunError
from digitlab.files import write_whole
from digitlab.prediction.calibration import Bin
from digitlab.report.charts import HALF, svg

FILE = "reliability.svg"


def reliability_picture(bins: Sequence[Bin], images: str) -> Lines:
    """A reliability diagram: of answers of like confidence, how many are right, with Wilson's interval.

    bins:   at least one
    images: what was answered, for the caption: `10,000 held-out images`
    """
    points = []
    for each in bins:
        share = wilson_interval(round(each.count * each.accuracy), each.count)
        points.append(Point(each.confidence, each.accuracy, share.low, share.high))
    least = min(bins[0].confidence, bins[0].accuracy)
    diagonal = Line("as often as promised", (Point(least, least), Point(1.0, 1.0)), "reference", "line alone")
    return Lines(
        "reliability",
        "Confidence and how often it was right",
        f"Answers to {images}, grouped by confidence; with the 95 % intervals of the shares (Wilson).",
        Axis("confidence of the answer", is_share=True),
        Axis("right", is_share=True),
        (diagonal, Line("answers", tuple(points))),
    )


def write_reliability(bins: Sequence[Bin], folder: Path) -> Path:
    """Write the reliability of a model on held-out images as an SVG into a folder; its path.

    Raises RunError when it cannot be written.
    """
    count = sum(each.count for each in bins)
    path = folder / FILE
    try:
        write_whole(path, svg(reliability_picture(bins, f"{count:,} held-out images"), pixels=HALF))
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); name a folder that you can write to by --explain"
        ) from None
    return path
