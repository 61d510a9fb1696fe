"""Training-set size: findings of errors that follow a known power law."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from digitlab.analysis.conditions import Condition, Evidence
from digitlab.analysis.findings import Finding, Line, Lines, StudyFindings
from digitlab.analysis.statistics.intervals import mean_interval, paired_interval
from digitlab.analysis.studies.train_size import find
from tests.analysis.results import about, condition, spec, valley

SIZES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
ALPHA, BETA = 2.0, 0.45


def grid(
    *,
    gamma: float = 0.0,
    beta: float = BETA,
    draws: int = 5,
    sd: float = 0.01,
    sizes: Sequence[int] = SIZES,
    budget: str = "fixed steps",
    also: Mapping[float, Sequence[float]] | None = None,
    is_best: bool = True,
    last: float = 1.0,
) -> list[Condition]:
    """Conditions whose errors are alpha n^-beta + gamma; that of the largest size `last` times as large."""
    stream = np.random.default_rng(9)
    conditions = []
    for size in sizes:
        error = (ALPHA * size**-beta + gamma) * (last if size == sizes[-1] else 1)
        conditions.append(
            condition(
                spec(train_size=size),
                [valley(-2)] * draws,
                [1 - error * math.exp(sd * x) for x in stream.standard_normal(draws)],
                also=also,
                labels={"budget": budget},
                is_best=is_best,
            )
        )
    return conditions


def finding(findings: StudyFindings, title: str) -> Finding:
    (found,) = [finding for finding in findings.findings if finding.title.startswith(title)]
    return found


def lines(findings: StudyFindings, name: str) -> dict[str, Line]:
    (picture,) = [picture for picture in findings.pictures if picture.name == name]
    assert isinstance(picture, Lines)
    return {line.name: line for line in picture.lines}


@pytest.mark.parametrize("gamma", [0.0, 0.02])
def test_the_exponent_lies_in_its_interval_and_a_floor_is_told_where_there_is_one(gamma: float) -> None:
    exponent = finding(find(Evidence(about(), grid(gamma=gamma))), "Exponent of the error")
    assert exponent.estimate.low < BETA < exponent.estimate.high
    assert exponent.estimate.value == pytest.approx(BETA, abs=0.03)
    assert (exponent.n, exponent.n_of) == (5, "draws")
    assert ("The error has a lower limit of" in exponent.verdict) == (gamma > 0)
    assert ("No lower limit of the error is detected." in exponent.verdict) == (gamma == 0)
    kind = "reducible error" if gamma else "error"
    assert f"{100 * 10**-exponent.estimate.value:.0f} % of the {kind} remains" in exponent.verdict


def test_an_exponent_that_may_be_nothing_is_not_shown() -> None:
    exponent = finding(
        find(Evidence(about(), grid(beta=0.0, sd=0.2, draws=3, gamma=-1.5))), "Exponent of the error"
    )
    assert not exponent.estimate.low > 0
    assert "these draws do not show how the test error falls" in exponent.verdict
    assert "falls as a power" not in exponent.verdict


def test_the_largest_size_is_predicted_from_the_others() -> None:
    fine = finding(find(Evidence(about(), grid(draws=10))), "Error at 50,000 images")
    truth = 100 * ALPHA * 50_000**-BETA
    assert fine.estimate.low < truth < fine.estimate.high
    assert "they agree." in fine.verdict
    bent = finding(find(Evidence(about(), grid(draws=10, last=1.5))), "Error at 50,000 images")
    assert "the law does not hold over the whole range." in bent.verdict
    near = finding(find(Evidence(about(), grid(draws=10, last=1.02))), "Error at 50,000 images")
    assert near.verdict.endswith("disagree, but narrowly: a repeat of the study may find that they agree.")


def test_one_draw_shows_little() -> None:
    found = find(Evidence(about(), [*grid(draws=1), *grid(draws=1, budget="15 epochs", also={0.01: [0.3]})]))
    assert len(found.findings) == 3
    for finding in found.findings:
        assert not finding.estimate.has_interval
        assert not re.search("; they agree|disagree|falls as|less|nothing is lost", finding.verdict)


def test_under_training_is_told_as_far_as_it_is_clear() -> None:
    primary = grid()

    def lost(fixed: Sequence[float]) -> Finding:
        other = grid(budget="15 epochs", also={0.01: fixed}, is_best=False)
        return finding(
            find(Evidence(about(), [*primary, *other])),
            "Accuracy lost by 15 epochs at learning rate 0.01, 100 images",
        )

    best = [run.metrics.test_accuracy for run in primary[0].reports]
    loss, truth = lost([0.3, 0.31, 0.29, 0.3, 0.32]), paired_interval(best, [0.3, 0.31, 0.29, 0.3, 0.32])
    assert (loss.estimate.value, loss.estimate.low) == pytest.approx((100 * truth.value, 100 * truth.low))
    assert "100 images give 30.4 % accuracy; with fixed steps" in loss.verdict
    assert loss.verdict.endswith("shows too little training as well as too little data.")
    assert lost([0.1, 0.99, 0.75, 0.6, 0.9]).verdict.endswith("these draws show no clear difference.")
    assert lost([0.99, 0.98, 0.99, 0.98, 0.99]).verdict.endswith("nothing is lost.")


def test_pictures_hold_the_numbers_of_the_tables() -> None:
    found = find(Evidence(about(), [*grid(), *grid(budget="15 epochs", also={0.01: [0.3] * 5})]))
    for table, budget in zip(found.tables, ("fixed steps", "15 epochs"), strict=True):
        errors = lines(found, "error")[f"{budget}, learning rate tuned"]
        assert [point.x for point in errors.points] == [row[0] for row in table.rows]
        assert [1 - point.y for point in errors.points] == pytest.approx(
            [float(row[2] or 0) for row in table.rows]
        )
    fixed = lines(found, "error")["15 epochs, learning rate 0.01"]
    assert [point.y for point in fixed.points] == pytest.approx([0.7] * len(SIZES))
    assert "fixed steps, learning rate 0.01" not in lines(found, "error")
    gap = lines(found, "gap")
    assert [point.y for point in gap["test images"].points] == [row[2] for row in found.tables[0].rows]
    assert [point.y for point in gap["training images"].points] == [row[5] for row in found.tables[0].rows]
    slopes = lines(found, "slope")["fixed steps"].points
    assert len(slopes) == len(SIZES) - 1
    assert mean_interval([point.y for point in slopes]).value == pytest.approx(BETA, abs=0.02)
    (predicted,) = lines(found, "error")["predicted from smaller sizes"].points
    assert 100 * predicted.y == pytest.approx(finding(found, "Error at 50,000").estimate.value)


def test_the_gaps_caption_says_what_was_measured() -> None:
    (picture,) = [picture for picture in find(Evidence(about(), grid())).pictures if picture.name == "gap"]
    assert "The two lie 0 points apart at 100 images, 0 at 50,000." in picture.caption


def test_few_sizes_tell_no_law() -> None:
    found = find(Evidence(about(), grid(sizes=SIZES[:2])))
    assert found.findings == ()
    assert list(lines(found, "error")) == ["fixed steps, learning rate tuned"]
    three = find(Evidence(about(), grid(sizes=SIZES[:3])))
    assert three.findings == ()
    assert len(find(Evidence(about(), grid(sizes=SIZES[:1]))).tables[0].rows) == 1


def test_errors_of_zero_give_no_law() -> None:
    perfect = [condition(spec(train_size=size), accuracies=[1.0, 1.0]) for size in SIZES]
    assert find(Evidence(about(), perfect)).findings == ()


def test_where_every_rate_broke_nothing_is_claimed() -> None:
    broken = [
        condition(spec(train_size=size), [valley(-2, breaks_from=0.001)], [0.9], also={0.01: [0.3]})
        for size in SIZES
    ]
    found = find(Evidence(about(), broken))
    assert found.findings == ()
    assert [picture.name for picture in found.pictures] == ["error", "slope"]
    assert list(lines(found, "error")) == ["this budget, learning rate 0.01"]
    assert math.isnan(float(found.tables[0].rows[0][2] or 0))


def test_sizes_that_broke_are_left_out() -> None:
    conditions = grid()
    conditions[0] = condition(
        spec(train_size=100), [valley(-2, breaks_from=0.001)], [0.9], labels={"budget": "fixed steps"}
    )
    found = find(Evidence(about(), conditions))
    assert "from 200 to 50,000 images" in finding(found, "Exponent").verdict
    assert len(lines(found, "error")["fixed steps, learning rate tuned"].points) == len(SIZES) - 1


def test_methods_say_only_what_was_done() -> None:
    best = " ".join(find(Evidence(about(), grid())).methods)
    assert "With fixed steps, the network of the best validation loss" in best
    plain = " ".join(find(Evidence(about(), grid(is_best=False, budget="15 epochs"))).methods)
    assert "best validation loss" not in plain
    assert "With 15 epochs, a small set also makes few steps." in plain
    untuned = [condition(spec(train_size=size), accuracies=[0.9, 0.8]) for size in SIZES]
    assert "tuned" not in " ".join(find(Evidence(about(), untuned)).methods)
