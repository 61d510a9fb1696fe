"""Conditions: a study's results, sorted as analyses read them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.findings import State
from digitlab.analysis.statistics.choice import choose
from digitlab.data.writers import Writers
from digitlab.result import RunResult
from digitlab.spec import RunSpec

_LEAST_LOSS = 1e-12
"""A loss of 0 has no logarithm; a few validation images that are all but certain have it."""


@dataclass(frozen=True)
class Condition:
    """What was found where everything but seed and learning rate is the same.

    labels, groups: by axis
    is_best:        a run is judged by the best validation loss of its curve, not by its last
    rates:          that were tried, rising, [rate]; empty where nothing was tuned
    trials:         runs at each of them, of the same first seeds; fewer seeds far from the best, [rate][seed]
    near:           rates that all seeds were trained at: those around the best, rising, [near]; the one rate
                    that there is where nothing was tuned
    judged:         runs of all seeds at these, by whose validation loss the best is chosen, [near][seed]
    reported:       the networks whose accuracy counts, [near][seed]: the same runs, or where `is_best` the
                    early-stopped ones
    also:           such networks at other rates, by rate, [seed]
    """

    labels: Mapping[str, str]
    groups: Mapping[str, str]
    is_best: bool
    rates: tuple[float, ...]
    trials: tuple[tuple[RunResult, ...], ...]
    near: tuple[float, ...]
    judged: tuple[tuple[RunResult, ...], ...]
    reported: tuple[tuple[RunResult, ...], ...]
    also: Mapping[float, tuple[RunResult, ...]]

    @property
    def runs(self) -> Iterator[RunResult]:
        """All of them; conditions may share runs, and one run may come twice."""
        for group in (*self.trials, *self.judged, *self.reported, *self.also.values()):
            yield from group

    @property
    def is_tuned(self) -> bool:
        """Whether a learning rate was chosen."""
        return bool(self.rates)

    @cached_property
    def losses(self) -> Float64[np.ndarray, "seed near"]:
        """Validation losses that the rate is chosen by."""
        return validation_losses(self.judged, best=self.is_best)

    @cached_property
    def _best(self) -> int | None:
        best = choose(self.losses) if self.is_tuned else 0
        return None if self.is_tuned and most_broke(self.judged[best]) else best

    @property
    def chosen(self) -> float | None:
        """The best of the rates that were tried; None where most networks broke even there."""
        return None if self._best is None else self.near[self._best]

    @property
    def reports(self) -> tuple[RunResult, ...]:
        """Networks of all seeds at the chosen rate, [seed]; none where there is no such rate."""
        return () if self._best is None else self.reported[self._best]

    def at(self, rate: float) -> tuple[RunResult, ...]:
        """Networks of all seeds at a rate that is reported besides, or that is the only one; else none."""
        if not self.is_tuned and rate in self.near:
            return self.reports
        return self.also.get(rate, ())


def most_broke(runs: Sequence[RunResult]) -> bool:
    """Whether more than half of the networks diverged or collapsed."""
    return 2 * sum(run.outcome != "completed" for run in runs) > len(runs)


def how_broken(runs: Sequence[RunResult]) -> State:
    """What became of most of those that broke."""
    diverged, collapsed = (sum(run.outcome == kind for run in runs) for kind in ("diverged", "collapsed"))
    return "diverged" if diverged >= collapsed else "collapsed"


def validation_losses(runs: Sequence[Sequence[RunResult]], *, best: bool) -> Float64[np.ndarray, "seed rate"]:
    """The validation loss that each run is judged by, more than 0; that of a guess where it diverged or
    collapsed.

    runs: [rate][seed]
    best: the best of its curve, instead of the last; it is also that of a run with patience
    """

    def loss(run: RunResult) -> float:
        if run.outcome != "completed" or not run.curve.validation_loss:
            return _guessed_loss(run)
        is_lowest = best or run.spec.patience > 0
        losses = run.curve.validation_loss
        return max(min(losses) if is_lowest else losses[-1], _LEAST_LOSS)

    return np.array([[loss(run) for run in same] for same in runs], np.float64).T


def test_accuracy(run: RunResult) -> float:
    """Share of the test images that are classified rightly; a diverged network guesses."""
    return run.metrics.test_accuracy if run.outcome != "diverged" else _guessed_accuracy(run)


def test_loss(run: RunResult) -> float:
    """Mean cross-entropy on the test images; a diverged network guesses."""
    return run.metrics.test_loss if run.outcome != "diverged" else _guessed_loss(run)


def training_set_accuracy(run: RunResult) -> float:
    """Share of the images trained on that are classified rightly; a diverged network guesses."""
    return run.metrics.training_set_accuracy if run.outcome != "diverged" else _guessed_accuracy(run)


def training_set_loss(run: RunResult) -> float:
    """Mean cross-entropy on the images trained on; a diverged network guesses."""
    return run.metrics.training_set_loss if run.outcome != "diverged" else _guessed_loss(run)


def test_accuracies(runs: Sequence[RunResult]) -> Float64[np.ndarray, "seed"]:
    """Test accuracy of each run; a diverged network guesses."""
    return np.array(list(map(test_accuracy, runs)), dtype=np.float64)


def validation_accuracy(run: RunResult) -> float:
    """Share of the validation images that are classified rightly; a diverged network guesses."""
    if run.outcome == "diverged" or run.metrics.validation_accuracy is None:
        return _guessed_accuracy(run)
    return run.metrics.validation_accuracy


def _guessed_accuracy(run: RunResult) -> float:
    return 1 / run.spec.data.classes


def _guessed_loss(run: RunResult) -> float:
    return math.log(run.spec.data.classes)


@dataclass(frozen=True)
class About:
    """What an analysis is told of its study, besides the results.

    baseline: label of the level that others are compared with
    target:   validation accuracy that steps are counted to
    notes:    what should be said aloud, such as ranges that grew
    """

    name: str
    title: str
    question: str
    scale: str
    baseline: str | None = None
    target: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """Networks of others, drawn beside ours: one run each.

    name:     whose they are
    recipe:   how they were trained, in words
    accuracy: test accuracy by the number of hidden layers
    """

    name: str
    recipe: str
    accuracy: Mapping[int, float]


@dataclass(frozen=True)
class Evidence:
    """All that an analysis reads. Where it comes from, no analysis knows.

    conditions:   what was found, complete
    measurements: what was measured on networks besides, by the key of the run
    predictions:  classes given to the test images, one byte each, by the key of a reported run
    labels:       classes of the test images, one byte each
    references:   networks of others on the same data set
    writers:      who wrote the images; None where no analysis asks for it
    """

    about: About
    conditions: Sequence[Condition]
    measurements: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    predictions: Mapping[str, bytes] = field(default_factory=dict)
    labels: bytes = b""
    references: Sequence[Reference] = ()
    writers: Writers | None = None


def in_words(axis: str) -> str:
    """The name of an axis, for sentences: `batch size`."""
    return axis.replace("_", " ")


def level_name(axis: str, label: str) -> str:
    """A level with its axis: `batch size 20`; a label that names its axis itself stays as it is."""
    words = in_words(axis)
    return label if f"{label} ".lower().startswith(f"{words} ") else f"{words} {label}"


def name_of(condition: Condition) -> str:
    """What a condition is called: its label; `momentum 0, batch size 20` where it has several."""
    if len(condition.labels) == 1:
        return next(iter(condition.labels.values()))
    return ", ".join(level_name(axis, label) for axis, label in condition.labels.items()) or "the study"


def by_label(conditions: Sequence[Condition], axis: str) -> dict[str, list[Condition]]:
    """Conditions by their label on an axis, in the order in which they come; "this …" without the axis."""
    found: dict[str, list[Condition]] = {}
    for condition in conditions:
        found.setdefault(condition.labels.get(axis, f"this {axis}"), []).append(condition)
    return found


def spec_of(condition: Condition) -> RunSpec:
    """A RunSpec of the condition, for what all of its runs share."""
    return condition.judged[0][0].spec


def run_count(conditions: Sequence[Condition]) -> int:
    """How many different runs lie under the conditions."""
    return len({run.key for condition in conditions for run in condition.runs})


def seed_count(conditions: Sequence[Condition]) -> int:
    """How often the conditions were repeated."""
    return max((len(runs) for condition in conditions for runs in condition.judged), default=0)


def seeds_in_words(conditions: Sequence[Condition]) -> str:
    """How often everything was repeated."""
    count = seed_count(conditions)
    seeds = f"{count} seed{'' if count == 1 else 's'}"
    if any(condition.is_tuned for condition in conditions):
        return f"{seeds}, each at the learning rates around the best"
    return seeds
