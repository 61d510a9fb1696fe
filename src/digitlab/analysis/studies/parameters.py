"""Other parameters: what each changes when it alone is changed in a base, with the rate tuned anew.

Also serves studies of one's own, whose conditions are compared with their baseline.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitlab.analysis.conditions import (
    Condition,
    Evidence,
    name_of,
    seed_count,
    spec_of,
    validation_losses,
)
from digitlab.analysis.findings import (
    Axis,
    Cell,
    Effect,
    Estimate,
    Finding,
    Forest,
    Headline,
    Line,
    Lines,
    Picture,
    Point,
    StudyFindings,
    Table,
)
from digitlab.analysis.reached import best_rate
from digitlab.analysis.statistics.compare import Verdict, is_close, judge
from digitlab.analysis.statistics.simultaneous import simultaneous_intervals
from digitlab.analysis.summary import (
    MARGIN,
    accuracy,
    accuracy_of,
    broken_in_words,
    compared_in_words,
    differences,
    most_in_words,
    study_findings,
    tuning_gain,
)

_MOST_ANSWERS = 4
_MOST_LINES = 8


@dataclass(frozen=True)
class _Change:
    """From the base to another setting, each at its best learning rate.

    points: of test accuracy, with an interval that holds together with those of the other settings
    """

    base: Condition
    to: Condition
    points: Estimate

    @property
    def verdict(self) -> Verdict:
        return judge(self.points, MARGIN)

    @property
    def in_words(self) -> str:
        return compared_in_words(name_of(self.to), name_of(self.base), self.points)


def find(evidence: Evidence) -> StudyFindings:
    """What the study says. Without a baseline, the first condition is it."""
    about, conditions = evidence.about, evidence.conditions
    base = next(
        (condition for condition in conditions if about.baseline in condition.labels.values()), conditions[0]
    )
    changes = _changes(base, [condition for condition in conditions if condition is not base])
    return study_findings(
        about,
        conditions,
        answer=[*_answer(changes), *filter(None, [broken_in_words(conditions)])],
        headline=_headline(changes),
        findings=list(map(_finding, changes)),
        pictures=_pictures(conditions, base, changes),
        tables=[accuracy_table(conditions)],
        methods=(
            f"Each setting is compared with {name_of(base)} ({spec_of(base).network_name}). {tuning(base)}"
            f"Differences are those of test accuracy with the same seeds. The intervals {choice(base)}"
            f"hold together for all {len(changes)} settings with 95 % (Dunnett 1955, with moderated "
            "variances after Smyth 2004).",
            *(
                ["How settings act together is not measured, except where a setting names a pair."]
                if len(base.labels) < 2
                else []
            ),
        ),
    )


def _group(condition: Condition) -> str:
    return ", ".join(filter(None, condition.groups.values())) or "settings"


def tuning(base: Condition) -> str:
    """How the learning rate was found; "" where none was."""
    if not base.is_tuned:
        return ""
    return (
        "The learning rate is tuned anew for each, over a range that fits it: the best one lies at the "
        "bottom of a parabola through the mean validation loss, and the accuracy is read off there. "
    )


def choice(base: Condition) -> str:
    """What intervals hold besides, where a learning rate was chosen."""
    if not base.is_tuned:
        return ""
    return (
        "hold the choice of the learning rate (jackknife over seeds, the choice made anew without each) and "
    )


# ---- Findings ----


def _changes(base: Condition, others: Sequence[Condition]) -> list[_Change]:
    compared = [condition for condition in others if condition.reports and base.reports]
    if not compared:
        return []
    points = np.stack([differences(condition, base) for condition in compared], axis=1)  # [seed, setting]
    intervals = simultaneous_intervals(points)
    return [
        _Change(base, condition, interval) for condition, interval in zip(compared, intervals, strict=True)
    ]


def _answer(changes: Sequence[_Change]) -> list[str]:
    """How many settings are better, worse, equal or not clearly either; then the largest clear
    differences.
    """
    if not changes:
        return []
    base, counts = name_of(changes[0].base), Counter(change.verdict for change in changes)
    whole = (
        f"Of {len(changes)} settings compared with {base}: {counts['better']} better, {counts['worse']} "
        f"worse, {counts['practically equal']} practically equal, {counts['no clear difference']} without a "
        "clear difference."
    )
    clear = [change for change in changes if change.verdict in ("better", "worse")]
    if close := [name_of(change.to) for change in clear if is_close(change.points)]:
        whole += f" Close, so that a repeat of the study may show no clear difference: {_listed(close)}."
    largest = sorted(clear, key=lambda change: -abs(change.points.value))[:_MOST_ANSWERS]
    return [whole, *(change.in_words for change in largest), *_largest_bound(base, changes)]


def _headline(changes: Sequence[_Change]) -> Headline | None:
    """The most that helps, and the most that hurts."""
    if not changes:
        return None
    base = name_of(changes[0].base)
    better = [change for change in changes if change.verdict == "better"]
    worse = [change for change in changes if change.verdict == "worse"]
    ends = [
        (max(better, key=lambda change: change.points.value, default=None), "helps"),
        (min(worse, key=lambda change: change.points.value, default=None), "hurts"),
    ]
    parts = [f"{name_of(end.to)} {verb} most ({end.points.value:+.1f} points)" for end, verb in ends if end]
    sentence = (
        f"Compared with {base}, {' and '.join(parts)}."
        if parts
        else f"None of the {len(changes)} settings is clearly better or worse than {base}."
    )
    count = seed_count([changes[0].base])
    sure = (
        f"{len(better)} of {len(changes)} settings are clearly better, {len(worse)} clearly worse; intervals "
        f"that hold together with 95 %, {count} seed{'' if count == 1 else 's'}"
    )
    return Headline(sentence, sure, "effects")


def _largest_bound(base: str, changes: Sequence[_Change]) -> list[str]:
    """How far the settings without a clear difference can be from the base at most."""
    unclear = [
        change
        for change in changes
        if change.verdict in ("practically equal", "no clear difference") and change.points.has_interval
    ]
    if not unclear:
        return []
    most = max((change.points for change in unclear), key=lambda points: max(-points.low, points.high))
    names = [name_of(change.to) for change in unclear]
    differ = (
        f"The other setting ({_listed(names)}) differs"
        if len(unclear) == 1
        else f"The other settings ({_listed(names)}) differ"
    )
    return [f"{differ} from {base} by at most {most_in_words(most)}."]


def _listed(names: Sequence[str]) -> str:
    """Names one after the other, so that those with a comma in them stay one."""
    return ("; " if any("," in name for name in names) else ", ").join(names)


def _finding(change: _Change) -> Finding:
    return Finding(
        title=name_of(change.to),
        estimate=change.points,
        unit="points",
        n=len(change.to.reports),
        n_of="seeds",
        method=f"difference in test accuracy from {name_of(change.base)}, "
        f"{'each at its best learning rate; jackknife over seeds' if change.to.is_tuned else 'by seed'}; "
        "interval together with those of the other settings",
        verdict=change.in_words,
    )


# ---- Pictures and tables ----


def _pictures(conditions: Sequence[Condition], base: Condition, changes: Sequence[_Change]) -> list[Picture]:
    return [*([_effects(base, changes)] if changes else []), *rate_pictures(conditions)]


def rate_pictures(conditions: Sequence[Condition]) -> list[Picture]:
    """What tuning the learning rate gains, and what a wrong one costs, where one was tuned."""
    pictures: list[Picture] = []
    if any(condition.reports and condition.also for condition in conditions):
        pictures.append(_tuned_and_not(conditions))
    if any(condition.is_tuned and condition.reports for condition in conditions):
        pictures.append(_sensitivity(conditions))
    return pictures


def _effects(base: Condition, changes: Sequence[_Change]) -> Forest:
    ordered = sorted(changes, key=lambda change: -change.points.value)
    return Forest(
        name="effects",
        title=f"What each setting changes against {name_of(base)}",
        caption=(
            f"Differences in test accuracy from {name_of(base)}, {seed_count([base])} seeds, with intervals "
            f"that hold together with 95 %. Within the grey band, ±{MARGIN} points, settings count as "
            "practically equal."
        ),
        x=Axis("points of test accuracy"),
        effects=tuple(Effect(name_of(change.to), _group(change.to), change.points) for change in ordered),
        margin=MARGIN,
    )


def _tuned_and_not(conditions: Sequence[Condition]) -> Forest:
    """What tuning the rate gains for each setting."""
    rates = _fixed_rates(conditions)
    effects = [
        Effect(
            f"{name_of(condition)}, over {rate:g}" if len(rates) > 1 else name_of(condition),
            _group(condition),
            tuning_gain(condition, condition.also[rate]),
        )
        for condition in conditions
        for rate in rates
        if condition.reports and rate in condition.also
    ]
    return Forest(
        name="tuning",
        title=f"What tuning the learning rate gains over {' and '.join(f'{rate:g}' for rate in rates)}",
        caption=(
            "Test accuracy at the best learning rate minus that at the fixed one, same seeds, with 95 % "
            "intervals. Where gains differ, a comparison at the fixed rate compares how well it suits each."
        ),
        x=Axis("points of test accuracy"),
        effects=tuple(effects),
    )


def _fixed_rates(conditions: Sequence[Condition]) -> list[float]:
    return sorted({rate for condition in conditions for rate in condition.also})


def _sensitivity(conditions: Sequence[Condition]) -> Lines:
    tuned = [condition for condition in conditions if condition.is_tuned and condition.reports]
    left_out = f" The first {_MOST_LINES} of {len(tuned)} settings." if len(tuned) > _MOST_LINES else ""
    return Lines(
        name="sensitivity",
        title="How much a wrong learning rate costs",
        caption=(
            "Mean validation cross-entropy against the learning rate, in multiples of each setting's own "
            f"best; rates that broke a network are left out. A flat valley forgives.{left_out}"
        ),
        x=Axis("learning rate / best learning rate", "log"),
        y=Axis("validation cross-entropy", "log"),
        lines=tuple(map(_valley, tuned[:_MOST_LINES])),
    )


def _valley(condition: Condition) -> Line:
    best = best_rate(condition)
    points = [
        Point(rate / best, float(validation_losses([runs], best=condition.is_best).mean()))
        for rate, runs in zip(condition.rates, condition.trials, strict=True)
        if all(run.outcome == "completed" for run in runs)
    ]
    return Line(name_of(condition), tuple(points))


def accuracy_table(conditions: Sequence[Condition]) -> Table:
    """Best rate and accuracy of each setting."""
    rates = _fixed_rates(conditions)
    rows: list[tuple[Cell, ...]] = []
    for condition in conditions:
        reached = accuracy(condition)
        fixed = [accuracy_of(condition.at(rate)).value for rate in rates]
        rows.append(
            (name_of(condition), best_rate(condition), reached.value, reached.low, reached.high, *fixed)
        )
    return Table(
        title="Accuracy by setting",
        columns=(
            "setting",
            "best learning rate",
            "test accuracy",
            "from",
            "to",
            *(f"at rate {rate:g}" for rate in rates),
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over seeds, the choice of the learning rate included.",
    )
