"""What analyses read, and the words that they share."""

import math
from collections.abc import Sequence

import pytest

from digitlab.analysis import conditions
from digitlab.analysis.conditions import by_label, run_count, seeds_in_words, validation_losses
from digitlab.analysis.findings import Estimate, three_figures
from digitlab.analysis.summary import (
    bound_in_words,
    compared_in_words,
    is_resolved,
    percent,
    points_in_words,
)
from tests.analysis.results import RATES, condition, run, spec, valley

NAN, GUESS = math.nan, math.log(10)
CURVE: dict[str, Sequence[float]] = {
    "step": [10, 20, 30],
    "training_loss": [1.0, 0.5, 0.2],
    "validation_loss": [0.9, 0.4, 0.6],
    "validation_accuracy": [0.7, 0.9, 0.8],
}


def test_a_run_is_judged_by_the_last_or_the_best_of_its_curve() -> None:
    runs = [[run(spec(), curve=CURVE), run(spec(), curve=CURVE, outcome="collapsed"), run(spec(), loss=0.3)]]
    assert validation_losses(runs, best=False).ravel() == pytest.approx([0.6, GUESS, 0.3])
    assert validation_losses(runs, best=True).ravel() == pytest.approx([0.4, GUESS, 0.3])


def test_a_run_without_validation_counts_as_a_guess_and_no_loss_is_0() -> None:
    bare = run(spec(), curve={"step": [10], "training_loss": [1.0]})
    assert validation_losses([[bare, run(spec(), loss=0.0)]], best=True).ravel() == pytest.approx(
        [GUESS, 1e-12]
    )


def test_a_diverged_network_guesses_and_a_collapsed_one_is_as_it_is() -> None:
    runs = [run(spec()), run(spec(), outcome="diverged"), run(spec(), outcome="collapsed", accuracy=0.113)]
    assert conditions.test_accuracies(runs).tolist() == [0.9, 0.1, 0.113]
    assert [conditions.training_set_accuracy(one) for one in runs] == [0.9, 0.1, 0.113]
    assert [conditions.validation_accuracy(one) for one in runs] == [0.9, 0.1, 0.113]
    broken = run(spec(), outcome="diverged", loss=NAN)
    for loss in (conditions.test_loss, conditions.training_set_loss):
        assert (loss(runs[0]), loss(broken)) == (0.1, GUESS)
    assert conditions.test_accuracies([]).shape == (0,)


def test_arrays_are_by_seed_and_rate() -> None:
    made = condition(spec(), [valley(0.7, breaks_from=2)] * 4)
    assert list(made.near) == [0.5, 1, 2]
    assert list(made.losses.shape) == [4, 3]
    assert (made.losses[:, 2] == GUESS).all()
    assert [len(runs) for runs in made.trials] == [2] * 6 + [4] * 3 + [2] * 2
    untuned = condition(spec(), accuracies=[0.9])
    assert list(untuned.near) == [0.1]
    assert list(untuned.losses.shape) == [1, 1]
    assert not untuned.is_tuned


def test_the_best_of_the_rates_is_chosen_and_its_runs_are_reported() -> None:
    made = condition(spec(), [valley(-2)] * 3, [0.7, 0.8, 0.9], also={0.01: [0.5, 0.6, 0.7]})
    assert made.chosen == 0.25
    assert conditions.test_accuracies(made.reports).tolist() == [0.7, 0.8, 0.9]
    assert conditions.test_accuracies(made.at(0.01)).tolist() == [0.5, 0.6, 0.7]
    assert made.at(0.25) == ()  # reported besides only where that was asked for
    untuned = condition(spec(), accuracies=[0.9])
    assert (untuned.chosen, untuned.at(0.1), untuned.at(0.2)) == (0.1, untuned.reports, ())


def test_where_most_networks_break_at_every_rate_none_is_chosen() -> None:
    broken = condition(spec(), [valley(-2, breaks_from=0.001)] * 3)
    assert (broken.chosen, broken.reports) == (None, ())
    half = condition(spec(), [valley(-2), valley(-2), valley(-2, 0.001), valley(-2, 0.001)])
    assert half.chosen == 0.25


def test_conditions_by_label_keep_their_order() -> None:
    some = [condition(spec(), labels={"budget": label}, accuracies=[0.9]) for label in ("b", "a", "b")]
    assert {name: len(same) for name, same in by_label(some, "budget").items()} == {"b": 2, "a": 1}
    assert list(by_label(some, "budget")) == ["b", "a"]
    assert list(by_label([condition(spec(), accuracies=[0.9])], "budget")) == ["this budget"]


def test_runs_are_counted_once() -> None:
    made = condition(spec(), [valley(-2)] * 3, also={0.01: [0.5, 0.6, 0.7]})
    assert run_count([made, made]) == 2 * len(RATES) + 3 + 3
    assert seeds_in_words([made]) == "3 seeds, each at the learning rates around the best"
    assert seeds_in_words([condition(spec(), accuracies=[0.9])]) == "1 seed"


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
    assert str(Estimate(1, 0.75, 1.25)) == "1.00 (95 % interval 0.75 to 1.25)"
    assert str(Estimate(-0.1025, -0.1769, -0.02804)) == "-0.102 (95 % interval -0.177 to -0.028)"
    assert str(Estimate(1005.9, 106.3, 9516.8)) == "1,006 (95 % interval 106 to 9,517)"
    assert str(Estimate(2, 2, 2)) == "2.00 (95 % interval 2.00 to 2.00)"
    assert str(Estimate(0.5)) == "0.500"
    assert str(Estimate(75, 0, math.inf)) == "75.0 (95 % interval 0 to ∞)"


def test_words_for_numbers() -> None:
    assert points_in_words(Estimate(0.456, 0.1, 0.9)) == "+0.46 points, 95 % interval +0.10 to +0.90"
    assert points_in_words(Estimate(-1.0)) == "-1.00 points, no interval"
    assert percent(0.9876) == "98.8 %"
    assert [is_resolved(Estimate(1, low, 2)) for low in (0.1, 0, -1, NAN)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("low", "high", "bound"),
    [(-0.05, 0.31, "0.4"), (-0.31, 0.05, "0.4"), (-0.1, 0.3, "0.3"), (-0.001, 0.0, "0.1"), (0.0, 0.0, "0.0")],
)
def test_bounds_are_rounded_up(low: float, high: float, bound: str) -> None:
    assert bound_in_words(Estimate((low + high) / 2, low, high)) == f"they differ by at most {bound} points"


def test_one_seed_gives_no_bound() -> None:
    assert bound_in_words(Estimate(0.3)) == "how much they differ is not known from one seed"


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (Estimate(1, 0.5, 1.5), "A is better than B: +1.00 points, 95 % interval +0.50 to +1.50."),
        (Estimate(-1, -1.5, -0.5), "A is worse than B: -1.00 points, 95 % interval -1.50 to -0.50."),
        (
            Estimate(0.02, -0.1, 0.14),
            "A is practically equal to B: they differ by at most 0.2 points (+0.02 points, 95 % interval "
            "-0.10 to +0.14).",
        ),
        (
            Estimate(0.2, -0.1, 0.5),
            "A shows no clear difference from B: they differ by at most 0.5 points (+0.20 points, 95 % "
            "interval -0.10 to +0.50).",
        ),
        (
            Estimate(0.2),
            "A shows no clear difference from B: how much they differ is not known from one seed (+0.20 "
            "points, no interval).",
        ),
    ],
)
def test_no_more_is_said_of_a_difference_than_it_allows(points: Estimate, sentence: str) -> None:
    assert compared_in_words("A", "B", points) == sentence
