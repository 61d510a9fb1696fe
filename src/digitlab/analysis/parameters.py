"""Other parameters: what each changes when it alone is changed in a base, with the rate tuned anew.

Also serves studies of one's own, whose conditions are compared with their baseline.
"""

from collections.abc import Sequence

import numpy as np

from digitlab.analysis.compare import holm, judge
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

MARGIN = 0.2
"""Points of accuracy within which two settings count as practically equal."""


def find(about: About, conditions: Sequence[Condition]) -> StudyFindings:
    """What the study says. Without a baseline, the first condition is it."""
    base = next((one for one in conditions if about.baseline in one.labels.values()), conditions[0])
    others = [one for one in conditions if one is not base and one.reports]
    findings = _compared(about, base, others) if base.reports else []
    by_size = sorted(findings, key=lambda finding: -finding.estimate.value)
    effects = [
        Effect(finding.title, _group(one), finding.estimate)
        for one, finding in sorted(
            zip(others, findings, strict=False), key=lambda both: -both[1].estimate.value
        )
    ]
    return StudyFindings(
        name=about.name,
        title=about.title,
        question=about.question,
        scale=about.scale,
        answer=tuple(f.verdict for f in by_size if "not resolved" not in f.verdict)[:4],
        findings=tuple(findings),
        pictures=tuple(_pictures(conditions, base, effects)),
        tables=(_table(conditions),),
        methods=(
            f"Each setting changes one thing in the base ({_name(base)}: {spec_of(base).network_name}). The "
            f"learning "
            "rate is tuned anew for each on tuning seeds, over a range that fits it, by validation "
            "cross-entropy; "
            "differences are those of test accuracy between fresh seeds, paired by seed, Student's "
            "intervals, "
            "Holm-corrected over all settings.",
            "How settings act together is not measured, but where a setting names a pair.",
            *about.notes,
        ),
        run_count=run_count(conditions),
        seeds=seeds_in_words(conditions),
    )


def _name(one: Condition) -> str:
    return ", ".join(one.labels.values())


def _group(one: Condition) -> str:
    return ", ".join(filter(None, one.groups.values())) or "settings"


def _compared(about: About, base: Condition, others: Sequence[Condition]) -> list[Finding]:
    reference = test_accuracies(base.reports)
    corrected = holm([paired_p_value(test_accuracies(one.reports), reference) for one in others])
    return [
        _finding(about, base, one, paired_interval(test_accuracies(one.reports), reference), p)
        for one, p in zip(others, corrected, strict=True)
    ]


def _finding(about: About, base: Condition, one: Condition, share: Estimate, p_value: float) -> Finding:
    points = Estimate(100 * share.value, 100 * share.low, 100 * share.high)
    verdict = judge(points, MARGIN)
    if verdict in ("better", "worse") and p_value > 0.05:
        verdict = "not resolved"
    interval = f"{points.value:+.2f} points"
    if points.has_interval:
        interval += f", 95 % interval {points.low:+.2f} to {points.high:+.2f}"
    said = {
        "better": "is better than",
        "worse": "is worse than",
        "practically equal": f"is practically equal (within ±{MARGIN} points) to",
        "not resolved": "is not resolved from",
    }[verdict]
    return Finding(
        title=_name(one),
        estimate=points,
        unit="points",
        n=len(one.reports),
        n_of="fresh seeds",
        method=f"paired t on test accuracy against {_name(base)}, tuned; Holm-corrected p = {p_value:.2g}",
        verdict=about.say(f"{_name(one)} {said} {_name(base)} ({interval})."),
    )


# ---- Pictures and tables ----


def _pictures(conditions: Sequence[Condition], base: Condition, effects: Sequence[Effect]) -> list[Picture]:
    pictures: list[Picture] = []
    if effects:
        pictures.append(
            Forest(
                name="effects",
                title=f"What each setting changes against {_name(base)}",
                caption=(
                    f"Differences in test accuracy from {_name(base)}, rate tuned for each, paired over "
                    f"{len(base.reports)} fresh seeds, with 95 % intervals (not corrected). Within the grey "
                    f"band, "
                    f"±{MARGIN} points, settings count as practically equal."
                ),
                x=Axis("points of test accuracy"),
                effects=tuple(effects),
                margin=MARGIN,
            )
        )
    if any(one.also for one in conditions):
        pictures.append(_tuned_and_not(conditions))
    if any(one.rates for one in conditions):
        pictures.append(_sensitivity(conditions))
    return pictures


def _tuned_and_not(conditions: Sequence[Condition]) -> Forest:
    """What tuning the rate gains for each setting."""
    rates = sorted({rate for one in conditions for rate in one.also})
    effects = []
    for one in conditions:
        for rate in rates:
            if one.reports and rate in one.also:
                gain = paired_interval(test_accuracies(one.reports), test_accuracies(one.also[rate]))
                points = Estimate(100 * gain.value, 100 * gain.low, 100 * gain.high)
                effects.append(Effect(_name(one), _group(one), points))
    return Forest(
        name="tuning",
        title=f"What tuning the learning rate gains over {' and '.join(f'{rate:g}' for rate in rates)}",
        caption="Test accuracy at the tuned rate less that at the fixed one, paired over fresh seeds, with "
        "95 % intervals: where it is large, a comparison at one rate for all measures the rate.",
        x=Axis("points of test accuracy"),
        effects=tuple(effects),
    )


def _sensitivity(conditions: Sequence[Condition]) -> Lines:
    lines = []
    for one in conditions:
        losses = np.array(one.losses)
        points = [
            Point(rate / one.chosen, float(loss))
            for rate, loss in zip(one.rates, losses.mean(axis=0), strict=True)
            if one.chosen and np.isfinite(loss)
        ]
        lines.append(Line(_name(one), tuple(points)))
    shown = [line for line in lines if line.points]
    return Lines(
        name="sensitivity",
        title="How much a wrong learning rate costs",
        caption="Mean validation cross-entropy over tuning seeds against the rate, in multiples of each "
        "setting's own best; rates that broke a network are left out. A flat valley forgives.",
        x=Axis("learning rate over the best one", "log"),
        y=Axis("validation cross-entropy", "log"),
        lines=tuple(shown[:8]),
    )


def _table(conditions: Sequence[Condition]) -> Table:
    rates = sorted({rate for one in conditions for rate in one.also})
    rows = []
    for one in conditions:
        tuned = mean_interval(list(test_accuracies(one.reports)))
        fixed = [mean_interval(list(test_accuracies(one.also.get(rate, ())))).value for rate in rates]
        rows.append((_name(one), one.chosen, tuned.value, tuned.low, tuned.high, *fixed))
    return Table(
        title="Accuracy by setting",
        columns=("setting", "rate", "test accuracy", "from", "to", *(f"at rate {rate:g}" for rate in rates)),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over fresh seeds.",
    )
