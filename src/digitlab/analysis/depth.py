"""Depth: what another hidden layer changes, at a fixed rate and with the rate tuned anew."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from digitlab.analysis.compare import crossed_interval, holm, judge
from digitlab.analysis.conditions import (
    About,
    Condition,
    run_count,
    seeds_in_words,
    spec_of,
    test_accuracies,
)
from digitlab.analysis.findings import (
    Axis,
    Effect,
    Estimate,
    Finding,
    Forest,
    Line,
    Lines,
    Picture,
    Point,
    StudyFindings,
    Table,
)
from digitlab.analysis.intervals import mean_interval, paired_interval, paired_p_value
from digitlab.result import RunResult

MARGIN = 0.2
"""Points of accuracy within which two networks count as practically equal."""
_FIXED = 0.01
Predictions = Mapping[str, bytes]
"""Classes given to the test images, by run."""


def find(
    about: About, conditions: Sequence[Condition], predictions: Predictions, labels: bytes
) -> StudyFindings:
    """What the study says.

    predictions: of the reported runs
    labels:      classes of the test images, one byte each
    """
    families = _families(conditions)
    steps = {where: _steps(same, predictions, labels) for where, same in families.items()}
    spread = _spread(about, families)
    compared = [_finding(about, ", ".join(where), step) for where, found in steps.items() for step in found]
    return StudyFindings(
        name=about.name,
        title=about.title,
        question=about.question,
        scale=about.scale,
        answer=tuple(finding.verdict for finding in spread),
        findings=(*spread, *compared),
        pictures=tuple(_pictures(families, steps)),
        tables=tuple(_table(", ".join(where), same) for where, same in families.items()),
        methods=(
            "At a fixed rate depth measures the initialisation first, so each depth is trained with "
            "PyTorch's and "
            "with He's, at 0.01 and at the rate of the smallest validation loss on tuning seeds. At equal "
            "parameters "
            "the layers' width is chosen so that every depth has about the same number of them.",
            "Neighbouring depths are compared by paired differences over fresh seeds (Student's t), with "
            "Holm's "
            f"correction within a family. Practically equal means that the whole interval lies within "
            f"±{MARGIN} "
            "points. The interval over seeds and images resamples both, and says what holds on new images.",
            *about.notes,
        ),
        run_count=run_count(conditions),
        seeds=seeds_in_words(conditions),
    )


Families = dict[tuple[str, str], list[Condition]]
"""Conditions that differ in depth alone, by group of networks and initialisation, in order of depth."""

_NAMES = {
    "torch": "PyTorch's initialisation",
    "he": "He's initialisation",
    "glorot": "Glorot's initialisation",
}


def _families(conditions: Sequence[Condition]) -> Families:
    found: Families = {}
    for one in sorted(conditions, key=_depth):
        initialisation = spec_of(one).initialisation
        found.setdefault((one.groups.get("network", ""), _NAMES[initialisation]), []).append(one)
    return found


def _depth(one: Condition) -> int:
    return len(spec_of(one).hidden)


# ---- Findings ----


@dataclass(frozen=True)
class _Step:
    """From one depth to the next, with the rate tuned; differences in points of test accuracy.

    difference:  over seeds
    over_images: over seeds and images
    p_value:     corrected
    """

    shallower: Condition
    deeper: Condition
    difference: Estimate
    over_images: Estimate
    p_value: float


def _steps(same: Sequence[Condition], predictions: Predictions, labels: bytes) -> list[_Step]:
    pairs = [(a, b) for a, b in pairwise(same) if a.reports and b.reports]
    accuracies = [(test_accuracies(b.reports), test_accuracies(a.reports)) for a, b in pairs]
    corrected = holm([paired_p_value(deeper, shallower) for deeper, shallower in accuracies])
    return [
        _Step(
            shallower=a,
            deeper=b,
            difference=_points(paired_interval(*both)),
            over_images=_over_images(a, b, predictions, labels),
            p_value=p,
        )
        for (a, b), both, p in zip(pairs, accuracies, corrected, strict=True)
    ]


def _over_images(a: Condition, b: Condition, predictions: Predictions, labels: bytes) -> Estimate:
    if any(run.key not in predictions for run in (*a.reports, *b.reports)):
        return Estimate(math.nan)
    right_a, right_b = (
        np.array([np.frombuffer(predictions[run.key], np.uint8) for run in one.reports])
        == np.frombuffer(labels, np.uint8)
        for one in (a, b)
    )
    return _points(crossed_interval(right_b, right_a))


def _points(share: Estimate) -> Estimate:
    return Estimate(100 * share.value, 100 * share.low, 100 * share.high)


def _finding(about: About, where: str, step: _Step) -> Finding:
    names = _in_layers(step)
    verdict, difference = judge(step.difference, MARGIN), step.difference
    if verdict in ("better", "worse") and step.p_value > 0.05:
        verdict = "not resolved"
    said = {
        "better": f"is better by {_in_points(difference)}",
        "worse": f"is worse by {_in_points(Estimate(-difference.value, -difference.high, -difference.low))}",
        "practically equal": f"is practically equal ({_in_points(difference)}, within ±{MARGIN})",
        "not resolved": f"makes a difference that is not resolved ({_in_points(difference)})",
    }[verdict]
    images = f"{step.over_images.low:+.2f} to {step.over_images.high:+.2f}"
    also = f" On new images: {images}." if step.over_images.has_interval else ""
    return Finding(
        title=f"From {names}: {where}",
        estimate=difference,
        unit="points",
        n=len(step.deeper.reports),
        n_of="fresh seeds",
        method=f"paired t on test accuracy, rate tuned; Holm-corrected p = {step.p_value:.2g}; crossed over "
        f"seeds and images: {images}",
        verdict=about.say(f"With the rate tuned, going from {names} ({where}) {said}.{also}"),
    )


def _in_layers(step: _Step) -> str:
    return f"{_depth(step.shallower)} to {_depth(step.deeper)} hidden layers"


def _in_points(estimate: Estimate) -> str:
    if not estimate.has_interval:
        return f"{estimate.value:.2f} points"
    return f"{estimate.value:.2f} points, 95 % interval {estimate.low:.2f} to {estimate.high:.2f}"


def _spread(about: About, families: Families) -> list[Finding]:
    """How far depths from 1 on lie apart, at the fixed rate and with the rate tuned."""
    found = []
    for (group, initialisation), same in families.items():
        deep = [one for one in same if _depth(one) > 0 and one.reports and _FIXED in one.also]
        if len(deep) < 2:
            continue
        tuned = _range([test_accuracies(one.reports) for one in deep])
        fixed = _range([test_accuracies(one.also[_FIXED]) for one in deep])
        sentence = (
            f"Between {_depth(deep[0])} and {_depth(deep[-1])} hidden layers ({group}, {initialisation}) "
            f"mean "
            f"accuracies lie {fixed.value:.1f} points apart at rate 0.01, and {tuned.value:.2f} with the "
            f"rate tuned "
            "for each."
        )
        found.append(
            Finding(
                title=f"Spread between depths, rate tuned: {group}, {initialisation}",
                estimate=tuned,
                unit="points",
                n=len(deep[0].reports),
                n_of="fresh seeds",
                method="largest less smallest mean test accuracy; Student's interval of the paired "
                "difference of those two depths, which were picked by it",
                verdict=about.say(sentence),
            )
        )
    return found


def _range(accuracies: Sequence[np.ndarray]) -> Estimate:
    means = [float(values.mean()) for values in accuracies]
    return _points(paired_interval(accuracies[int(np.argmax(means))], accuracies[int(np.argmin(means))]))


# ---- Pictures and tables ----


def _pictures(families: Families, steps: Mapping[tuple[str, str], Sequence[_Step]]) -> list[Picture]:
    effects = tuple(
        Effect(_in_layers(step), ", ".join(where), step.difference)
        for where, found in steps.items()
        for step in found
    )
    (first, _), (some, *_) = next(iter(families.items()))
    seeds = f"{len(some.reports)} fresh seeds"
    return [
        Forest(
            name="differences",
            title="What one more hidden layer changes",
            caption=(
                f"Differences in test accuracy between neighbouring depths, rate tuned, paired over {seeds}, "
                f"with 95 % "
                f"intervals (not corrected). Within the grey band, ±{MARGIN} points, networks count as "
                f"practically "
                "equal."
            ),
            x=Axis("points of test accuracy"),
            effects=effects,
            margin=MARGIN,
        ),
        _against_depth(families, seeds),
        *(_against_rate(where, same) for where, same in families.items() if where[0] == first),
        _losses(families, seeds),
    ]


def _mean_point(x: float, values: Sequence[float]) -> Point:
    at = mean_interval(values)
    return Point(x, at.value, at.low, at.high)


def _against_depth(families: Families, seeds: str) -> Lines:
    lines = []
    for (group, initialisation), same in families.items():
        if group != next(iter(families))[0]:
            continue
        tuned = [_mean_point(_depth(one), list(test_accuracies(one.reports))) for one in same if one.reports]
        fixed = [
            _mean_point(_depth(one), list(test_accuracies(one.also[_FIXED])))
            for one in same
            if _FIXED in one.also
        ]
        lines += [
            Line(f"{initialisation}, tuned", tuple(tuned)),
            Line(f"{initialisation}, 0.01", tuple(fixed)),
        ]
    return Lines(
        name="accuracy",
        title="Test accuracy by depth, at rate 0.01 and with the rate tuned",
        caption=(
            f"Mean of {seeds} with its 95 % interval; layers of 100. At the fixed rate accuracy falls with "
            f"depth "
            "where the initialisation lets signals shrink; with the rate tuned little of that is left."
        ),
        x=Axis("hidden layers"),
        y=Axis("test accuracy", is_share=True),
        lines=tuple(line for line in lines if line.points),
    )


def _against_rate(where: tuple[str, str], same: Sequence[Condition]) -> Lines:
    lines = []
    for one in same:
        points = []
        for at, rate in enumerate(one.rates):
            runs = [runs[at] for runs in one.tunings]
            accuracy = np.mean([_validation_accuracy(run) for run in runs])
            points.append(Point(rate, float(accuracy)))
        lines.append(Line(f"{_depth(one)} hidden", tuple(points)))
    return Lines(
        name=f"rate-{'torch' if 'PyTorch' in where[1] else where[1][:2].lower()}",
        title=f"Validation accuracy against the learning rate, {where[1]}",
        caption=f"Mean over {len(same[0].tunings)} tuning seeds, {where[0]}; broken networks as they ended.",
        x=Axis("learning rate", "log"),
        y=Axis("validation accuracy", is_share=True),
        lines=tuple(lines),
    )


def _validation_accuracy(run: RunResult) -> float:
    if run.outcome == "diverged" or run.metrics.validation_accuracy is None:
        return 1 / run.spec.data.classes
    return run.metrics.validation_accuracy


def _losses(families: Families, seeds: str) -> Lines:
    first = next(iter(families))[0]
    initialisation, same = [(name, same) for (group, name), same in families.items() if group == first][-1]
    whole = [one for one in same if one.reports]

    def line(name: str, loss: Callable[[RunResult], float]) -> Line:
        return Line(
            name, tuple(_mean_point(_depth(one), [loss(run) for run in one.reports]) for one in whole)
        )

    return Lines(
        name="losses",
        title="Loss on training and on test images by depth",
        caption=(
            f"Mean cross-entropy of {seeds} with its 95 % interval, layers of 100, {initialisation}, rate "
            f"tuned: the "
            "deeper networks fit the training images better, and what that gains on new ones is the other "
            "line."
        ),
        x=Axis("hidden layers"),
        y=Axis("cross-entropy", "log"),
        lines=(
            line("training images", lambda run: run.metrics.training_set_loss),
            line("test images", lambda run: run.metrics.test_loss),
        ),
    )


def _table(where: str, same: Sequence[Condition]) -> Table:
    rows = []
    for one in same:
        tuned = mean_interval(list(test_accuracies(one.reports)))
        fixed = mean_interval(list(test_accuracies(one.also.get(_FIXED, ()))))
        spec = spec_of(one)
        rows.append(
            (
                spec.network_name,
                spec.parameter_count,
                one.chosen,
                tuned.value,
                tuned.low,
                tuned.high,
                fixed.value,
            )
        )
    return Table(
        title=f"Accuracy by depth: {where}",
        columns=("network", "parameters", "rate", "test accuracy", "from", "to", "at rate 0.01"),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over fresh seeds.",
    )
