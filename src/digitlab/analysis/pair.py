"""Two runs side by side: which settings differ, how each ended, and what the same test images say of both.

It compares two networks. Whether the settings behind them differ is a question for several seeds of each:
that is what studies are for, and the verdict says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digitlab.analysis.curves import QUANTITIES, are_over_epochs, overlaid, places_of, thinned
from digitlab.analysis.findings import Cell, Estimate, Lines, Table
from digitlab.analysis.statistics.clusters import new_images_note
from digitlab.analysis.statistics.same_images import SameImages
from digitlab.result import RunResult
from digitlab.spec import RunSpec

_MOST_ROWS = 20
_POINTS = "percentage points"
_NAMES = ("A", "B")


@dataclass(frozen=True)
class RunPair:
    """What two runs, A and B, say beside each other.

    keys:     of the two
    verdict:  what may be said, a sentence each
    images:   on the same test images; None where there are none, and then the verdict says why
    difference, p_value: of the accuracies on these, as of `SameImages`
    tables:   settings that differ, final figures and, where there are any, counts of test images
    curves:   over each other, as numbers
    pictures: the same, to be drawn
    """

    keys: tuple[str, str]
    verdict: tuple[str, ...]
    images: SameImages | None
    difference: Estimate | None
    p_value: float | None
    tables: tuple[Table, ...]
    curves: Table
    pictures: tuple[Lines, ...]


def pair_of(a: RunResult, b: RunResult, labels: bytes) -> RunPair:
    """Compare two runs.

    a, b:   with their predictions, as far as they have any
    labels: classes of the test images of both, one byte each
    """
    missing = _why_no_images(a, b)
    images = None if missing else SameImages.of(*(_right(run, labels) for run in (a, b)))
    settings = _settings(a, b)
    said = [missing] if images is None else _of_images(images)
    return RunPair(
        keys=(a.key, b.key),
        verdict=(*said, _of_seeds([name for name, *_ in settings])),
        images=images,
        difference=None if images is None else images.difference,
        p_value=None if images is None else images.p_value,
        tables=(
            Table("Settings that differ", ("setting", *_NAMES), settings),
            Table("How they ended", ("", *_NAMES), _figures(a, b)),
            *([] if images is None else [_counts(images, is_handwriting=a.spec.data.name == "mnist")]),
        ),
        curves=_curves(a, b),
        pictures=overlaid({f"A: {a.spec.network_name}": a, f"B: {b.spec.network_name}": b}),
    )


def _why_no_images(a: RunResult, b: RunResult) -> str:
    """Why the two cannot be compared image by image; "" where they can."""
    if a.spec.data.sha256 != b.spec.data.sha256:
        return f"A was tested on {a.spec.data.name} and B on {b.spec.data.name}: there are no images of both."
    for name, run in zip(_NAMES, (a, b), strict=True):
        if run.outcome == "diverged":
            return f"{name} diverged, so that it classifies no test image."
        if run.predictions is None:
            return f"{name} has no predictions with it, for JSON holds none: keep runs in the store instead."
    return ""


def _right(run: RunResult, labels: bytes) -> np.ndarray:
    predicted = np.frombuffer(run.predictions or b"", np.uint8)
    found: np.ndarray = predicted == np.frombuffer(labels, np.uint8)
    return found


# ---- What may be said ----


def _of_images(images: SameImages) -> list[str]:
    difference, better = images.difference, "B" if images.only_b > images.only_a else "A"
    low, high = 100 * difference.low, 100 * difference.high
    interval = f"95 % interval {_signed(low)} to {_signed(high)} over images"
    if low > 0 or high < 0:
        size = abs(100 * difference.value)
        first = f"{better} has the higher test accuracy, by {size:.2f} {_POINTS} (B less A: {interval})."
    else:
        bound = max(abs(low), abs(high))
        first = (
            "The test images do not tell which of the two networks is better: they differ by at most "
            f"{bound:.2f} {_POINTS} (B less A: {_signed(100 * difference.value)}, {interval})."
        )
    second = (
        f"On {images.discordant:,} of {images.images:,} test images exactly one of them is right: on "
        f"{images.only_a:,} only A, on {images.only_b:,} only B. Were both equally good, a split at least as "
        f"uneven would come by chance with probability {_probability(images.p_value)} (McNemar's exact test)."
    )
    return [first, second]


def _of_seeds(names: Sequence[str]) -> str:
    if list(names) == ["seed"]:
        return (
            "The two differ by their seed alone: so much do two runs of one setting differ by chance. No "
            "difference between settings that is smaller can be seen in one run of each."
        )
    if not names:
        return "All settings are equal: it is the same run."
    return (
        "This compares two networks, not two settings: there is one run of each, and another seed would give "
        "other networks. To compare settings, train several seeds of each, as a study does "
        "(`digitlab study new`)."
    )


def _signed(points: float) -> str:
    return f"{points:+.2f}".replace("-", "−")


def _probability(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else f"{p:.2g}" if p < 0.095 else f"{p:.2f}"


# ---- Tables ----


def _settings(a: RunResult, b: RunResult) -> tuple[tuple[str, Cell, Cell], ...]:
    """Name and both values of each field that differs; None where a RunSpec has no such field."""
    of_a, of_b = (dict(_leaves(_document(run.spec))) for run in (a, b))
    names = dict.fromkeys([*of_a, *of_b])
    return tuple((name, of_a.get(name), of_b.get(name)) for name in names if of_a.get(name) != of_b.get(name))


def _document(spec: RunSpec) -> dict[str, Any]:
    """A RunSpec as a document, with the plain fields that it leaves out while they are as ever."""
    plain = {name: getattr(spec, name) for name in sorted(spec.LEFT_OUT_AT_DEFAULT)}
    left_out = {name: value for name, value in plain.items() if isinstance(value, str | int | float)}
    return left_out | spec.model_dump(mode="json")


def _leaves(document: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in document.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{above}{name}.")
        else:
            found.append((f"{above}{name}", _written(value)))
    return found


def _written(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _figures(a: RunResult, b: RunResult) -> tuple[tuple[Cell, ...], ...]:
    rows: list[tuple[Cell, ...]] = [("network", a.spec.network_name, b.spec.network_name)]
    rows.append(("outcome", a.outcome, b.outcome))
    rows.append(("steps", *(f"{run.metrics.steps:,}" for run in (a, b))))
    for name in (
        *("training_loss", "training_set_accuracy", "validation_loss", "validation_accuracy"),
        *("test_loss", "test_accuracy"),
    ):
        values = [getattr(run.metrics, name) for run in (a, b)]
        if any(value is not None for value in values):
            rows.append((name.replace("_", " "), *map(_figure, values)))
    if any(run.metrics.kept_step is not None for run in (a, b)):
        rows.append(
            ("network of step", *(f"{run.metrics.kept_step or run.metrics.steps:,}" for run in (a, b)))
        )
    rows.append(("seconds", *(f"{run.provenance.seconds:.1f}" for run in (a, b))))
    return tuple(rows)


def _figure(value: float | None) -> str | None:
    return None if value is None or not math.isfinite(value) else f"{value:.4f}"


def _counts(images: SameImages, *, is_handwriting: bool) -> Table:
    rows = (("A right", images.both, images.only_a), ("A wrong", images.only_b, images.neither))
    return Table("Test images", ("", "B right", "B wrong"), rows, new_images_note() if is_handwriting else "")


def _curves(a: RunResult, b: RunResult) -> Table:
    """Points of both curves in the order of their steps (or epochs); of many, some that lie evenly."""
    in_epochs = are_over_epochs([a, b])
    by_place = [
        dict(zip(places_of(run, in_epochs=in_epochs), range(len(run.curve.step)), strict=True))
        for run in (a, b)
    ]
    shown = thinned(sorted({place for of_run in by_place for place in of_run}), _MOST_ROWS)
    columns: list[str] = []
    values: list[list[Cell]] = []
    for quantity in QUANTITIES:
        for name, run, of_run in zip(_NAMES, (a, b), by_place, strict=True):
            if of_curve := getattr(run.curve, quantity):
                columns.append(f"{quantity.replace('_', ' ')}, {name}")
                values.append([of_curve[of_run[place]] if place in of_run else None for place in shown])
    x: list[Cell] = [place if in_epochs else round(place) for place in shown]
    return Table(
        "Curves", ("epochs" if in_epochs else "steps", *columns), tuple(zip(x, *values, strict=True))
    )
