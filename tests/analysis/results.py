"""Results that no network made: runs and conditions of which the truth is known."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from digitlab.analysis.conditions import About, Condition
from digitlab.analysis.statistics.choice import choose
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
FRESH = 1_000
"""The first seed of reports."""


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
        **dict.fromkeys(("training_set_accuracy", "validation_accuracy", "test_accuracy"), number),
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
    """Runs of fresh seeds, one an accuracy."""
    return tuple(
        run(base_spec, FRESH + i, rate, accuracy=value, **metrics) for i, value in enumerate(accuracies)
    )


def valley(bottom: float, breaks_from: float = math.inf) -> Callable[[RunSpec, int, float], RunResult]:
    """Runs whose validation loss is quadratic in log2 rate, the same for each seed.

    bottom:      log2 of the best rate
    breaks_from: the least rate at which they collapse; at four times this they diverge
    """

    def made(base_spec: RunSpec, seed: int, rate: float) -> RunResult:
        outcome = "completed"
        if rate >= breaks_from:
            outcome = "diverged" if rate >= 4 * breaks_from else "collapsed"
        return run(base_spec, seed, rate, loss=0.1 + 0.01 * (math.log2(rate) - bottom) ** 2, outcome=outcome)

    return made


def condition(
    base_spec: RunSpec,
    made: Sequence[Callable[[RunSpec, int, float], RunResult]] = (),
    accuracies: Sequence[float] = (),
    *,
    rates: Sequence[float] = RATES,
    also: Mapping[float, Sequence[float]] | None = None,
    labels: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
    is_best: bool = False,
) -> Condition:
    """A condition as a study's progress makes it.

    made:       what runs a tuning seed gives, [seed]; none where nothing is tuned
    accuracies: of fresh seeds at the chosen rate; not reported where every rate broke
    also:       accuracies of fresh seeds at other rates
    """
    tunings = tuple(
        tuple(make_run(base_spec, seed, rate) for rate in rates) for seed, make_run in enumerate(made)
    )
    blank = Condition(
        labels or {}, groups or {}, is_best, tuple(rates) if made else (), tunings, None, (), {}
    )
    index = choose(blank.losses) if made else None
    best_rate = None if index is None else rates[index]
    is_reported = best_rate is not None or not made
    return Condition(
        blank.labels,
        blank.groups,
        is_best,
        blank.rates,
        tunings,
        best_rate,
        reports(base_spec, accuracies, best_rate or 0.1) if is_reported else (),
        {rate: reports(base_spec, values, rate) for rate, values in (also or {}).items()},
    )


def noisy(centre: float, sd: float, seeds: int, stream: np.random.Generator) -> list[float]:
    """Values that scatter about a centre."""
    return [float(value) for value in centre + sd * stream.standard_normal(seeds)]
