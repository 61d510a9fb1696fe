"""Batch size and learning rate: findings of results whose law is known."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from digitlab.analysis.conditions import Condition, Evidence
from digitlab.analysis.findings import Finding, HeatMap, Line, Lines, StudyFindings, Table
from digitlab.analysis.statistics.intervals import paired_interval
from digitlab.analysis.studies import batch_rate
from digitlab.analysis.studies.batch_rate import find, networks_to_measure
from tests.analysis.results import RATES, about, condition, noisy, spec, valley

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
NOISE_SCALE = 60.0
GOOD, LEFT = [0.97, 0.98, 0.96], [0.90, 0.92, 0.91]


def linear(batch_size: float) -> float:
    return math.log2(batch_size) - 11


def square_root(batch_size: float) -> float:
    return math.log2(batch_size) / 2 - 7


def saturating(batch_size: float) -> float:
    return -math.log2(1 + NOISE_SCALE / batch_size)


def grid(
    law: Callable[[float], float],
    *,
    sizes: Sequence[int] = SIZES,
    seeds: int = 3,
    sd: float = 0.05,
    budget: str = "equal epochs",
    accuracies: Sequence[float] = GOOD,
    also: Mapping[float, Sequence[float]] | None = None,
    breaks_from: float = math.inf,
) -> list[Condition]:
    """Conditions whose best log2 rates scatter about a law of the batch size."""
    stream = np.random.default_rng(1)
    return [
        condition(
            spec(batch_size=size),
            [valley(bottom, breaks_from) for bottom in noisy(law(size), sd, seeds, stream)],
            [accuracies[i % len(accuracies)] for i in range(seeds)],
            also=also,
            labels={"budget": budget, "batch_size": str(size)},
        )
        for size in sizes
    ]


def noise(conditions: Sequence[Condition], *scales: Sequence[float]) -> dict[str, dict[str, float]]:
    """Measurements of the noise scale after each of the first moments, [moment][seed]."""
    measured = networks_to_measure(conditions)
    moments = sorted({spec.step_count for spec in measured})
    return {
        spec.key: {"noise_scale": scale}
        for moment, of_seeds in zip(moments, scales, strict=False)
        for spec, scale in zip(
            [spec for spec in measured if spec.step_count == moment], of_seeds, strict=False
        )
    }


def in_words(step_count: int) -> str:
    return f"{step_count:,} {'step' if step_count == 1 else 'steps'}"


def finding(findings: StudyFindings, title: str) -> Finding:
    (found,) = [finding for finding in findings.findings if finding.title.startswith(title)]
    return found


def lines(findings: StudyFindings, name: str) -> dict[str, Line]:
    (picture,) = [picture for picture in findings.pictures if picture.name == name]
    assert isinstance(picture, Lines)
    return {line.name: line for line in picture.lines}


def heat_map(findings: StudyFindings, name: str = "map-equal-epochs") -> HeatMap:
    (picture,) = [picture for picture in findings.pictures if picture.name == name]
    assert isinstance(picture, HeatMap)
    return picture


def table(findings: StudyFindings, title: str) -> Table:
    (found,) = [table for table in findings.tables if table.title.startswith(title)]
    return found


@pytest.mark.parametrize(
    ("law", "name", "exponents"), [(linear, "linear", (1.0, 1.0)), (square_root, "square root", (0.5, 0.5))]
)
def test_a_power_law_is_named_and_its_exponent_lies_in_the_intervals(
    law: Callable[[float], float], name: str, exponents: tuple[float, float]
) -> None:
    found = find(Evidence(about(), grid(law)))
    for which, truth in zip(("smaller", "larger"), exponents, strict=True):
        exponent = finding(found, f"Exponent at the {which} batch sizes, equal epochs")
        assert exponent.estimate.low < truth < exponent.estimate.high
        assert exponent.estimate.high - exponent.estimate.low < 0.4
        assert (exponent.n, exponent.n_of) == (3, "seeds")
        rule = {"linear": "the linear rule", "square root": "the square-root rule"}[name]
        assert f"This agrees with {rule};" in exponent.verdict
        assert exponent.verdict.endswith("are excluded.")
    best = finding(found, "The law of the best learning rate, equal epochs")
    assert name == "linear" or f"the {name} one" in best.verdict  # saturating holds linear as its limit
    assert table(found, "Laws, equal epochs").rows[0][4] == pytest.approx(1, abs=0.05)


def test_the_saturating_law_is_resolved_and_its_noise_scale_lies_in_the_interval() -> None:
    found = find(Evidence(about(), grid(saturating, seeds=5)))
    best = finding(found, "The law of the best learning rate, equal epochs: B_noise")
    assert best.estimate.low < NOISE_SCALE < best.estimate.high
    assert best.estimate.high < 2 * best.estimate.low
    assert (best.unit, best.n, best.n_of) == ("examples", 5, "seeds")
    assert "of three laws the saturating one" in best.verdict
    assert "clearly better than the others" in best.verdict
    small = finding(found, "Exponent at the smaller")
    assert small.estimate.value > 0.7
    assert finding(found, "Exponent at the larger").estimate.value < 0.3
    assert found.answer == tuple(finding.verdict for finding in found.findings)


def test_noise_leaves_rules_and_laws_unresolved() -> None:
    found = find(Evidence(about(), grid(square_root, sizes=SIZES[:4], sd=1.0)))
    assert finding(found, "Exponent at the larger").verdict.endswith("no simple rule is excluded.")
    assert ", but not clearly (" in finding(found, "The law").verdict


def test_a_rule_that_is_narrowly_excluded_is_named() -> None:
    clear, close = (
        finding(find(Evidence(about(), grid(square_root, sd=sd))), "Exponent at the smaller")
        for sd in (0.2, 0.5)
    )
    for found in (clear, close):
        assert found.estimate.low > 0
        assert found.estimate.high < 1
        assert "no growth and the linear rule are excluded." in found.verdict
    assert "close" not in clear.verdict
    assert close.verdict.endswith(" This is close: a repeat of the study may also agree with no growth.")


def test_one_seed_shows_no_direction() -> None:
    found = find(Evidence(about(), grid(square_root, seeds=1, accuracies=[0.9], also={0.01: [0.8]})))
    assert len(found.findings) == 4
    for finding in found.findings:
        assert not finding.estimate.has_interval
        assert finding.n == 1
        assert "agrees" not in finding.verdict
        assert "clearly better" not in finding.verdict


def test_the_fixed_rates_loss_is_told_as_far_as_it_is_clear() -> None:
    def left(fixed: Sequence[float]) -> Finding:
        return finding(
            find(Evidence(about(), grid(square_root, also={0.01: fixed}))),
            "Accuracy lost by leaving the learning rate at 0.01",
        )

    expected = paired_interval(GOOD, LEFT)
    worse = left(LEFT)
    assert (worse.estimate.value, worse.estimate.low, worse.estimate.high) == pytest.approx(
        [100 * x for x in (expected.value, expected.low, expected.high)]
    )
    assert (
        "at batch 1,024 the learning rate 0.01 reaches 91.0 %, the best one 97.0 % (and the best one at "
        "batch 8 97.0 %): if you change only the batch size" in worse.verdict
    )
    assert (worse.n, left(LEFT[:2]).n) == (3, 2)  # those of its seeds that have both rates
    assert left([0.99, 0.91, 0.97]).verdict.endswith("no clear difference.")
    assert left([0.98, 0.99, 0.97]).verdict.endswith("there the tuned learning rate is worse.")


def test_broken_cells_are_marked_and_left_out() -> None:
    found = find(Evidence(about(), grid(square_root, breaks_from=1.0)))
    states = {(square.x, square.y): square for square in heat_map(found).squares}
    assert len(states) == len(SIZES) * len(RATES)
    for size in SIZES:
        at = {rate: states[str(size), rate] for rate in RATES}
        assert {rate: square.state for rate, square in at.items() if rate >= 1} == {
            1.0: "collapsed",
            2.0: "collapsed",
            4.0: "diverged",
            8.0: "diverged",
        }
        assert all(math.isnan(square.value) == (rate >= 1) for rate, square in at.items())
        (best,) = [rate for rate, square in at.items() if square.state == "best"]
        assert abs(math.log2(best) - square_root(size)) <= 0.6
    for row in table(found, "Best learning rates").rows:
        assert row[5:7] == (0.5, 1.0)
    (edge,) = [line for line in heat_map(found).lines if line.name == "edge of stability"]
    assert {point.y for point in edge.points} == {1 / math.sqrt(2)}
    assert finding(found, "Exponent at the larger").estimate.value == pytest.approx(0.5, abs=0.1)


def test_cells_are_means_over_seeds() -> None:
    conditions = grid(square_root)
    squares = {
        (square.x, square.y): square.value for square in heat_map(find(Evidence(about(), conditions))).squares
    }
    for expected, size in zip(conditions, SIZES, strict=True):
        for runs, rate in zip(expected.trials, RATES, strict=True):
            losses = [run.metrics.validation_loss or 0 for run in runs]
            assert squares[str(size), rate] == pytest.approx(float(np.mean(losses)))
            assert len(runs) == (3 if rate in expected.near else 2)


def test_a_best_rate_at_the_grids_edge_is_called_so_and_counts_for_nothing() -> None:
    def beyond(batch_size: float) -> float:
        return math.log2(batch_size) - 5.7

    # At 512 and 1,024 the best rates, 2^3.3 and 2^4.3, lie beyond the grid's 2^3.
    found = find(Evidence(about(), grid(beyond, sd=0.01)))
    rows = table(found, "Best learning rates").rows
    assert [row[4] for row in rows] == [""] * 6 + ["at the high end"] * 2
    assert len(lines(found, "law")["best rate, equal epochs"].points) == 6
    assert "from batch 128 to 256" not in finding(found, "Exponent at the smaller").verdict
    assert "from batch 128 to 256" in finding(found, "Exponent at the larger").verdict


def test_pictures_hold_the_numbers_of_the_tables() -> None:
    found = find(Evidence(about(), grid(square_root, also={0.01: LEFT})))
    rows = table(found, "Best learning rates").rows
    best = lines(found, "law")["best rate, equal epochs"]
    assert [(point.x, point.y, point.low, point.high) for point in best.points] == [row[:4] for row in rows]
    accuracies = lines(found, "accuracy")
    assert [point.y for point in accuracies["best learning rate"].points] == [row[7] for row in rows]
    assert [point.y for point in accuracies["learning rate 0.01"].points] == [row[11] for row in rows]
    assert {name for name in lines(found, "law") if name.endswith(" law")} == {
        f"{row[0]} law" for row in table(found, "Laws").rows
    }
    ridge = next(line for line in heat_map(found).lines if line.name == "best rate")
    assert [point.y for point in ridge.points] == [row[1] for row in rows]
    slopes = [point.y for point in lines(found, "exponent")["equal epochs"].points]
    assert slopes == pytest.approx(np.diff(np.log2([point.y for point in best.points])))


def test_every_budget_has_its_own_findings_and_the_first_answers() -> None:
    found = find(Evidence(about(), [*grid(square_root), *grid(linear, budget="equal steps")]))
    assert finding(found, "Exponent at the larger batch sizes, equal steps").estimate.value > 0.8
    assert finding(found, "Exponent at the larger batch sizes, equal epochs").estimate.value < 0.7
    assert [picture.name for picture in found.pictures] == [
        "map-equal-epochs",
        "map-equal-steps",
        "law",
        "exponent",
        "accuracy",
    ]
    assert all("With equal epochs" in sentence for sentence in found.answer)
    assert len(found.answer) == 3


def test_two_batch_sizes_tell_no_law() -> None:
    found = find(Evidence(about(), grid(square_root, sizes=(8, 16))))
    assert not found.findings
    assert not found.answer
    assert list(lines(found, "law")) == ["best rate, equal epochs"]
    assert len(lines(found, "exponent")["equal epochs"].points) == 1


def test_where_every_rate_broke_nothing_is_claimed() -> None:
    found = find(Evidence(about(), grid(square_root, breaks_from=RATES[0], also={0.01: LEFT})))
    assert found.findings == ()
    for row in table(found, "Best learning rates").rows:
        assert row[4:7] == ("every rate broke most networks", 0.0, RATES[0])
        assert math.isnan(float(row[1] or 0))
    assert {square.state for square in heat_map(found).squares} == {"collapsed", "diverged"}
    assert list(lines(found, "accuracy")) == ["learning rate 0.01"]


def test_a_study_that_tunes_nothing_shows_its_accuracies() -> None:
    conditions = [condition(spec(batch_size=size), accuracies=GOOD) for size in SIZES]
    found = find(Evidence(about(target=0.5), conditions))
    assert found.findings == ()
    assert [picture.name for picture in found.pictures] == ["law", "exponent", "accuracy"]
    assert [point.y for point in lines(found, "accuracy")["best learning rate"].points] == pytest.approx(
        [0.97] * len(SIZES)
    )
    assert found.tables[0].title == "Best learning rates, this budget"


def test_the_noise_scale_is_told_as_it_was_measured() -> None:
    conditions = grid(square_root)
    first, second = sorted({spec.step_count for spec in networks_to_measure(conditions)})[:2]
    found = find(Evidence(about(), conditions, noise(conditions, [40.0, 90.0], [500.0, 2_000.0])))
    noise_scale = finding(found, "Simple gradient noise scale")
    assert noise_scale.estimate.value == pytest.approx(1_000)
    assert noise_scale.n == 2
    assert f"is 60.0 after {in_words(first)}, 1,000 after {in_words(second)}" in noise_scale.verdict
    steps, scales = zip(*(row[:2] for row in table(found, "Simple gradient").rows), strict=True)
    assert steps == (first, second)
    assert scales == pytest.approx((60, 1_000))
    once = finding(
        find(Evidence(about(), conditions, noise(conditions, [50.0]))), "Simple gradient noise scale"
    )
    assert f"is 50.0 after {in_words(first)}:" in once.verdict
    assert not [
        f
        for f in find(Evidence(about(), conditions, noise(conditions, [math.inf]))).findings
        if "noise scale" in f.title
    ]


def test_methods_say_only_what_was_done() -> None:
    epochs = " ".join(find(Evidence(about(notes=("A range grew.",)), grid(square_root))).methods)
    assert "equal epochs" in epochs
    assert "equal steps" not in epochs
    assert "10,000 images held out" in epochs
    assert epochs.endswith("A range grew.")
    assert batch_rate.find(Evidence(about(), grid(square_root))).run_count == len(SIZES) * (
        2 * len(RATES) + 3
    )
