"""Depth: what another hidden layer changes, at a fixed rate and with the rate tuned anew."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import (
    Condition,
    Evidence,
    Reference,
    seed_count,
    spec_of,
    test_accuracies,
    test_loss,
    training_set_loss,
    validation_accuracy,
)
from digitlab.analysis.findings import (
    Axis,
    Effect,
    Estimate,
    Finding,
    Forest,
    Headline,
    Line,
    Lines,
    Point,
    StudyFindings,
    Table,
)
from digitlab.analysis.reached import best_rate, bottom, loss_estimate, reached
from digitlab.analysis.statistics.clusters import new_images_note, writers_interval
from digitlab.analysis.statistics.compare import Verdict, crossed_interval, judge
from digitlab.analysis.statistics.simultaneous import CHAIN, simultaneous_intervals
from digitlab.analysis.summary import (
    FIXED_RATE,
    MARGIN,
    accuracy,
    accuracy_of,
    bound_in_words,
    closeness_in_words,
    differences,
    fewer_at_fixed,
    in_points,
    point,
    points_in_words,
    study_findings,
)
from digitlab.result import RunResult

Predictions = Mapping[str, bytes]
"""Classes given to the test images, by run."""

_NAMES = {
    "torch": "PyTorch's initialisation",
    "he": "He's initialisation",
    "glorot": "Glorot's initialisation",
}


@dataclass(frozen=True)
class _Family:
    """Conditions that differ in depth alone, in order of depth.

    group: of networks, such as those of one width; "" where there are none
    """

    group: str
    initialisation: str
    conditions: tuple[Condition, ...]

    @property
    def name(self) -> str:
        return ", ".join(filter(None, (self.group, _NAMES[self.initialisation])))

    @property
    def reported(self) -> list[Condition]:
        """Conditions with a learning rate at which most networks learn."""
        return [condition for condition in self.conditions if condition.reports]


@dataclass(frozen=True)
class _Step:
    """From one depth to the next, each at its best learning rate; differences in points of test accuracy.

    difference:  over seeds, with an interval that holds together with those of the other steps of a family
    over_images: over seeds and images
    over_writers: over seeds and those who wrote the images; no interval where they are not known
    """

    shallower: Condition
    deeper: Condition
    difference: Estimate
    over_images: Estimate
    over_writers: Estimate

    @property
    def verdict(self) -> Verdict:
        return judge(self.difference, MARGIN)

    @property
    def name(self) -> str:
        return f"{_depth(self.shallower)} to {_depth(self.deeper)} hidden layers"


def find(evidence: Evidence) -> StudyFindings:
    """What the study says."""
    about, conditions = evidence.about, evidence.conditions
    families = _families(conditions)
    steps = [(family, _steps(family, evidence)) for family in families]
    spread = [finding for family in families for finding in _spread(family)]
    compared = [_finding(family, step) for family, found in steps for step in found]
    first = [family for family in families if family.group == families[0].group]
    return study_findings(
        about,
        conditions,
        answer=[*(_step_in_words(step) for step in steps[0][1]), *(finding.verdict for finding in spread)],
        headline=_headline(*steps[0]),
        findings=[*spread, *compared],
        pictures=[
            *_differences(steps),
            *_by_depth(first, evidence.references),
            *_against_rate(first),
            *_losses(first[-1]),
        ],
        tables=[_table(family) for family in families],
        methods=(
            "Depths are compared within one group of networks and one initialisation, each at its own best "
            "learning rate, because at a fixed rate depth measures the initialisation too. The best rate "
            "lies at the bottom of a parabola through the mean validation loss; the accuracy is read off "
            "there.",
            "Neighbouring depths are compared by differences with the same seeds. The intervals hold the "
            "choice of the learning rate (jackknife over seeds, the choice made anew without each) and hold "
            "together for the steps of a family with 95 % (Šidák's factor, moderated variances after Smyth "
            f"2004). Practically equal means that the whole interval lies within ±{MARGIN} points. The "
            "interval over seeds and images says what holds on new images.",
            *([new_images_note()] if evidence.predictions and evidence.writers is None else []),
        ),
    )


def _families(conditions: Sequence[Condition]) -> list[_Family]:
    found: dict[tuple[str, str], list[Condition]] = {}
    for condition in sorted(conditions, key=_depth):
        found.setdefault((condition.groups.get("network", ""), spec_of(condition).initialisation), []).append(
            condition
        )
    return [_Family(group, name, tuple(same)) for (group, name), same in found.items()]


def _depth(condition: Condition) -> int:
    return len(spec_of(condition).hidden)


# ---- Findings ----


def _steps(family: _Family, evidence: Evidence) -> list[_Step]:
    pairs = [(a, b) for a, b in pairwise(family.conditions) if a.reports and b.reports]
    if not pairs:
        return []
    points = np.stack([differences(b, a) for a, b in pairs], axis=1)  # [seed, step]
    return [
        _Step(a, b, interval, *_beyond(a, b, evidence))
        for (a, b), interval in zip(pairs, simultaneous_intervals(points, CHAIN), strict=True)
    ]


def _beyond(a: Condition, b: Condition, evidence: Evidence) -> tuple[Estimate, Estimate]:
    """The difference in points as it holds on new images, and on images by new writers."""
    right_a, right_b = (_right(condition, evidence.predictions, evidence.labels) for condition in (a, b))
    if right_a is None or right_b is None:
        return Estimate(math.nan), Estimate(math.nan)
    by_seed = reached(b) - reached(a)
    images = in_points(crossed_interval(right_b, right_a, by_seed))
    if evidence.writers is None:
        return images, Estimate(math.nan)
    return images, in_points(writers_interval(right_b - right_a, evidence.writers.test_writer, by_seed))


def _right(
    condition: Condition, predictions: Predictions, labels: bytes
) -> Float64[np.ndarray, "seed image"] | None:
    """Share of right answers at the best rate, interpolated between those that were trained at, as the
    accuracy is; None where the predictions of a network that counts are not known.
    """
    total = np.zeros((len(condition.reports), len(labels)))
    for weight, runs in zip(bottom(condition).weights, condition.reported, strict=True):
        if not weight:
            continue
        if any(run.key not in predictions for run in runs):
            return None
        given = np.stack([np.frombuffer(predictions[run.key], np.uint8) for run in runs])
        total += weight * (given == np.frombuffer(labels, np.uint8))
    return total


def _finding(family: _Family, step: _Step) -> Finding:
    also = "".join(
        f" On {what}: {points_in_words(estimate)}."
        for what, estimate in (("new images", step.over_images), ("new writers", step.over_writers))
        if estimate.has_interval
    )
    method = "difference in test accuracy, each at its best learning rate; jackknife over seeds"
    if step.difference.has_interval:
        method += ", interval together with those of the other steps"
    if also:
        method += "; on new images: crossed over seeds and images"
    if step.over_writers.has_interval:
        method += "; on new writers: crossed over seeds and writers"
    return Finding(
        title=f"From {step.name}: {family.name}",
        estimate=step.difference,
        unit="points",
        n=len(step.deeper.reports),
        n_of="seeds",
        method=method,
        verdict=f"{_step_in_words(step, family)}{also}",
    )


def _step_in_words(step: _Step, family: _Family | None = None) -> str:
    interval = points_in_words(step.difference)
    where = f" ({family.name})" if family else ""
    going = f"With the learning rate tuned, going from {step.name}{where}"
    if step.verdict in ("better", "worse"):
        changes = "increases" if step.verdict == "better" else "reduces"
        return f"{going} {changes} the accuracy: {interval}.{closeness_in_words(step.difference)}"
    bound = bound_in_words(step.difference)
    if step.verdict == "practically equal":
        return f"{going} changes practically nothing: {bound} ({interval})."
    return f"{going} makes no clear difference: {bound} ({interval})."


def _headline(family: _Family, steps: Sequence[_Step]) -> Headline | None:
    """What the first hidden layer changes, and all the others together."""
    if not steps or not steps[0].difference.has_interval:
        return None
    first, *others = steps
    gained = first.difference
    sentence = f"The first hidden layer changes the accuracy by {gained.value:+.1f} points"
    sure = f"95 % interval {gained.low:+.1f} to {gained.high:+.1f} points"
    if others:
        most = max(max(-step.difference.low, step.difference.high) for step in others)
        sentence += f"; each further layer by at most {most:.1f}"
        sure += f"; the bound holds with 95 % for all {len(others)} further layers together"
    return Headline(
        f"{sentence}, when the learning rate is tuned for each depth.",
        f"{sure}; {_seeds(family)}",
        "accuracy",
    )


def _spread(family: _Family) -> list[Finding]:
    """How far depths from 1 on lie apart, at the fixed rate and at the best one."""
    deep = [
        condition
        for condition in family.reported
        if condition.is_tuned and _depth(condition) > 0 and condition.at(FIXED_RATE)
    ]
    if len(deep) < 2:
        return []
    fixed = [float(test_accuracies(condition.at(FIXED_RATE)).mean()) for condition in deep]
    at_fixed = 100 * (max(fixed) - min(fixed))
    at_best = _largest_gap(deep)
    sentence = (
        f"Between {_depth(deep[0])} and {_depth(deep[-1])} hidden layers ({family.name}), mean accuracies "
        f"differ by up to {at_fixed:.1f} points at learning rate {FIXED_RATE:g}. With the learning "
        f"rate tuned for each, they differ by {max(at_best.low, 0):.1f} to {at_best.high:.1f} points."
        f"{closeness_in_words(at_best)}"
        if at_best.has_interval
        else f"Between {_depth(deep[0])} and {_depth(deep[-1])} hidden layers ({family.name}), accuracies "
        f"differ by up to {at_fixed:.1f} points at learning rate {FIXED_RATE:g}, and by "
        f"{at_best.value:.1f} with the learning rate tuned for each."
    )
    return [
        Finding(
            title=f"Largest difference between depths, learning rate tuned: {family.name}",
            estimate=at_best,
            unit="points",
            n=len(deep[0].reports),
            n_of="seeds",
            method="largest minus smallest mean test accuracy; its interval covers all pairs of depths "
            "together",
            verdict=sentence,
        )
    ]


def _largest_gap(conditions: Sequence[Condition]) -> Estimate:
    """Between the best and the worst of the conditions: from intervals that hold for all pairs together.

    The true largest gap is at least the largest lower end, and at most the largest upper end, of any pair.
    """
    pairs = [(a, b) for i, a in enumerate(conditions) for b in conditions[i + 1 :]]
    points = np.stack([differences(a, b) for a, b in pairs], axis=1)  # [seed, pair]
    intervals = simultaneous_intervals(points, CHAIN)
    values = [abs(interval.value) for interval in intervals]
    if not all(interval.has_interval for interval in intervals):
        return Estimate(max(values))
    lows = [max(interval.low, -interval.high, 0.0) for interval in intervals]
    highs = [max(-interval.low, interval.high) for interval in intervals]
    return Estimate(max(values), max(lows), max(highs))


# ---- Pictures and tables ----


def _seeds(family: _Family) -> str:
    return f"{seed_count(family.conditions)} seeds"


def _differences(steps: Sequence[tuple[_Family, Sequence[_Step]]]) -> list[Forest]:
    effects = tuple(
        # Short, for it stands beside the picture.
        Effect(step.name, family.name.replace(" initialisation", ""), step.difference)
        for family, found in steps
        for step in found
    )
    if not effects:
        return []
    return [
        Forest(
            name="differences",
            title="What one more hidden layer changes",
            caption=(
                "Differences in test accuracy between neighbouring depths, each at its best learning rate, "
                f"{_seeds(steps[0][0])}, with intervals that hold together in a family with 95 %. Within the "
                f"grey band, ±{MARGIN} points, networks count as practically equal."
            ),
            x=Axis("points of test accuracy"),
            effects=effects,
            margin=MARGIN,
        )
    ]


def _by_depth(families: Sequence[_Family], references: Sequence[Reference]) -> list[Lines]:
    lines = []
    for family in families:
        name = _NAMES[family.initialisation]
        tuned = [(condition, accuracy(condition)) for condition in family.reported]
        fixed = [
            (condition, accuracy_of(condition.at(FIXED_RATE)))
            for condition in family.conditions
            if condition.at(FIXED_RATE)
        ]
        for rate, shown in (("tuned", tuned), (f"{FIXED_RATE:g}", fixed)):
            points = tuple(point(_depth(condition), estimate) for condition, estimate in shown)
            lines.append(Line(f"{name}, {rate}", points))
    whole = [line for line in lines if line.points]
    beside = references if whole else ()
    return _drawn(
        Lines(
            name="accuracy",
            title=f"Test accuracy by depth, at learning rate {FIXED_RATE:g} and with the learning rate tuned",
            caption=f"Mean of {_seeds(families[0])}{fewer_at_fixed(families[0].conditions)} with its 95 % "
            f"interval{_of_group(families[0])}."
            + "".join(f" {reference.name.capitalize()}: {reference.recipe}." for reference in beside),
            x=Axis("hidden layers"),
            y=Axis("test accuracy", is_share=True),
            lines=(*whole, *map(_reference_line, beside)),
        )
    )


def _reference_line(reference: Reference) -> Line:
    points = tuple(Point(depth, accuracy) for depth, accuracy in reference.accuracy.items())
    return Line(reference.name, points, "reference")


def _of_group(family: _Family) -> str:
    return f", {family.group}" if family.group else ""


def _drawn(picture: Lines) -> list[Lines]:
    """The picture, if there is anything on it."""
    return [picture] if any(line.points for line in picture.lines) else []


def _against_rate(families: Sequence[_Family]) -> list[Lines]:
    return [picture for family in families for picture in _drawn(_rates_of(family))]


def _rates_of(family: _Family) -> Lines:
    return Lines(
        name=f"rate-{family.initialisation}",
        title=f"Validation accuracy against the learning rate, {_NAMES[family.initialisation]}",
        caption=(
            f"Mean over {_seeds(family)} near the best learning rate, over fewer "
            f"elsewhere{_of_group(family)}; networks that broke count as they ended."
        ),
        x=Axis("learning rate", "log"),
        y=Axis("validation accuracy", is_share=True),
        lines=tuple(
            Line(f"{_depth(condition)} hidden", _validation_points(condition))
            for condition in family.conditions
        ),
    )


def _validation_points(condition: Condition) -> tuple[Point, ...]:
    return tuple(
        Point(rate, float(np.mean(list(map(validation_accuracy, runs)))))
        for rate, runs in zip(condition.rates, condition.trials, strict=True)
    )


def _losses(family: _Family) -> list[Lines]:
    def line(name: str, loss: Callable[[RunResult], float]) -> Line:
        return Line(
            name,
            tuple(point(_depth(condition), loss_estimate(condition, loss)) for condition in family.reported),
        )

    return _drawn(
        Lines(
            name="losses",
            title="Loss on training and on test images by depth",
            caption=f"Mean cross-entropy of {_seeds(family)} with 95 % intervals, {family.name}, "
            "learning rate tuned.",
            x=Axis("hidden layers"),
            y=Axis("cross-entropy", "log"),
            lines=(
                line("training images", training_set_loss),
                line("test images", test_loss),
            ),
        )
    )


def _table(family: _Family) -> Table:
    rows = []
    for condition in family.conditions:
        tested, spec = accuracy(condition), spec_of(condition)
        rows.append(
            (
                spec.network_name,
                spec.parameter_count,
                best_rate(condition),
                tested.value,
                tested.low,
                tested.high,
                accuracy_of(condition.at(FIXED_RATE)).value,
            )
        )
    return Table(
        title=f"Accuracy by depth: {family.name}",
        columns=(
            "network",
            "parameters",
            "best learning rate",
            "test accuracy",
            "from",
            "to",
            f"at rate {FIXED_RATE:g}",
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over seeds, the choice of the learning rate included.",
    )
