"""Depth: findings of networks whose differences are known."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest

from digitlab.analysis.conditions import Condition, Evidence, Reference
from digitlab.analysis.findings import Finding, Forest, Line, Lines, StudyFindings
from digitlab.analysis.statistics.compare import crossed_interval, holm
from digitlab.analysis.statistics.intervals import paired_interval, paired_p_value
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
        [valley(-2, breaks_from)] * 3,
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
    judgements = ("makes it better", "leaves it practically equal (within ±0.2 points)", "makes it worse")
    for finding, truth, words in zip(found, (5.0, 0.0, -0.5), judgements, strict=True):
        assert finding.estimate.low < truth < finding.estimate.high
        assert (finding.n, finding.n_of, finding.unit) == (6, "fresh seeds", "points")
        assert f"{words}: {finding.estimate.value:+.2f} points" in finding.verdict
    accuracies = [[run.metrics.test_accuracy for run in condition.reports] for condition in conditions]
    expected = paired_interval(accuracies[1], accuracies[0])
    assert found[0].estimate.high == pytest.approx(100 * expected.high)
    p = holm([paired_p_value(b, a) for a, b in pairwise(accuracies)])[2]
    assert f"Holm-corrected p = {p:.2g}" in found[2].method


def test_differences_that_only_the_uncorrected_interval_resolves_are_not_resolved() -> None:
    # Each difference is 0.4 ± 0.36 points: p is 0.035 alone, and 0.1 as one of three.
    spread = np.array([-0.0036, 0.0036, -0.0023, 0.0023, 0.0, 0.0]) * 1.2
    conditions = [network(depth, list(0.9 + 0.004 * depth + (depth % 2) * spread)) for depth in range(4)]
    for finding in steps(find(Evidence(about(), conditions))):
        assert finding.estimate.low > 0
        assert "makes a difference that is not resolved" in finding.verdict
        assert "after Holm's correction" in finding.verdict


def test_practically_equal_needs_the_whole_interval_inside() -> None:
    wide = np.array([0.003, -0.003, 0.002, -0.002, 0.001, -0.001])
    conditions = [network(0, list(0.97 + SEEDS)), network(1, list(0.97 + SEEDS + wide))]
    (finding,) = steps(find(Evidence(about(), conditions)))
    assert finding.estimate.value == pytest.approx(0)
    assert "makes a difference that is not resolved" in finding.verdict


def test_images_are_crossed_with_seeds_where_predictions_are_known() -> None:
    conditions = family([0.92, 0.97])
    stream = np.random.default_rng(3)
    labels = stream.integers(0, 10, 200).astype(np.uint8)
    given = {
        run.key: np.where(stream.random(200) < chance, labels, (labels + 1) % 10).astype(np.uint8)
        for condition, chance in zip(conditions, (0.6, 0.9), strict=True)
        for run in condition.reports
    }
    predictions = {key: values.tobytes() for key, values in given.items()}
    (finding,) = steps(find(Evidence(about(), conditions, predictions=predictions, labels=labels.tobytes())))
    right = [np.stack([given[run.key] for run in condition.reports]) == labels for condition in conditions]
    truth = crossed_interval(right[1], right[0])
    assert f"On new images too: {100 * truth.value:+.2f} points" in finding.verdict
    assert f"{100 * truth.low:+.2f} to {100 * truth.high:+.2f}" in finding.verdict
    del predictions[conditions[0].reports[0].key]
    (without,) = steps(find(Evidence(about(), conditions, predictions=predictions, labels=labels.tobytes())))
    assert "new images" not in without.verdict + without.method
    assert "nan" not in without.verdict + without.method


def finding_from(found: StudyFindings, depth: int) -> Finding:
    return next(finding for finding in found.findings if finding.title.startswith(f"From {depth} to"))


def test_the_spread_between_depths_is_told_at_both_rates() -> None:
    found = find(Evidence(about(), family([0.92, 0.97, 0.972, 0.969])))
    (finding,) = [finding for finding in found.findings if finding.title.startswith("Spread")]
    assert finding.estimate.value == pytest.approx(0.3, abs=0.02)
    # At 0.01: 0.97 - 0.1 less 0.969 - 0.3.
    assert "Between 1 and 3 hidden layers" in finding.verdict
    assert "lie 20.1 points apart at rate 0.01" in finding.verdict
    assert found.answer == (*(finding_from(found, depth).verdict for depth in (0, 1)), finding.verdict)


def test_a_spread_that_is_noise_is_not_resolved() -> None:
    wide = np.array([0.003, -0.003, 0.002, -0.002, 0.001, -0.001])
    conditions = [
        network(depth, list(0.97 + (-1) ** depth * wide + 0.0001 * depth), also={0.01: [0.9] * 6})
        for depth in (1, 2)
    ]
    (finding,) = [f for f in find(Evidence(about(), conditions)).findings if f.title.startswith("Spread")]
    assert "0 points (not resolved) apart at rate 0.01" in finding.verdict
    assert "points (not resolved) with the rate tuned" in finding.verdict


def test_one_seed_resolves_nothing() -> None:
    conditions = [network(depth, [0.9 + 0.02 * depth], also={0.01: [0.5]}) for depth in range(3)]
    found = find(Evidence(about("quick"), conditions))
    assert len(found.findings) == 3
    for finding in found.findings:
        assert finding.n == 1
        assert "not resolved" in finding.verdict
        assert finding.verdict.startswith("Quick look: ")
        assert "nan" not in finding.verdict + finding.method


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
    assert found.tables[0].rows[2][2] is None


def test_all_broken_or_nothing_tuned_gives_fewer_findings() -> None:
    broken = [network(depth, [0.9], breaks_from=RATES[0]) for depth in range(3)]
    found = find(Evidence(about(), broken))
    assert not found.findings
    assert not found.answer
    assert [picture.name for picture in found.pictures] == ["differences", "rate-torch"]
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

    found = find(Evidence(about(), [condition(spec(), [bare], [0.9, 0.8])]))
    assert lines(found, "rate-torch")["1 hidden"].points[0].y == 0.1
