"""What the findings of all studies share: accuracies, their differences, and how these are said and drawn."""

from collections.abc import Sequence

from digitlab.analysis.conditions import About, Condition, run_count, seeds_in_words, test_accuracies
from digitlab.analysis.findings import Estimate, Finding, Headline, Picture, Point, StudyFindings, Table
from digitlab.analysis.statistics.compare import Verdict, judge
from digitlab.analysis.statistics.intervals import mean_interval, paired_interval
from digitlab.result import RunResult
from digitlab.spec import SGD

FIXED_RATE = SGD().learning_rate
"""The exercise's, which studies report beside the tuned one."""
MARGIN = 0.2
"""Points of accuracy within which two settings count as practically equal."""
LEVEL = 0.05


def accuracy(runs: Sequence[RunResult]) -> Estimate:
    """Mean test accuracy, a share, with its interval; NaN without runs."""
    return mean_interval(test_accuracies(runs))


def gain(runs: Sequence[RunResult], others: Sequence[RunResult]) -> Estimate:
    """By how many points test accuracy is above that of others, paired.

    runs, others: in the same order of seeds
    """
    return in_points(paired_interval(test_accuracies(runs), test_accuracies(others)))


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


def judge_corrected(points: Estimate, p_value: float) -> Verdict:
    """The verdict on one difference of several: better or worse only where the corrected p-value agrees.

    p_value: corrected for their number
    """
    verdict = judge(points, MARGIN)
    return "not resolved" if verdict in ("better", "worse") and not p_value <= LEVEL else verdict


def points_in_words(points: Estimate) -> str:
    """A difference with its sign, two decimals."""
    if not points.has_interval:
        return f"{points.value:+.2f} points, no interval"
    return f"{points.value:+.2f} points, 95 % interval {points.low:+.2f} to {points.high:+.2f}"


def correction_in_words(points: Estimate, p_value: float) -> str:
    """What explains a verdict that the interval alone does not."""
    is_explained = not is_resolved(points) or judge_corrected(points, p_value) != "not resolved"
    return "" if is_explained else f", but p = {p_value:.2g} after Holm's correction"


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
