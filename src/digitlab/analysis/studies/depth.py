"""Depth: what another hidden layer changes, at a fixed rate and with the rate tuned anew."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from digitlab.analysis.conditions import About, Condition, Evidence, Reference, spec_of, test_accuracies
from digitlab.analysis.findings import (
    Axis,
    Effect,
    Estimate,
    Finding,
    Forest,
    Line,
    Lines,
    Point,
    StudyFindings,
    Table,
    three_figures,
)
from digitlab.analysis.statistics.compare import Verdict, crossed_interval, holm
from digitlab.analysis.statistics.intervals import mean_interval, paired_p_value
from digitlab.analysis.summary import (
    FIXED_RATE,
    LEVEL,
    MARGIN,
    accuracy,
    correction_in_words,
    gain,
    in_points,
    judge_corrected,
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
        """Conditions with a rate that broke no network."""
        return [condition for condition in self.conditions if condition.reports]


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

    @property
    def verdict(self) -> Verdict:
        return judge_corrected(self.difference, self.p_value)

    @property
    def name(self) -> str:
        return f"{_depth(self.shallower)} to {_depth(self.deeper)} hidden layers"


def find(evidence: Evidence) -> StudyFindings:
    """What the study says."""
    about, conditions = evidence.about, evidence.conditions
    families = _families(conditions)
    steps = [(family, _steps(family, evidence.predictions, evidence.labels)) for family in families]
    spread = [finding for family in families for finding in _spread(about, family)]
    compared = [_finding(about, family, step) for family, found in steps for step in found]
    first = [family for family in families if family.group == families[0].group]
    return study_findings(
        about,
        conditions,
        answer=[finding.verdict for finding in (*compared[:2], *spread)],
        findings=[*spread, *compared],
        pictures=[
            _differences(steps),
            *_by_depth(first, evidence.references),
            *_against_rate(first),
            *_losses(first[-1]),
        ],
        tables=[_table(family) for family in families],
        methods=(
            "Depths are compared within one group of networks and one initialisation, each with the rate of "
            "the smallest validation loss on tuning seeds, because at a fixed rate depth measures the "
            "initialisation too.",
            "Neighbouring depths are compared by paired differences over fresh seeds (Student's t); better "
            "and worse also need Holm's correction within a family. Practically equal means that the whole "
            f"interval lies within ±{MARGIN} points. The interval over seeds and images says what holds on "
            "new images.",
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


def _steps(family: _Family, predictions: Predictions, labels: bytes) -> list[_Step]:
    pairs = [(a, b) for a, b in pairwise(family.conditions) if a.reports and b.reports]
    corrected = holm(
        [paired_p_value(test_accuracies(b.reports), test_accuracies(a.reports)) for a, b in pairs]
    )
    return [
        _Step(a, b, gain(b.reports, a.reports), _over_images(a, b, predictions, labels), p)
        for (a, b), p in zip(pairs, corrected, strict=True)
    ]


def _over_images(a: Condition, b: Condition, predictions: Predictions, labels: bytes) -> Estimate:
    if any(run.key not in predictions for run in (*a.reports, *b.reports)):
        return Estimate(math.nan)

    def right(condition: Condition) -> Bool[np.ndarray, "seed image"]:
        given = [np.frombuffer(predictions[run.key], np.uint8) for run in condition.reports]
        return np.asarray(np.stack(given) == np.frombuffer(labels, np.uint8))

    return in_points(crossed_interval(right(b), right(a)))


def _finding(about: About, family: _Family, step: _Step) -> Finding:
    judgement = {
        "better": "makes it better",
        "worse": "makes it worse",
        "practically equal": f"leaves it practically equal (within ±{MARGIN} points)",
        "not resolved": "makes a difference that is not resolved",
    }[step.verdict]
    difference = points_in_words(step.difference) + correction_in_words(step.difference, step.p_value)
    also = (
        f" On new images too: {points_in_words(step.over_images)}." if step.over_images.has_interval else ""
    )
    method = "paired t on test accuracy, rate tuned"
    if step.difference.has_interval:
        method += f"; Holm-corrected p = {step.p_value:.2g}"
    if also:
        method += "; on new images: crossed over seeds and images"
    return Finding(
        title=f"From {step.name}: {family.name}",
        estimate=step.difference,
        unit="points",
        n=len(step.deeper.reports),
        n_of="fresh seeds",
        method=method,
        verdict=about.say(
            f"With the rate tuned, going from {step.name} ({family.name}) {judgement}: {difference}.{also}"
        ),
    )


def _spread(about: About, family: _Family) -> list[Finding]:
    """How far depths from 1 on lie apart, at the fixed rate and with the rate tuned."""
    deep = [
        condition for condition in family.reported if _depth(condition) > 0 and FIXED_RATE in condition.also
    ]
    if len(deep) < 2:
        return []
    tuned = [condition.reports for condition in deep]
    fixed = [condition.also[FIXED_RATE] for condition in deep]
    sentence = (
        f"Between {_depth(deep[0])} and {_depth(deep[-1])} hidden layers ({family.name}) mean accuracies lie "
        f"{_apart(fixed)} apart at rate {FIXED_RATE:g}, and {_apart(tuned)} with the rate tuned for each."
    )
    return [
        Finding(
            title=f"Spread between depths, rate tuned: {family.name}",
            estimate=gain(*_farthest(tuned)),
            unit="points",
            n=len(deep[0].reports),
            n_of="fresh seeds",
            method="largest less smallest mean test accuracy; Student's interval of the paired difference of "
            "those two depths, which were picked by it, so it leans upwards; called resolved by "
            "Bonferroni's correction over all pairs",
            verdict=about.say(sentence),
        )
    ]


def _farthest(reports: Sequence[Sequence[RunResult]]) -> tuple[Sequence[RunResult], Sequence[RunResult]]:
    """The runs of the largest and of the smallest mean accuracy."""
    ordered = sorted(reports, key=lambda runs: accuracy(runs).value)
    return ordered[-1], ordered[0]


def _apart(reports: Sequence[Sequence[RunResult]]) -> str:
    """How far the farthest two lie apart; resolved where they are among all pairs (Bonferroni)."""
    high, low = _farthest(reports)
    p_value = paired_p_value(test_accuracies(high), test_accuracies(low)) * math.comb(len(reports), 2)
    resolved = "" if p_value <= LEVEL else " (not resolved)"
    return f"{three_figures(gain(high, low).value)} points{resolved}"


# ---- Pictures and tables ----


def _seeds(family: _Family) -> str:
    return f"{max((len(condition.reports) for condition in family.conditions), default=0)} fresh seeds"


def _differences(steps: Sequence[tuple[_Family, Sequence[_Step]]]) -> Forest:
    return Forest(
        name="differences",
        title="What one more hidden layer changes",
        caption=(
            "Differences in test accuracy between neighbouring depths, rate tuned, paired over "
            f"{_seeds(steps[0][0])}, with 95 % intervals (not corrected). Within the grey band, ±{MARGIN} "
            "points, networks count as practically equal."
        ),
        x=Axis("points of test accuracy"),
        effects=tuple(
            # Short, for it stands beside the picture.
            Effect(step.name, family.name.replace(" initialisation", ""), step.difference)
            for family, found in steps
            for step in found
        ),
        margin=MARGIN,
    )


def _by_depth(families: Sequence[_Family], references: Sequence[Reference]) -> list[Lines]:
    lines = []
    for family in families:
        name = _NAMES[family.initialisation]
        tuned = [(condition, condition.reports) for condition in family.reported]
        fixed = [
            (condition, condition.also[FIXED_RATE])
            for condition in family.conditions
            if FIXED_RATE in condition.also
        ]
        for rate, shown in (("tuned", tuned), (f"{FIXED_RATE:g}", fixed)):
            points = tuple(point(_depth(condition), accuracy(runs)) for condition, runs in shown)
            lines.append(Line(f"{name}, {rate}", points))
    whole = [line for line in lines if line.points]
    beside = references if whole else ()
    return _drawn(
        Lines(
            name="accuracy",
            title=f"Test accuracy by depth, at rate {FIXED_RATE:g} and with the rate tuned",
            caption=f"Mean of {_seeds(families[0])} with its 95 % interval{_of_group(families[0])}."
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
            f"Mean over {len(family.conditions[0].tunings)} tuning seeds{_of_group(family)}; broken networks "
            "as they ended."
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
        Point(rate, float(np.mean([_validation_accuracy(runs[index]) for runs in condition.tunings])))
        for index, rate in enumerate(condition.rates)
    )


def _validation_accuracy(run: RunResult) -> float:
    if run.outcome == "diverged" or run.metrics.validation_accuracy is None:
        return 1 / run.spec.data.classes
    return run.metrics.validation_accuracy


def _losses(family: _Family) -> list[Lines]:
    def line(name: str, loss: Callable[[RunResult], float]) -> Line:
        return Line(
            name,
            tuple(
                point(_depth(condition), mean_interval([loss(run) for run in condition.reports]))
                for condition in family.reported
            ),
        )

    return _drawn(
        Lines(
            name="losses",
            title="Loss on training and on test images by depth",
            caption=f"Mean cross-entropy of {_seeds(family)} with 95 % intervals, {family.name}, rate tuned.",
            x=Axis("hidden layers"),
            y=Axis("cross-entropy", "log"),
            lines=(
                line("training images", lambda run: run.metrics.training_set_loss),
                line("test images", lambda run: run.metrics.test_loss),
            ),
        )
    )


def _table(family: _Family) -> Table:
    rows = []
    for condition in family.conditions:
        tuned, spec = accuracy(condition.reports), spec_of(condition)
        fixed = accuracy(condition.also.get(FIXED_RATE, ()))
        rows.append(
            (
                spec.network_name,
                spec.parameter_count,
                condition.chosen,
                tuned.value,
                tuned.low,
                tuned.high,
                fixed.value,
            )
        )
    return Table(
        title=f"Accuracy by depth: {family.name}",
        columns=("network", "parameters", "rate", "test accuracy", "from", "to", f"at rate {FIXED_RATE:g}"),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over fresh seeds.",
    )
