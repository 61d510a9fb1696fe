"""Results that no network made: runs and conditions of which the truth is known."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from digitlab.analysis.conditions import About, Condition
from digitlab.result import RunResult
from digitlab.spec import DataSpec, RunSpec

DATA = DataSpec(name="mnist", sha256="ab" * 32, train_images=60_000, classes=10)
PROVENANCE = {
    "engine": "lockstep",
    "device": "cpu",
    "processor": "a processor",
    "threads": 1,
    "versions": {"digitlab": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6"},
    "platform": "Linux",
    "host": "a host",
    "seconds": 1.0,
    "finished": "2026-01-01T00:00:00+00:00",
}
RATES = tuple(2.0**k for k in range(-7, 4))
Make = Callable[[RunSpec, int, float], RunResult]
"""A run of a spec at a seed and a rate."""
ACCURACIES = ("training_set_accuracy", "validation_accuracy", "test_accuracy")
SCOUTS = 2
"""Seeds that the whole range is tried on."""


def about(scale: str = "full", **fields: Any) -> About:
    return About("a-study", "A study", "What is the truth?", scale, **fields)


def spec(**fields: Any) -> RunSpec:
    return RunSpec.model_validate({"data": DATA, "validation_size": 10_000, "hidden": (100,), **fields})


def run(
    base_spec: RunSpec,
    seed: int = 0,
    rate: float = 0.1,
    *,
    loss: float = 0.1,
    accuracy: float = 0.9,
    outcome: str = "completed",
    curve: Mapping[str, Sequence[float]] | None = None,
    **metrics: Any,
) -> RunResult:
    """A run of the spec at another seed and rate.

    loss:     on validation images
    accuracy: on all images; NaN where it diverged, as engines say it
    """
    number = math.nan if outcome == "diverged" else accuracy
    document = {**base_spec.model_dump(), "seed": seed, "optimiser": {"kind": "sgd", "learning_rate": rate}}
    numbers = {
        **dict.fromkeys(ACCURACIES, number),
        **dict.fromkeys(("training_loss", "training_set_loss", "validation_loss", "test_loss"), loss),
        "first_batch_loss": 2.3,
        "peak_batch_loss": 2.4,
        "steps": 100,
        **metrics,
    }
    points = {
        "step": [100],
        "training_loss": [loss],
        "validation_loss": [loss],
        "validation_accuracy": [number],
    }
    return RunResult.of(
        RunSpec.model_validate(document),
        outcome=outcome,
        curve=points if curve is None else curve,
        metrics=numbers,
        provenance=PROVENANCE,
    )


def reports(
    base_spec: RunSpec, accuracies: Sequence[float], rate: float = 0.1, **metrics: Any
) -> tuple[RunResult, ...]:
    """Runs of one rate, one seed an accuracy."""
    return tuple(run(base_spec, i, rate, accuracy=value, **metrics) for i, value in enumerate(accuracies))


def valley(bottom: float, breaks_from: float = math.inf) -> Make:
    """Runs whose log validation loss is quadratic in log2 rate, the same for each seed.

    bottom:      log2 of the best rate
    breaks_from: the least rate at which they collapse; at four times this they diverge
    """

    def made(base_spec: RunSpec, seed: int, rate: float) -> RunResult:
        outcome = "completed"
        if rate >= breaks_from:
            outcome = "diverged" if rate >= 4 * breaks_from else "collapsed"
        loss = 0.1 * math.exp(0.1 * (math.log2(rate) - bottom) ** 2)
        return run(base_spec, seed, rate, loss=loss, outcome=outcome)

    return made


def condition(
    base_spec: RunSpec,
    made: Sequence[Make] = (),
    accuracies: Sequence[float] = (),
    *,
    rates: Sequence[float] = RATES,
    also: Mapping[float, Sequence[float]] | None = None,
    labels: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
    is_best: bool = False,
) -> Condition:
    """A condition as a study has it: all seeds at the best of the rates and its neighbours, the first two at
    the others.

    made:       what runs each seed gives, [seed]; one for all; none where nothing is tuned
    accuracies: of the seeds, at every rate at which they complete; as they were made where there are none
    also:       accuracies of the seeds at other rates
    """
    count = len(accuracies) or len(made)
    beside = {rate: reports(base_spec, values, rate) for rate, values in (also or {}).items()}
    if not made:
        runs = (reports(base_spec, accuracies),)
        return Condition(labels or {}, groups or {}, is_best, (), (), (0.1,), runs, runs, beside)

    def result(seed: int, rate: float) -> RunResult:
        found = made[seed if len(made) > 1 else 0](base_spec, seed, rate)
        if not accuracies or found.outcome != "completed":
            return found
        metrics = found.metrics.model_copy(update=dict.fromkeys(ACCURACIES, accuracies[seed]))
        return found.model_copy(update={"metrics": metrics})

    grid = [[result(seed, rate) for seed in range(count)] for rate in rates]
    losses = [np.mean(np.log([_loss(run, best=is_best) for run in runs])) for runs in grid]
    at = int(np.argmin(losses))
    near = range(max(at - 1, 0), min(at + 2, len(rates)))
    around = tuple(tuple(grid[i]) for i in near)
    return Condition(
        labels or {},
        groups or {},
        is_best,
        tuple(rates),
        tuple(tuple(runs if i in near else runs[:SCOUTS]) for i, runs in enumerate(grid)),
        tuple(rates[i] for i in near),
        around,
        around,
        beside,
    )


def _loss(result: RunResult, *, best: bool) -> float:
    """What a run is judged by; that of a guess where it broke."""
    if result.outcome != "completed":
        return math.log(10)
    return min(result.curve.validation_loss) if best else result.curve.validation_loss[-1]


def noisy(centre: float, sd: float, seeds: int, stream: np.random.Generator) -> list[float]:
    """Values that scatter about a centre."""
    return [float(value) for value in centre + sd * stream.standard_normal(seeds)]
