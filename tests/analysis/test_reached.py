"""What a condition reaches, against plain loops; and that intervals stay where accuracies can be."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from digitlab.analysis import conditions
from digitlab.analysis.conditions import Condition
from digitlab.analysis.reached import best_rate, bottom, estimate, loss_estimate, reached
from digitlab.analysis.summary import accuracy, accuracy_of, differences, tuning_gain
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from tests.analysis.results import Make, condition, run, spec, valley

BOTTOMS = (-2.3, -1.8, -2.2, -2.6, -1.9, -2.4)


def sloping(bottom_at: float, level: float = 0.9) -> Make:
    """A valley of the loss on a slope of the accuracy: the choice of the rate moves what is reached."""

    def made(base_spec: RunSpec, seed: int, rate: float) -> RunResult:
        place = math.log2(rate)
        loss = 0.1 * math.exp(0.1 * (place - bottom_at) ** 2)
        return run(base_spec, seed, rate, loss=loss, accuracy=level + 0.01 * place)

    return made


def some() -> Condition:
    return condition(spec(), [sloping(place, 0.9 + 0.002 * i) for i, place in enumerate(BOTTOMS)])


def by_hand(made: Condition, seeds: list[int]) -> float:
    """Mean accuracy at the vertex of the parabola through the mean log losses of these seeds."""
    x = np.log2(made.near)
    losses = [
        np.mean([math.log(runs[i].metrics.validation_loss or 0) for i in seeds]) for runs in made.judged
    ]
    a, b, _ = np.polyfit(x, losses, 2)
    measured = [np.mean([runs[i].metrics.test_accuracy for i in seeds]) for runs in made.reported]
    return float(np.interp(-b / (2 * a), x, measured))


def test_the_accuracy_is_read_off_at_the_bottom_and_its_error_holds_the_choice() -> None:
    made, n = some(), len(BOTTOMS)
    everyone = list(range(n))
    whole = by_hand(made, everyone)
    without = np.array([by_hand(made, [i for i in everyone if i != left]) for left in everyone])
    error = math.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    found = reached(made)
    assert found.mean() == pytest.approx(whole)
    assert found.std(ddof=1) / math.sqrt(n) == pytest.approx(error)
    reach = stats.t.ppf(0.975, n - 1) * error
    on_shares = accuracy(made)
    assert on_shares.value == pytest.approx(whole)
    assert (on_shares.low, on_shares.high) == pytest.approx((whole - reach, whole + reach), abs=1e-4)
    assert best_rate(made) == pytest.approx(2 ** np.mean(BOTTOMS))
    assert bottom(made).weights.sum() == pytest.approx(1)


def test_differences_and_gains_are_paired() -> None:
    one, other = some(), condition(spec(hidden=(30,)), [sloping(place, 0.95) for place in BOTTOMS])
    assert differences(one, other) == pytest.approx(100 * (reached(one) - reached(other)))
    fixed = one.reported[0]
    gain, expected = tuning_gain(one, fixed), 100 * (reached(one) - conditions.test_accuracies(fixed))
    ends = stats.t.interval(0.95, len(expected) - 1, expected.mean(), stats.sem(expected))
    assert (gain.value, gain.low, gain.high) == pytest.approx((expected.mean(), *ends))


def test_what_was_not_tuned_is_what_was_measured() -> None:
    plain = condition(spec(), accuracies=[0.8, 0.9, 0.7])
    assert reached(plain) == pytest.approx([0.8, 0.9, 0.7])
    assert best_rate(plain) == pytest.approx(0.1)
    assert accuracy(plain) == accuracy_of(plain.reports)


def test_where_all_broke_nothing_is_reached() -> None:
    broken = condition(spec(), [valley(-2, breaks_from=0.001)] * 3)
    assert reached(broken).shape == (0,)
    assert math.isnan(best_rate(broken))
    assert math.isnan(accuracy(broken).value)
    assert math.isnan(accuracy_of(()).value)


def test_a_neighbour_that_diverged_leaves_no_hole() -> None:
    made = condition(spec(), [valley(-2.4, breaks_from=0.125)] * 3)
    assert made.near[-1] == 0.125
    broken = tuple(run(spec(), seed, 0.125, outcome="diverged", loss=math.nan) for seed in range(3))
    holed = replace(made, reported=(*made.reported[:-1], broken))
    for metric in (conditions.test_loss, conditions.training_set_loss):
        assert loss_estimate(holed, metric).has_interval
    assert estimate(holed, conditions.training_set_accuracy).has_interval


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(-3, 0))
def test_no_interval_leaves_0_to_1(accuracies: list[float], place: float) -> None:
    found = accuracy(condition(spec(), [valley(place)] * len(accuracies), accuracies))
    assert 0 <= found.low <= found.value <= found.high <= 1
