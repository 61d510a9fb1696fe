"""One value a seed for what all seeds decide together: pseudo-values of the jackknife.

An accuracy at the best learning rate depends on all seeds twice: through its own mean, and through the
choice of the rate. Leaving out one seed after the other, with the choice made anew each time, shows how
much each seed moves the whole (Tukey 1958, Ann. Math. Statist. 29, 614; Efron & Tibshirani 1993, "An
Introduction to the Bootstrap", chapter 11). The values that follow are treated like measurements, one a
seed: their mean is the estimate, their spread holds the choice too, and values of two settings with the
same seeds can be paired.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.choice import find_bottom
from digitlab.analysis.statistics.intervals import Scale, mean_interval, transformed

To = Callable[[Float64[np.ndarray, "..."]], Float64[np.ndarray, "..."]]
"""To a scale: `Scale.to`."""


def pseudo_values(whole: float, left_out: Float64[np.ndarray, "seed"]) -> Float64[np.ndarray, "seed"]:
    """Values whose mean is `whole`, and whose standard error is the jackknife's.

    Tukey's own are moved by a constant, so that the mean is the statistic itself: his is corrected for a bias
    that is far below the spread here, at the price of a larger variance.

    left_out: the statistic without each seed, [seed]
    """
    return np.asarray(whole + (len(left_out) - 1) * (left_out.mean() - left_out))


def of_mean(values: Float64[np.ndarray, "seed"], scale: To) -> Float64[np.ndarray, "seed"]:
    """Pseudo-values of scale(mean); the values themselves where the scale is their own.

    values: one a seed, [seed]
    """
    if len(values) < 2:
        return np.asarray(scale(values))
    return pseudo_values(float(scale(values.mean())), scale(_means_left_out(values)))


def mean_on(values: Float64[np.ndarray, "seed"], scale: Scale) -> Estimate:
    """Mean with Student's interval, made on a scale whose ends stay possible.

    values: one a seed, [seed]
    """
    return transformed(mean_interval(of_mean(values, scale.to)), scale.back)


def of_statistic(
    values: Float64[np.ndarray, "seed point"], statistic: Callable[[Float64[np.ndarray, "point"]], float]
) -> Float64[np.ndarray, "seed"]:
    """Pseudo-values of a statistic of the means over seeds."""
    whole = statistic(values.mean(axis=0))
    if len(values) < 2:
        return np.array([whole])
    return pseudo_values(whole, np.array([statistic(means) for means in _means_left_out(values)]))


def of_bottom(
    log2_rates: Float64[np.ndarray, "rate"], losses: Float64[np.ndarray, "seed rate"]
) -> Float64[np.ndarray, "seed"]:
    """Pseudo-values of the best log2 rate.

    losses: validation losses, more than 0, [seed, rate]
    """
    return of_statistic(np.log(losses), lambda means: find_bottom(log2_rates, means).log2_rate)


def at_bottom(
    log2_rates: Float64[np.ndarray, "rate"],
    losses: Float64[np.ndarray, "seed rate"],
    values: Float64[np.ndarray, "seed rate"],
    scale: To,
) -> Float64[np.ndarray, "seed"]:
    """Pseudo-values of what was measured, at the best rate, on a scale of its own.

    losses: validation losses, more than 0, [seed, rate]
    values: what was measured of the same networks, [seed, rate]
    """
    rates = losses.shape[1]

    def read_off(means: Float64[np.ndarray, "both"]) -> float:
        return float(scale(find_bottom(log2_rates, means[:rates]).weights @ means[rates:]))

    return of_statistic(np.concatenate([np.log(losses), values], axis=1), read_off)


def _means_left_out(values: Float64[np.ndarray, "seed *other"]) -> Float64[np.ndarray, "seed *other"]:
    """The mean over all seeds but one, for each."""
    return np.asarray((values.sum(axis=0) - values) / max(len(values) - 1, 1))
