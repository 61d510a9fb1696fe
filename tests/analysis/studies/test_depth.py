"""Depth: findings of networks whose differences are known."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from digitlab.analysis import conditions as reading
from digitlab.analysis.conditions import Condition, Evidence, Reference
from digitlab.analysis.findings import Finding, Forest, Line, Lines, StudyFindings
from digitlab.analysis.statistics.compare import crossed_interval
from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.simultaneous import CHAIN, simultaneous_intervals
from digitlab.analysis.studies.depth import find
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from tests.analysis.results import RATES, about, condition, run, spec, valley

SEEDS = np.array([0.001, -0.0012, 0.0004, -0.0003, 0.0008, -0.0007])
"""What seeds do to every network alike."""
OWN = np.array([0.0003, 0.0001, -0.0004, 0.0002, -0.0003, 0.0001])
"""What they do to single ones."""


def network(
    depth: int,
    accuracies: Sequence[float],
    *,
    group: str = "width 100",
    initialisation: str = "torch",
    also: Mapping[float, Sequence[float]] | None = None,
    breaks_from: float = math.inf,
) -> Condition:
    return condition(
        spec(hidden=(100,) * depth, initialisation=initialisation),
        [valley(-2, breaks_from)] * len(accuracies),
        accuracies,
        also=also,
        labels={"network": f"{depth} x 100", "initialisation": initialisation},
        groups={"network": group} if group else {},
    )


def family(means: Sequence[float], **fields: object) -> list[Condition]:
    """Networks of depth 0, 1 … with these mean accuracies, at rate 0.01 a tenth of a point less a layer."""
    return [
        network(
            depth,
            list(mean + SEEDS + (-1) ** depth * OWN),
            also={0.01: list(mean - 0.1 * depth + SEEDS)},
            **fields,  # type: ignore[arg-type]
        )
        for depth, mean in enumerate(means)
    ]


def steps(findings: StudyFindings) -> list[Finding]:
    return [finding for finding in findings.findings if finding.title.startswith("From ")]


def lines(findings: StudyFindings, name: str) -> dict[str, Line]:
    (picture,) = [picture for picture in findings.pictures if picture.name == name]
    assert isinstance(picture, Lines)
    return {line.name: line for line in picture.lines}


def test_known_differences_are_found_and_judged() -> None:
    conditions = family([0.92, 0.97, 0.97, 0.965])
    found = steps(find(Evidence(about(), conditions)))
    assert [finding.title for finding in found] == [
        f"From {a} to {a + 1} hidden layers: width 100, PyTorch's initialisation" for a in range(3)
    ]
    judgements = ("increases the accuracy", "changes practically nothing", "reduces the accuracy")
    for finding, truth, words in zip(found, (5.0, 0.0, -0.5), judgements, strict=True):
        assert finding.estimate.low < truth < finding.estimate.high
        assert (finding.n, finding.n_of, finding.unit) == (6, "seeds", "points")
        assert f"{words}: " in finding.verdict
        assert f"{finding.estimate.value:+.2f} points" in finding.verdict
    accuracies = [reading.test_accuracies(condition.reports) for condition in conditions]
    differences = np.stack([100 * (b - a) for a, b in pairwise(accuracies)], axis=1)
    expected = simultaneous_intervals(differences, CHAIN)
    for finding, interval in zip(found, expected, strict=True):
        assert (finding.estimate.low, finding.estimate.high) == pytest.approx((interval.low, interval.high))


def test_differences_that_are_clear_only_alone_are_not_clear() -> None:
    # Each difference is 0.4 ± 0.36 points alone, and wider as one of three.
    spread = np.array([-0.0036, 0.0036, -0.0023, 0.0023, 0.0, 0.0]) * 1.2
    conditions = [network(depth, list(0.9 + 0.004 * depth + (depth % 2) * spread)) for depth in range(4)]
    found = steps(find(Evidence(about(), conditions)))
    for finding, (a, b) in zip(found, pairwise(conditions), strict=True):
        points = 100 * (reading.test_accuracies(b.reports) - reading.test_accuracies(a.reports))
        alone = mean_interval(points)
        assert alone.low > 0
        # One variance for all three, with three times the degrees of freedom, and Sidak's factor.
        reach = stats.t.ppf((1 + 0.95 ** (1 / 3)) / 2, 10) * points.std(ddof=1) / math.sqrt(6)
        assert finding.estimate.high - finding.estimate.value == pytest.approx(reach, rel=1e-3)
    (close,) = steps(find(Evidence(about(), conditions[:2])))
    assert "increases the accuracy: " in close.verdict
    assert close.verdict.endswith(" This is close: a repeat of the study may show no clear difference.")


def test_practically_equal_needs_the_whole_interval_inside() -> None:
    wide = np.array([0.003, -0.003, 0.002, -0.002, 0.001, -0.001])
    conditions = [network(0, list(0.97 + SEEDS)), network(1, list(0.97 + SEEDS + wide))]
    (finding,) = steps(find(Evidence(about(), conditions)))
    assert finding.estimate.value == pytest.approx(0)
    assert "makes no clear difference: they differ by at most 0.3 points" in finding.verdict


def test_images_are_crossed_with_seeds_where_predictions_are_known() -> None:
    stream = np.random.default_rng(3)
    labels = stream.integers(0, 10, 200).astype(np.uint8)
    right = [stream.random((6, 200)) < chance for chance in (0.6, 0.9)]  # [depth][seed, image]
    conditions = [network(depth, list(of_depth.mean(axis=1))) for depth, of_depth in enumerate(right)]
    given = {
        run.key: np.where(row, labels, (labels + 1) % 10).astype(np.uint8)
        for condition, of_depth in zip(conditions, right, strict=True)
        for runs in condition.reported
        for run, row in zip(runs, of_depth, strict=True)
    }
    predictions = {key: values.tobytes() for key, values in given.items()}
    (finding,) = steps(find(Evidence(about(), conditions, predictions=predictions, labels=labels.tobytes())))
    truth = crossed_interval(right[1], right[0])
    assert f"On new images: {100 * truth.value:+.2f} points" in finding.verdict
    assert f"{100 * truth.low:+.2f} to {100 * truth.high:+.2f}" in finding.verdict
    del predictions[conditions[0].reports[0].key]
    (without,) = steps(find(Evidence(about(), conditions, predictions=predictions, labels=labels.tobytes())))
    assert "new images" not in without.verdict + without.method
    assert "nan" not in without.verdict + without.method


def spread(found: StudyFindings) -> Finding:
    (finding,) = [finding for finding in found.findings if finding.title.startswith("Largest difference")]
    return finding


def test_the_spread_between_depths_is_told_at_both_rates() -> None:
    found = find(Evidence(about(), family([0.92, 0.97, 0.972, 0.969])))
    finding = spread(found)
    assert finding.estimate.value == pytest.approx(0.3, abs=0.05)
    assert finding.estimate.low <= 0.3 <= finding.estimate.high
    # At 0.01: 0.97 - 0.1 less 0.969 - 0.3.
    assert "Between 1 and 3 hidden layers" in finding.verdict
    assert "mean accuracies differ by up to 20.1 points at learning rate 0.01" in finding.verdict
    ends = f"{finding.estimate.low:.1f} to {finding.estimate.high:.1f} points"
    assert finding.verdict.endswith(f"With the learning rate tuned for each, they differ by {ends}.")
    assert found.answer[-1] == finding.verdict
    assert len(found.answer) == 4


def test_a_spread_that_may_be_noise_begins_at_0() -> None:
    wide = np.array([0.003, -0.003, 0.002, -0.002, 0.001, -0.001])
    conditions = [
        network(depth, list(0.97 + (-1) ** depth * wide + 0.0001 * depth), also={0.01: [0.9] * 6})
        for depth in (1, 2)
    ]
    finding = spread(find(Evidence(about(), conditions)))
    assert finding.estimate.low == 0
    assert "up to 0.0 points at learning rate 0.01" in finding.verdict
    assert "they differ by 0.0 to " in finding.verdict


def test_one_seed_shows_no_direction() -> None:
    conditions = [network(depth, [0.9 + 0.02 * depth], also={0.01: [0.5]}) for depth in range(3)]
    found = find(Evidence(about(), conditions))
    assert len(found.findings) == 3
    for finding in found.findings:
        assert finding.n == 1
        assert not finding.estimate.has_interval
        assert "nan" not in finding.verdict + finding.method
    for finding in steps(found):
        assert "makes no clear difference: how much they differ is not known from one seed" in finding.verdict


def test_families_are_compared_within_themselves() -> None:
    conditions = [
        *family([0.92, 0.97], initialisation="he"),
        *family([0.92, 0.97]),
        *family([0.9, 0.95], group="equal parameters"),
    ]
    other = Reference("another's runs", "one run each", {0: 0.909, 2: 0.9367})
    found = find(Evidence(about(), conditions, references=[other]))
    assert [finding.title.partition(": ")[2] for finding in steps(found)] == [
        "width 100, He's initialisation",
        "width 100, PyTorch's initialisation",
        "equal parameters, PyTorch's initialisation",
    ]
    names = [picture.name for picture in found.pictures]
    assert names == ["differences", "accuracy", "rate-he", "rate-torch", "losses"]
    assert len(lines(found, "accuracy")) == 5
    beside = lines(found, "accuracy")["another's runs"]
    assert ([(point.x, point.y) for point in beside.points], beside.role) == (
        [(0, 0.909), (2, 0.9367)],
        "reference",
    )
    assert "Another's runs: one run each." in found.pictures[1].caption
    assert len(found.tables) == 3


def test_pictures_hold_the_numbers_of_the_tables() -> None:
    found = find(Evidence(about(), family([0.92, 0.97, 0.97])))
    (table,) = found.tables
    shown = lines(found, "accuracy")
    tuned = shown["PyTorch's initialisation, tuned"].points
    assert [(point.y, point.low, point.high) for point in tuned] == [row[3:6] for row in table.rows]
    assert [point.y for point in shown["PyTorch's initialisation, 0.01"].points] == [
        row[6] for row in table.rows
    ]
    assert [row[:2] for row in table.rows][:2] == [("784-10", 7_850), ("784-100-10", 79_510)]
    forest = found.pictures[0]
    assert isinstance(forest, Forest)
    assert [effect.estimate for effect in forest.effects] == [finding.estimate for finding in steps(found)]
    assert forest.margin == 0.2
    losses = lines(found, "losses")
    assert [point.y for point in losses["test images"].points] == pytest.approx([0.1] * 3)


def test_broken_networks_are_shown_as_they_ended() -> None:
    found = find(Evidence(about(), [network(1, [0.9, 0.9], breaks_from=1.0)]))
    points = lines(found, "rate-torch")["1 hidden"].points
    assert [point.x for point in points] == list(RATES)
    assert [point.y for point in points] == pytest.approx(
        [0.9] * (len(RATES) - 2) + [0.1] * 2
    )  # diverged: guesses


def test_a_depth_that_broke_everywhere_is_left_out() -> None:
    conditions = [*family([0.92, 0.97]), network(2, [0.9] * 6, breaks_from=RATES[0], also={0.01: [0.5] * 6})]
    found = find(Evidence(about(), conditions))
    assert [finding.title[:7] for finding in found.findings] == ["From 0 "]
    assert len(lines(found, "accuracy")["PyTorch's initialisation, tuned"].points) == 2
    assert math.isnan(float(found.tables[0].rows[2][3] or 0))
    assert math.isnan(float(found.tables[0].rows[2][2] or 0))


def test_all_broken_or_nothing_tuned_gives_fewer_findings() -> None:
    broken = [network(depth, [0.9], breaks_from=RATES[0]) for depth in range(3)]
    found = find(Evidence(about(), broken))
    assert not found.findings
    assert not found.answer
    assert [picture.name for picture in found.pictures] == ["rate-torch"]
    untuned = [
        condition(spec(hidden=(9,) * depth), accuracies=[0.8, 0.9 - depth / 100]) for depth in range(3)
    ]
    plain = find(Evidence(about(), untuned))
    assert [finding.title for finding in plain.findings] == [
        "From 0 to 1 hidden layers: PyTorch's initialisation",
        "From 1 to 2 hidden layers: PyTorch's initialisation",
    ]
    assert [picture.name for picture in plain.pictures] == ["differences", "accuracy", "losses"]


def test_captions_claim_nothing_of_the_data() -> None:
    captions = " ".join(picture.caption for picture in find(Evidence(about(), family([0.9, 0.8]))).pictures)
    for claim in ("falls", "better", "layers of 100"):
        assert claim not in captions


def test_a_run_without_validation_counts_as_a_guess() -> None:
    def bare(base_spec: RunSpec, seed: int, rate: float) -> RunResult:
        return run(base_spec, seed, rate, validation_accuracy=None)

    found = find(Evidence(about(), [condition(spec(), [bare] * 2)]))
    assert lines(found, "rate-torch")["1 hidden"].points[0].y == 0.1
