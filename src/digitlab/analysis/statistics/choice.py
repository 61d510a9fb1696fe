"""The choice of a learning rate: from validation losses alone; without SciPy, which takes long to load."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

Edge = Literal["", "low", "high"]


@dataclass(frozen=True)
class Bottom:
    """Where the mean loss over some rates is least.

    log2_rate: of the lowest point of the curve, between the rates that were tried
    weights:   of the rates, with which anything that was measured at them is read off there: linear
               interpolation between the two nearest, [rate]; they sum to 1
    edge:      at which end of the rates the mean loss is least: it may fall on, so that is no optimum
    """

    log2_rate: float
    weights: Float64[np.ndarray, "rate"]
    edge: Edge


def mean_loss(losses: Float64[np.ndarray, "seed rate"]) -> Float64[np.ndarray, "rate"]:
    """What rates are chosen by: the mean logarithm of the loss over seeds.

    The logarithm, for one network of many that all but breaks must not decide alone.

    losses: more than 0, [seed, rate]
    """
    return np.asarray(np.log(losses).mean(axis=0))


def choose(losses: Float64[np.ndarray, "seed rate"]) -> int:
    """Index of the rate with the least mean loss.

    losses: more than 0, at least one seed and one rate, [seed, rate]
    """
    return int(np.argmin(mean_loss(losses)))


def choices(losses: Float64[np.ndarray, "seed rate"]) -> set[int]:
    """Indices of the rates that are chosen by all seeds, or by all but one: the jackknife needs the
    neighbours of each.

    losses: as of `choose`
    """
    if len(losses) < 2:
        return {choose(losses)}
    logs = np.log(losses)
    without = logs.sum(axis=0) - logs  # [seed, rate]
    return {choose(losses), *np.argmin(without, axis=1).tolist()}


def find_bottom(log2_rates: Float64[np.ndarray, "rate"], means: Float64[np.ndarray, "rate"]) -> Bottom:
    """The lowest point of the parabola through the least of the means and its two neighbours.

    Where the least is the last or the first, the parabola goes through the three at that end, and its lowest
    point counts as far as the rates go. So the bottom moves without a jump when the means do, also where
    another rate becomes the least (half-way between the two, whichever parabola is taken): the jackknife
    needs that. The accuracy at that point is interpolated linearly, which stays between what was measured
    even where the next rate breaks every network; a parabola would not.

    log2_rates: rising, [rate]
    means:      mean loss at each, [rate]
    """
    least, last = int(np.argmin(means)), len(means) - 1
    edge: Edge = "low" if least == 0 else "high" if least == last else ""
    place = float(log2_rates[least])
    if last > 1:
        middle = min(max(least, 1), last - 1)
        place = _lowest(log2_rates[middle - 1 : middle + 2], means[middle - 1 : middle + 2], place)
    weights = [np.interp(place, log2_rates, unit) for unit in np.eye(last + 1)]
    return Bottom(place, np.array(weights), edge)


def _lowest(x: Float64[np.ndarray, "3"], y: Float64[np.ndarray, "3"], least: float) -> float:
    """Where the parabola through three points is lowest between them; `least` where it has no bottom."""
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])  # slopes, below and above
    bend = (right - left) / (x[2] - x[0])
    if bend <= 0:
        return least
    return float(np.clip((x[0] + x[1]) / 2 - left / (2 * bend), x[0], x[2]))
