"""Steps to a target: by hand, and from curves whose critical batch size is known."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from digitlab.analysis.conditions import Condition
from digitlab.analysis.findings import Lines
from digitlab.analysis.studies.steps import StepsToTarget, fewest_steps, steps_of, steps_to_target
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from tests.analysis.results import condition, run, spec

LEAST, CRITICAL = 100.0, 200.0
TARGET = 0.9


def curve(steps: Sequence[int], accuracies: Sequence[float]) -> dict[str, Sequence[float]]:
    ones = [1.0] * len(steps)
    return {"step": steps, "training_loss": ones, "validation_loss": ones, "validation_accuracy": accuracies}


def reaching(steps: float) -> Callable[[RunSpec, int, float], RunResult]:
    """Runs that reach 0.9 after about so many steps at rate 0.1, later at others; infinity: never."""

    def made(base_spec: RunSpec, seed: int, rate: float) -> RunResult:
        at = steps * (1 + abs(math.log10(rate / 0.1)))
        points = curve([10], [0.3]) if math.isinf(at) else curve([10, round(at)], [0.3, TARGET])
        return run(base_spec, seed, rate, curve=points)

    return made


def grid(sizes: Sequence[int], seeds: Sequence[float] = (1.0, 1.02, 0.98)) -> list[Condition]:
    return [
        condition(
            spec(batch_size=size),
            [reaching(100 * factor * LEAST * (1 + CRITICAL / size)) for factor in seeds],
            rates=(0.01, 0.1, 1.0),
        )
        for size in sizes
    ]


def test_steps_are_interpolated_in_the_logarithm() -> None:
    # Half-way between 0.6 and 0.8, so half-way between log 10 and log 1,000.
    assert steps_of(run(spec(), curve=curve([10, 1_000], [0.6, 0.8])), 0.7) == pytest.approx(100)
    # A quarter of the way from 100 to 1,600 is 2 times, on the way up only.
    rising = run(spec(), curve=curve([50, 100, 1_600, 3_200], [0.1, 0.4, 0.8, 0.2]))
    assert steps_of(rising, 0.5) == pytest.approx(200)
    assert steps_of(rising, 0.8) == pytest.approx(1_600)


def test_a_target_at_the_first_point_or_never() -> None:
    result = run(spec(), curve=curve([10, 20], [0.6, 0.7]))
    assert steps_of(result, 0.5) == 10
    assert steps_of(result, 0.75) == math.inf
    assert steps_of(run(spec(), curve={"step": [10], "training_loss": [1.0]}), 0.5) == math.inf
    assert steps_of(run(spec(), curve=curve([10], [math.nan]), outcome="diverged"), 0.5) == math.inf


def test_the_rate_of_the_fewest_steps_counts_of_those_at_which_every_seed_gets_there() -> None:
    # At rate 0.1 the second seed misses the target.
    def made(fast: float, slow: float) -> Callable[[RunSpec, int, float], RunResult]:
        return lambda base_spec, seed, rate: reaching(fast if rate == 0.1 else slow)(base_spec, seed, 0.1)

    some = condition(spec(batch_size=8), [made(40, 400), made(math.inf, 800)], rates=(0.1, 1.0))
    assert {size: list(steps) for size, steps in fewest_steps([some], TARGET).items()} == {
        8: pytest.approx(np.log2([400, 800]))
    }
    never = condition(spec(batch_size=16), [reaching(math.inf)] * 2, rates=(0.1, 1.0))
    assert list(fewest_steps([never, some], TARGET)) == [8]


def test_every_budget_counts() -> None:
    long, short = (
        condition(spec(batch_size=8, budget={"steps": steps}), [reaching(takes)], rates=(0.1,))
        for steps, takes in ((600, 500), (1_000, 300))
    )
    assert fewest_steps([long, short], TARGET)[8] == pytest.approx(np.log2([300]))


def test_the_critical_batch_size_lies_in_its_interval() -> None:
    sizes = (8, 32, 128, 512, 2048)
    found = steps_to_target(TARGET, grid(sizes))
    (finding,) = found.findings
    assert finding.estimate.low <= CRITICAL <= finding.estimate.high
    assert finding.estimate.value == pytest.approx(CRITICAL, rel=0.01)
    assert (finding.n, finding.n_of, finding.unit) == (3, "seeds", "examples")
    saved = (1 + CRITICAL / 8) / (1 + CRITICAL / 2048)
    assert f"the steps to 90 % validation accuracy are divided by {saved:.1f}" in finding.verdict
    assert f"multiplied by {256 / saved:.1f}" in finding.verdict
    (picture,), (table,) = found.pictures, found.tables
    assert isinstance(picture, Lines)
    measured, fitted, perfect = picture.lines
    assert [(point.y, point.low, point.high) for point in measured.points] == [row[1:4] for row in table.rows]
    assert [point.y for point in perfect.points] == [row[5] for row in table.rows]
    assert [point.y for point in fitted.points] == pytest.approx(
        [point.y for point in measured.points], rel=0.01
    )
    assert [row[4] for row in table.rows] == [
        size * point.y for size, point in zip(sizes, measured.points, strict=True)
    ]


def test_a_critical_batch_size_beyond_all_batches_is_not_made_exact() -> None:
    # Perfect scaling: half the steps at twice the batch size.
    conditions = [
        condition(
            spec(batch_size=size), [reaching(80_000 * seed / size) for seed in (1.0, 1.1, 0.9)], rates=(0.1,)
        )
        for size in (8, 16, 32)
    ]
    (finding,) = steps_to_target(TARGET, conditions).findings
    assert finding.estimate.high > 32 or not finding.estimate.has_interval


def test_the_target_is_written_in_full() -> None:
    (finding,) = steps_to_target(0.875, grid((8, 16, 32))).findings
    assert "87.5 % validation accuracy" in finding.verdict


def test_without_target_or_enough_batch_sizes_there_is_nothing_to_say() -> None:
    nothing = steps_to_target(None, grid((8, 16, 32)))
    assert nothing == StepsToTarget()
    assert steps_to_target(TARGET, grid((8, 16))) == nothing
    assert steps_to_target(0.95, grid((8, 16, 32))) == nothing
    assert steps_to_target(TARGET, [condition(spec(), accuracies=[0.9])]) == nothing


def test_one_seed_gives_no_interval() -> None:
    (finding,) = steps_to_target(TARGET, grid((8, 32, 128, 512), seeds=(1.0,))).findings
    assert not finding.estimate.has_interval
    assert finding.verdict.endswith("these batch sizes and seeds do not show it more precisely.")
