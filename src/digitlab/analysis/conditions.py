"""Conditions: a study's results, sorted as analyses read them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64

from digitlab.data.writers import Writers
from digitlab.result import RunResult
from digitlab.spec import RunSpec


@dataclass(frozen=True)
class Condition:
    """What was found where everything but seed and rate is the same.

    labels, groups: by axis
    is_best:        a run is judged by the best validation loss of its curve, not by its last
    rates:          that were tried, rising, [rate]; empty where nothing was tuned
    tunings:        runs of the seeds that rates are tuned on, [seed][rate]
    chosen:         the rate of the smallest mean validation loss; None where every rate broke some seed
    reports:        runs of fresh seeds at the chosen rate, [seed]
    also:           runs of fresh seeds at other rates, by rate, [seed]
    """

    labels: Mapping[str, str]
    groups: Mapping[str, str]
    is_best: bool
    rates: tuple[float, ...]
    tunings: tuple[tuple[RunResult, ...], ...]
    chosen: float | None
    reports: tuple[RunResult, ...]
    also: Mapping[float, tuple[RunResult, ...]]

    @property
    def runs(self) -> Iterator[RunResult]:
        """All of them; conditions may share runs."""
        for group in (*self.tunings, self.reports, *self.also.values()):
            yield from group

    @property
    def losses(self) -> Float64[np.ndarray, "seed rate"]:
        """Validation losses of the tunings; NaN where a network broke."""
        return validation_losses(self.tunings, best=self.is_best)

    @property
    def broken(self) -> Bool[np.ndarray, "seed rate"]:
        """Which tunings diverged or collapsed."""
        rows = [[run.outcome != "completed" for run in runs] for runs in self.tunings]
        return np.array(rows, np.bool_).reshape(_shape(self.tunings))


def validation_losses(
    tunings: Sequence[Sequence[RunResult]], *, best: bool
) -> Float64[np.ndarray, "seed rate"]:
    """The validation loss that each run is judged by; NaN where it diverged or collapsed.

    best: the best of its curve, instead of the last
    """

    def loss(run: RunResult) -> float:
        if run.outcome != "completed" or not run.curve.validation_loss:
            return math.nan
        return min(run.curve.validation_loss) if best else run.curve.validation_loss[-1]

    return np.array([[loss(run) for run in runs] for runs in tunings], np.float64).reshape(_shape(tunings))


def _shape(tunings: Sequence[Sequence[RunResult]]) -> tuple[int, int]:
    """Of an array by seed and rate, also where there is neither."""
    return len(tunings), len(tunings[0]) if tunings else 0


def test_accuracies(runs: Sequence[RunResult]) -> Float64[np.ndarray, "seed"]:
    """Test accuracy of each run; a diverged network guesses."""
    return np.array(
        [
            run.metrics.test_accuracy if run.outcome != "diverged" else 1 / run.spec.data.classes
            for run in runs
        ],
        dtype=np.float64,
    )


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

    def say(self, sentence: str) -> str:
        """A verdict as it may be said at this scale."""
        return f"Quick look: {sentence}" if self.scale == "quick" else sentence


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


def by_label(conditions: Sequence[Condition], axis: str) -> dict[str, list[Condition]]:
    """Conditions by their label on an axis, in the order in which they come; "this …" without the axis."""
    found: dict[str, list[Condition]] = {}
    for condition in conditions:
        found.setdefault(condition.labels.get(axis, f"this {axis}"), []).append(condition)
    return found


def spec_of(condition: Condition) -> RunSpec:
    """A RunSpec of the condition, for what all of its runs share."""
    runs = condition.reports or [run for runs in condition.tunings for run in runs]
    return runs[0].spec


def run_count(conditions: Sequence[Condition]) -> int:
    """How many different runs lie under the conditions."""
    return len({run.key for condition in conditions for run in condition.runs})


def seeds_in_words(conditions: Sequence[Condition]) -> str:
    """How often everything was repeated."""
    tuned = max((len(condition.tunings) for condition in conditions), default=0)
    fresh = max((len(condition.reports) for condition in conditions), default=0)
    if tuned:
        return f"rates tuned on {tuned} seeds, reported on {fresh} fresh ones"
    return f"{fresh} seed{'' if fresh == 1 else 's'}"
