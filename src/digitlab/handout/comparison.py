"""The exercise's handout: the figures it prints, and where they lie in the spread between seeds.

The handout shows one run of each network, of an unknown seed. It is reproduced when each of its figures
lies where the runs of many seeds lie.
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from digitlab.result import RunResult

EPOCHS = 15
"""The handout trains for so many."""

Z_LIMIT = 4.0
"""A figure within so many standard deviations of the mean over seeds lies inside the spread."""

SEEDS_FOR_SPREAD = 5
"""With fewer seeds of one's own, the spread that was measured beforehand is used."""


@dataclass(frozen=True)
class HandoutRun:
    """What the handout prints for one network: a training loss for each epoch, and the test accuracy."""

    name: str
    hidden: tuple[int, ...]
    training_loss: tuple[float, ...]
    accuracy: float


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of one figure over runs that differ in their seed alone."""

    mean: float
    sd: float
    seeds: int

    def z(self, value: float) -> float:
        """How many standard deviations a value lies from the mean."""
        if self.sd == 0:
            return 0.0 if value == self.mean else math.copysign(math.inf, value - self.mean)
        return (value - self.mean) / self.sd


@dataclass(frozen=True)
class Figure:
    """One figure of the handout beside ours.

    label:  `loss at epoch 3`, `test accuracy`
    ours:   of each seed, [seed]
    spread: over our seeds, or the one measured beforehand when they are few
    """

    label: str
    handout: float
    ours: tuple[float, ...]
    spread: Spread

    @property
    def z(self) -> float:
        """Where the handout's figure lies in the spread."""
        return self.spread.z(self.handout)

    @property
    def z_of_ours(self) -> tuple[float, ...]:
        """Where ours lie in the spread, [seed]."""
        return tuple(self.spread.z(value) for value in self.ours)

    @property
    def is_inside(self) -> bool:
        """Whether the handout's figure lies inside the spread, and ours too when others made the spread."""
        judged = [self.z] if len(self.ours) == self.spread.seeds else [self.z, *self.z_of_ours]
        return all(abs(z) <= Z_LIMIT for z in judged)


def _read(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


def handout_runs() -> tuple[HandoutRun, ...]:
    """The handout's three runs."""
    return tuple(
        HandoutRun(run["name"], tuple(run["hidden"]), tuple(run["training_loss"]), run["accuracy"])
        for run in _read("handout.json")["runs"]
    )


def figures_of(training_loss: Sequence[float], accuracy: float) -> dict[str, float]:
    """The figures of one run by their labels: a loss for each epoch, and the accuracy after 15 of them."""
    figures = {f"loss at epoch {epoch}": loss for epoch, loss in enumerate(training_loss)}
    return figures | ({"test accuracy": accuracy} if len(training_loss) == EPOCHS else {})


def spread_of(values: Sequence[float]) -> Spread:
    """The spread of one figure over seeds, [seed]; at least two."""
    return Spread(statistics.mean(values), statistics.stdev(values), len(values))


def measured_spread(name: str) -> dict[str, Spread]:
    """The spread of each figure of a network as `benchmarks/seed_spread.py` measured it."""
    measured = _read("seed_spread.json")
    figures = measured["networks"][name]
    return {
        label: Spread(figure["mean"], figure["sd"], measured["seeds"]) for label, figure in figures.items()
    }


def compare(run: HandoutRun, results: Sequence[RunResult]) -> tuple[Figure, ...]:
    """Each figure that handout and results share, beside its spread.

    results: of the handout's recipe with this network, an epoch a point of the curve, [seed]
    """
    theirs = figures_of(run.training_loss, run.accuracy)
    ours = [figures_of(result.curve.training_loss, result.metrics.test_accuracy) for result in results]
    few = len(results) < SEEDS_FOR_SPREAD
    before = measured_spread(run.name) if few else {}
    figures = []
    for label in [label for label in theirs if label in ours[0]]:
        values = tuple(mine[label] for mine in ours)
        figures.append(Figure(label, theirs[label], values, before[label] if few else spread_of(values)))
    return tuple(figures)
