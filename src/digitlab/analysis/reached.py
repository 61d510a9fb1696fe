"""What a condition reaches: one value a seed, with the choice of the learning rate in it.

Where the rate was tuned these are pseudo-values of the jackknife, at the bottom of the parabola in log rate;
where it was not, the measurements themselves. Either way their mean is the estimate, their spread its
uncertainty, and values of conditions with the same seeds can be paired.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import Condition, test_accuracy
from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.choice import Bottom, find_bottom, mean_loss
from digitlab.analysis.statistics.intervals import LOG, PLAIN, SHARE, Scale, mean_interval, transformed
from digitlab.analysis.statistics.jackknife import at_bottom, of_mean
from digitlab.result import RunResult

Metric = Callable[[RunResult], float]


def values(
    runs: Sequence[RunResult], metric: Metric = test_accuracy, scale: Scale = PLAIN
) -> Float64[np.ndarray, "seed"]:
    """A metric of runs of one rate, on a scale."""
    return of_mean(np.array([metric(run) for run in runs], np.float64), scale.to)


def reached(
    condition: Condition, metric: Metric = test_accuracy, scale: Scale = PLAIN
) -> Float64[np.ndarray, "seed"]:
    """A metric of the condition at its best rate, on a scale; empty where most networks broke at every
    rate.
    """
    if condition.chosen is None:
        return np.empty(0)
    if not condition.is_tuned:
        return values(condition.reports, metric, scale)
    measured = np.array([[metric(run) for run in runs] for runs in condition.reported], np.float64).T
    return at_bottom(_log2_near(condition), condition.losses, measured, scale.to)


def bottom(condition: Condition) -> Bottom:
    """Where between the rates of a condition the best one lies, by the mean over all seeds."""
    if not condition.is_tuned:
        return Bottom(float(_log2_near(condition)[0]), np.ones(1), "")
    return find_bottom(_log2_near(condition), mean_loss(condition.losses))


def best_rate(condition: Condition) -> float:
    """The best learning rate; the only one where nothing was tuned, NaN where most networks broke at every
    one.
    """
    return math.nan if condition.chosen is None else 2.0 ** bottom(condition).log2_rate


def estimate(condition: Condition, metric: Metric = test_accuracy, scale: Scale = SHARE) -> Estimate:
    """A metric of the condition at its best rate, with its interval, which cannot leave what is possible."""
    return transformed(mean_interval(reached(condition, metric, scale)), scale.back)


def estimate_of(runs: Sequence[RunResult], metric: Metric = test_accuracy, scale: Scale = SHARE) -> Estimate:
    """A metric of runs of one rate, likewise."""
    return transformed(mean_interval(values(runs, metric, scale)), scale.back)


def loss_estimate(condition: Condition, metric: Metric) -> Estimate:
    """A loss of the condition at its best rate, which cannot be below 0."""
    return estimate(condition, metric, LOG)


def _log2_near(condition: Condition) -> Float64[np.ndarray, "near"]:
    return np.log2(np.array(condition.near, np.float64))
