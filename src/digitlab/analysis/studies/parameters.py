"""Other parameters: what each changes when it alone is changed in a base, with the rate tuned anew.

Also serves studies of one's own, whose conditions are compared with their baseline.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitlab.analysis.conditions import About, Condition, Evidence, spec_of, test_accuracies
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
from digitlab.analysis.statistics.compare import Verdict, holm
from digitlab.analysis.statistics.intervals import paired_p_value
from digitlab.analysis.summary import (
    MARGIN,
    accuracy,
    correction_in_words,
    gain,
    judge_corrected,
    points_in_words,
    study_findings,
)

_MOST_ANSWERS = 4
_MOST_LINES = 8


@dataclass(frozen=True)
class _Change:
    """From the base to another setting, with the rate tuned for both.

    points:  of test accuracy
    p_value: corrected for the number of settings
    """

    base: Condition
    to: Condition
    points: Estimate
    p_value: float

    @property
    def verdict(self) -> Verdict:
        return judge_corrected(self.points, self.p_value)


def find(evidence: Evidence) -> StudyFindings:
    """What the study says. Without a baseline, the first condition is it."""
    about, conditions = evidence.about, evidence.conditions
    base = next(
        (condition for condition in conditions if about.baseline in condition.labels.values()), conditions[0]
    )
    changes = _changes(
        base, [condition for condition in conditions if condition is not base and condition.reports]
    )
    return study_findings(
        about,
        conditions,
        answer=_answer(about, changes),
        findings=[_finding(about, change) for change in changes],
        pictures=_pictures(conditions, base, changes),
        tables=[_table(conditions)],
        methods=(
            f"Each setting is compared with {_name(base)} ({spec_of(base).network_name}). {_tuning(base)}"
            "Differences are those of test accuracy between fresh seeds, paired by seed, with Student's "
            f"intervals; better and worse also need Holm's correction over all {len(changes)} settings.",
            "How settings act together is not measured, but where a setting names a pair.",
        ),
    )


def _name(condition: Condition) -> str:
    return ", ".join(condition.labels.values()) or "the study"


def _group(condition: Condition) -> str:
    return ", ".join(filter(None, condition.groups.values())) or "settings"


def _tuning(base: Condition) -> str:
    if not base.rates:
        return ""
    return (
        "The learning rate is tuned anew for each on tuning seeds, over a range that fits it, by validation "
        "cross-entropy. "
    )


# ---- Findings ----


def _changes(base: Condition, others: Sequence[Condition]) -> list[_Change]:
    if not base.reports:
        return []
    reference = test_accuracies(base.reports)
    corrected = holm([paired_p_value(test_accuracies(condition.reports), reference) for condition in others])
    return [
        _Change(base, condition, gain(condition.reports, base.reports), p)
        for condition, p in zip(others, corrected, strict=True)
    ]


def _answer(about: About, changes: Sequence[_Change]) -> list[str]:
    """How many settings are better, worse, equal, unresolved; and the largest of the resolved differences."""
    if not changes:
        return []
    counts = Counter(change.verdict for change in changes)
    whole = (
        f"Of {len(changes)} settings compared with {_name(changes[0].base)}, {counts['better']} are resolved "
        f"to be better, {counts['worse']} worse, {counts['practically equal']} practically equal, and "
        f"{counts['not resolved']} are not resolved."
    )
    resolved = [change for change in changes if change.verdict in ("better", "worse")]
    largest = sorted(resolved, key=lambda change: -abs(change.points.value))[:_MOST_ANSWERS]
    return [about.say(whole), *(_finding(about, change).verdict for change in largest)]


def _finding(about: About, change: _Change) -> Finding:
    judgement = {
        "better": "is better than",
        "worse": "is worse than",
        "practically equal": f"is practically equal (within ±{MARGIN} points) to",
        "not resolved": "is not resolved from",
    }[change.verdict]
    interval = points_in_words(change.points) + correction_in_words(change.points, change.p_value)
    base, name = _name(change.base), _name(change.to)
    method = f"paired t on test accuracy against {base}"
    if change.points.has_interval:
        method += f"; Holm-corrected p = {change.p_value:.2g}"
    return Finding(
        title=name,
        estimate=change.points,
        unit="points",
        n=len(change.to.reports),
        n_of="fresh seeds",
        method=method,
        verdict=about.say(f"{name} {judgement} {base} ({interval})."),
    )


# ---- Pictures and tables ----


def _pictures(conditions: Sequence[Condition], base: Condition, changes: Sequence[_Change]) -> list[Picture]:
    pictures: list[Picture] = []
    if changes:
        pictures.append(_effects(base, changes))
    if any(condition.reports and condition.also for condition in conditions):
        pictures.append(_tuned_and_not(conditions))
    if any(condition.chosen for condition in conditions):
        pictures.append(_sensitivity(conditions))
    return pictures


def _effects(base: Condition, changes: Sequence[_Change]) -> Forest:
    ordered = sorted(changes, key=lambda change: -change.points.value)
    return Forest(
        name="effects",
        title=f"What each setting changes against {_name(base)}",
        caption=(
            f"Differences in test accuracy from {_name(base)}, paired over {len(base.reports)} fresh seeds, "
            f"with 95 % intervals (not corrected). Within the grey band, ±{MARGIN} points, settings count as "
            "practically equal."
        ),
        x=Axis("points of test accuracy"),
        effects=tuple(Effect(_name(change.to), _group(change.to), change.points) for change in ordered),
        margin=MARGIN,
    )


def _tuned_and_not(conditions: Sequence[Condition]) -> Forest:
    """What tuning the rate gains for each setting."""
    rates = _fixed_rates(conditions)
    effects = [
        Effect(
            f"{_name(condition)}, over {rate:g}" if len(rates) > 1 else _name(condition),
            _group(condition),
            gain(condition.reports, condition.also[rate]),
        )
        for condition in conditions
        for rate in rates
        if condition.reports and rate in condition.also
    ]
    return Forest(
        name="tuning",
        title=f"What tuning the learning rate gains over {' and '.join(f'{rate:g}' for rate in rates)}",
        caption=(
            "Test accuracy at the tuned rate less that at the fixed one, paired over fresh seeds, with 95 % "
            "intervals. Where gains differ, a comparison at the fixed rate compares how well it suits each."
        ),
        x=Axis("points of test accuracy"),
        effects=tuple(effects),
    )


def _fixed_rates(conditions: Sequence[Condition]) -> list[float]:
    return sorted({rate for condition in conditions for rate in condition.also})


def _sensitivity(conditions: Sequence[Condition]) -> Lines:
    lines = [_valley(condition, condition.chosen) for condition in conditions if condition.chosen]
    left_out = f" The first {_MOST_LINES} of {len(lines)} settings." if len(lines) > _MOST_LINES else ""
    return Lines(
        name="sensitivity",
        title="How much a wrong learning rate costs",
        caption=(
            "Mean validation cross-entropy over tuning seeds against the rate, in multiples of each "
            f"setting's own best; rates that broke a network are left out. A flat valley forgives.{left_out}"
        ),
        x=Axis("learning rate over the best one", "log"),
        y=Axis("validation cross-entropy", "log"),
        lines=tuple(lines[:_MOST_LINES]),
    )


def _valley(condition: Condition, best_rate: float) -> Line:
    losses = condition.losses.mean(axis=0)  # [rate]
    points = [
        Point(rate / best_rate, float(loss))
        for rate, loss in zip(condition.rates, losses, strict=True)
        if np.isfinite(loss)
    ]
    return Line(_name(condition), tuple(points))


def _table(conditions: Sequence[Condition]) -> Table:
    rates = _fixed_rates(conditions)
    rows = []
    for condition in conditions:
        tuned = accuracy(condition.reports)
        fixed = [accuracy(condition.also.get(rate, ())).value for rate in rates]
        rows.append((_name(condition), condition.chosen, tuned.value, tuned.low, tuned.high, *fixed))
    return Table(
        title="Accuracy by setting",
        columns=("setting", "rate", "test accuracy", "from", "to", *(f"at rate {rate:g}" for rate in rates)),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over fresh seeds.",
    )
