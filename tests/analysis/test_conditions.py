"""What analyses read, and the words that they share."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from digitlab.analysis import conditions
from digitlab.analysis.conditions import by_label, run_count, seeds_in_words, validation_losses
from digitlab.analysis.findings import Estimate, three_figures
from digitlab.analysis.summary import (
    correction_in_words,
    is_resolved,
    judge_corrected,
    percent,
    points_in_words,
)
from tests.analysis.results import RATES, about, condition, reports, run, spec, valley

NAN = math.nan
CURVE: dict[str, Sequence[float]] = {
    "step": [10, 20, 30],
    "training_loss": [1.0, 0.5, 0.2],
    "validation_loss": [0.9, 0.4, 0.6],
    "validation_accuracy": [0.7, 0.9, 0.8],
}


def test_a_run_is_judged_by_the_last_or_the_best_of_its_curve() -> None:
    runs = [[run(spec(), curve=CURVE), run(spec(), curve=CURVE, outcome="collapsed"), run(spec(), loss=0.3)]]
    assert validation_losses(runs, best=False) == pytest.approx(np.array([[0.6, NAN, 0.3]]), nan_ok=True)
    assert validation_losses(runs, best=True) == pytest.approx(np.array([[0.4, NAN, 0.3]]), nan_ok=True)


def test_a_run_without_validation_has_no_loss() -> None:
    bare = run(spec(), curve={"step": [10], "training_loss": [1.0]})
    assert np.isnan(validation_losses([[bare]], best=True)).all()


def test_a_diverged_network_guesses_and_a_collapsed_one_is_as_it_is() -> None:
    runs = [run(spec()), run(spec(), outcome="diverged"), run(spec(), outcome="collapsed", accuracy=0.113)]
    assert conditions.test_accuracies(runs).tolist() == [0.9, 0.1, 0.113]
    assert conditions.test_accuracies([]).shape == (0,)


def test_arrays_are_by_seed_and_rate() -> None:
    made = condition(spec(), [valley(-2, breaks_from=2)] * 2)
    assert made.losses.shape == made.broken.shape == (2, len(RATES))
    assert (made.broken == [[rate >= 2 for rate in RATES]] * 2).all()
    assert (np.isnan(made.losses) == made.broken).all()
    untuned = condition(spec(), accuracies=[0.9])
    assert untuned.losses.shape == untuned.broken.shape == (0, 0)


def test_conditions_by_label_keep_their_order() -> None:
    some = [condition(spec(), labels={"budget": label}, accuracies=[0.9]) for label in ("b", "a", "b")]
    assert {name: len(same) for name, same in by_label(some, "budget").items()} == {"b": 2, "a": 1}
    assert list(by_label(some, "budget")) == ["b", "a"]
    assert list(by_label([condition(spec(), accuracies=[0.9])], "budget")) == ["this budget"]


def test_runs_are_counted_once() -> None:
    made = condition(spec(), [valley(-2)] * 3, [0.9, 0.8], also={0.01: [0.5, 0.6]})
    assert run_count([made, made]) == 3 * len(RATES) + 2 + 2
    assert seeds_in_words([made]) == "rates tuned on 3 seeds, reported on 2 fresh ones"
    assert seeds_in_words([condition(spec(), accuracies=[0.9])]) == "1 seed"


def test_quick_verdicts_are_called_so() -> None:
    assert about("quick").say("So it is.") == "Quick look: So it is."
    assert about("full").say("So it is.") == "So it is."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1.00"),
        (0.7546, "0.755"),
        (-0.0744, "-0.0744"),
        (123.4, "123"),
        (999.7, "1,000"),
        (12_345.6, "12,346"),
        (0, "0"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_three_figures(value: float, text: str) -> None:
    assert three_figures(value) == text


def test_an_estimate_says_its_interval() -> None:
    assert str(Estimate(1, 0.75, 1.25)) == "1.00 (95 % interval 0.750 to 1.25)"
    assert str(Estimate(0.5)) == "0.500"
    assert str(Estimate(75, 0, math.inf)) == "75.0 (95 % interval 0 to ∞)"


def test_a_verdict_needs_the_corrected_p_value_too() -> None:
    apart = Estimate(0.5, 0.1, 0.9)
    assert judge_corrected(apart, 0.04) == "better"
    assert judge_corrected(apart, 0.06) == judge_corrected(apart, NAN) == "not resolved"
    assert judge_corrected(Estimate(-0.5, -0.9, -0.1), 0.04) == "worse"
    assert judge_corrected(Estimate(0.1, 0.05, 0.15), 0.9) == "practically equal"
    assert correction_in_words(apart, 0.06) == ", but p = 0.06 after Holm's correction"
    assert correction_in_words(apart, 0.04) == correction_in_words(Estimate(0.1, -1, 1), 0.9) == ""


def test_words_for_numbers() -> None:
    assert points_in_words(Estimate(0.456, 0.1, 0.9)) == "+0.46 points, 95 % interval +0.10 to +0.90"
    assert points_in_words(Estimate(-1.0)) == "-1.00 points, no interval"
    assert percent(0.9876) == "98.8 %"
    assert [is_resolved(Estimate(1, low, 2)) for low in (0.1, 0, -1, NAN)] == [True, False, False, False]


def test_reports_are_of_seeds_of_their_own() -> None:
    assert len({report.key for report in reports(spec(), [0.9] * 3)}) == 3
