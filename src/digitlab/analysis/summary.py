"""What the findings of all studies share: accuracies, their differences, and how these are said and drawn."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import About, Condition, name_of, run_count, seed_count, seeds_in_words
from digitlab.analysis.findings import Estimate, Finding, Headline, Picture, Point, StudyFindings, Table
from digitlab.analysis.reached import estimate, estimate_of, reached, values
from digitlab.analysis.statistics.compare import Verdict, is_close, judge
from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.result import RunResult
from digitlab.spec import SGD

FIXED_RATE = SGD().learning_rate
"""The exercise's, which studies report beside the tuned one."""
MARGIN = 0.2
"""Points of accuracy within which two settings count as practically equal."""


def accuracy(condition: Condition) -> Estimate:
    """Mean test accuracy at the best learning rate, a share, with its interval; NaN where all broke."""
    return estimate(condition)


def accuracy_of(runs: Sequence[RunResult]) -> Estimate:
    """Mean test accuracy of runs of one rate, likewise; NaN without runs."""
    return estimate_of(runs)


def differences(condition: Condition, other: Condition) -> Float64[np.ndarray, "seed"]:
    """By how many points test accuracy is above that of another condition, one value a seed; both at their
    best learning rates.
    """
    return np.asarray(100 * (reached(condition) - reached(other)))


def tuning_gain(condition: Condition, runs: Sequence[RunResult]) -> Estimate:
    """By how many points test accuracy at the best rate is above that of these runs.

    runs: of the condition's first seeds; the difference is taken within each of them
    """
    return mean_interval(100 * (reached(condition)[: len(runs)] - values(runs)))


def fewer_at_fixed(conditions: Sequence[Condition]) -> str:
    """For captions, after the number of seeds: ` (5 at learning rate 0.01)` where these are fewer; else
    empty.
    """
    count = max((len(condition.at(FIXED_RATE)) for condition in conditions), default=0)
    return f" ({count} at learning rate {FIXED_RATE:g})" if 0 < count < seed_count(conditions) else ""


def in_points(share: Estimate) -> Estimate:
    """A share, or a difference of shares, times 100."""
    return Estimate(100 * share.value, 100 * share.low, 100 * share.high)


def point(x: float, estimate: Estimate) -> Point:
    """An estimate as a point of a picture."""
    return Point(x, estimate.value, estimate.low, estimate.high)


def percent(share: float, decimals: int = 1) -> str:
    """A share in percent, for sentences."""
    return f"{100 * share:.{decimals}f} %"


def is_resolved(difference: Estimate) -> bool:
    """Whether the interval excludes 0."""
    return difference.low > 0 or difference.high < 0


def points_in_words(points: Estimate) -> str:
    """A difference with its sign, two decimals."""
    if not points.has_interval:
        return f"{points.value:+.2f} points, no interval"
    return f"{points.value:+.2f} points, 95 % interval {points.low:+.2f} to {points.high:+.2f}"


def most_in_words(points: Estimate) -> str:
    """How much a difference with an interval can be at most, rounded up."""
    return f"{math.ceil(10 * max(-points.low, points.high) - 1e-9) / 10:.1f} points"


def bound_in_words(points: Estimate) -> str:
    """How much a difference can be at most: the answer where no direction is clear."""
    if not points.has_interval:
        return "how much they differ is not known from one seed"
    return f"they differ by at most {most_in_words(points)}"


def closeness_in_words(difference: Estimate) -> str:
    """After a sentence that gives a direction: that a repeat of the study may not; "" where it will."""
    return (
        " This is close: a repeat of the study may show no clear difference." if is_close(difference) else ""
    )


def broken_in_words(conditions: Sequence[Condition]) -> str:
    """Which conditions are left out, for most of their networks broke; "" where there are none."""
    names = [name_of(condition) for condition in conditions if not condition.reports]
    if not names:
        return ""
    return f"Left out, for most networks broke there at every learning rate: {'; '.join(names)}."


def compared_in_words(name: str, base: str, points: Estimate) -> str:
    """What may be said of a difference in accuracy: a direction where it is clear, else a bound."""
    verdict: Verdict = judge(points, MARGIN)
    interval = points_in_words(points)
    if verdict in ("better", "worse"):
        return f"{name} is {verdict} than {base}: {interval}.{closeness_in_words(points)}"
    if verdict == "practically equal":
        return f"{name} is practically equal to {base}: {bound_in_words(points)} ({interval})."
    return f"{name} shows no clear difference from {base}: {bound_in_words(points)} ({interval})."


def study_findings(
    about: About,
    conditions: Sequence[Condition],
    *,
    answer: Sequence[str],
    findings: Sequence[Finding],
    pictures: Sequence[Picture],
    tables: Sequence[Table],
    methods: Sequence[str],
    headline: Headline | None = None,
) -> StudyFindings:
    """All that a study says, with the study's own words, notes and counts."""
    return StudyFindings(
        name=about.name,
        title=about.title,
        question=about.question,
        scale=about.scale,
        answer=tuple(answer),
        findings=tuple(findings),
        pictures=tuple(pictures),
        tables=tuple(tables),
        methods=(*methods, *about.notes),
        run_count=run_count(conditions),
        seeds=seeds_in_words(conditions),
        headline=headline,
    )
