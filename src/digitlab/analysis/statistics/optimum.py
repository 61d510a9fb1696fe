"""The best learning rate of a grid: chosen, estimated between its points, and held against its edges."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.choice import choose
from digitlab.analysis.statistics.intervals import mean_interval, transformed

_REACH = 3
"""Steps of the grid from a seed's optimum at which points no longer count."""
_LEAST_WEIGHT = 0.05
_ROUNDS = 4
_JUMP = 10.0
"""A loss above the optimum that rises so many times as far as those below it is left out as if broken."""


@dataclass(frozen=True)
class Optimum:
    """The best rate.

    rate:        geometric mean of the seeds' optima, with Student's interval in log2; an end is 0 or inf
                 where the grid ends before the loss rises again, of the mean or of a single seed
    edge:        on which edge of the grid the mean loss is least: then it is not an optimum. The last rate
                 before the first at which training breaks is not an edge but a real limit
    seed_optima: log2 rate, [seed]; NaN for a seed that broke at every rate
    """

    rate: Estimate
    edge: Literal["", "low", "high"]
    seed_optima: tuple[float, ...]


def find_optimum(rates: Float64[np.ndarray, "rate"], losses: Float64[np.ndarray, "seed rate"]) -> Optimum:
    """Where between the grid points the loss is least, from each seed's own curve.

    rates:  rising by a constant factor, [rate]
    losses: NaN or inf where training broke, [seed, rate]
    """
    last = len(rates) - 1
    places = np.array([_bottom(curve) for curve in losses])  # [seed], in steps from the first rate
    log_rates = np.log2(rates)
    optima = log_rates[0] + places * (log_rates[last] - log_rates[0]) / max(last, 1)
    best = choose(losses)
    if best is None:
        return Optimum(Estimate(math.nan), "", tuple(optima.tolist()))
    found = mean_interval(optima)
    low = -math.inf if best == 0 or (places <= 0).any() else found.low
    high = math.inf if best == last or (places >= last).any() else found.high
    rate = transformed(Estimate(found.value, low, high), np.exp2)
    return Optimum(rate, "low" if best == 0 else "high" if best == last else "", tuple(optima.tolist()))


def _bottom(losses: Float64[np.ndarray, "rate"]) -> float:
    """Where one seed's loss is least, in steps from the first rate; NaN if all broke.

    At the bottom of a cubic, since loss rises faster above the best rate than below it: a parabola through
    five points of a grid of powers of two lies 0.2 octaves too low. Points count the less the farther they
    are from the bottom, and not from the least of the points: seeds on two sides of a midpoint would be
    fitted to different points then, and fall into two groups. The least of the points where no bottom is.
    """
    fine = np.isfinite(losses)
    if not fine.any():
        return math.nan
    steps = np.arange(len(losses))
    best = int(np.argmin(np.where(fine, losses, math.inf)))
    rises = losses - losses[best]
    below = fine & (steps < best) & (steps > best - _REACH)
    if below.any():  # above the optimum loss may jump: training all but breaks
        fine &= (steps < best) | (rises <= _JUMP * rises[below].max())
    bottom = float(best)
    for _ in range(_ROUNDS):
        weights = 1 - np.abs(steps - bottom) / _REACH
        near = fine & (weights > _LEAST_WEIGHT)
        if near.sum() < 3:
            break
        moved = bottom + _minimum(steps[near] - bottom, rises[near], weights[near])
        if not steps[near][0] <= moved <= steps[near][-1]:
            break
        bottom = moved
    return bottom


def _minimum(
    x: Float64[np.ndarray, "point"], y: Float64[np.ndarray, "point"], weights: Float64[np.ndarray, "point"]
) -> float:
    """Where a cubic fitted to the points (to three: a parabola) has its minimum; NaN where it has none."""
    fit = np.polyfit(x, y, min(len(x) - 1, 3), w=weights)
    a, b, c, _ = np.pad(fit, (4 - len(fit), 0))  # the minimum is a root of 3 a x^2 + 2 b x + c
    inside = b * b - 3 * a * c
    if inside < 0 or b + math.sqrt(inside) <= 0:
        return math.nan
    return float(-c / (b + math.sqrt(inside)))


def stability_edge(
    rates: Float64[np.ndarray, "rate"], broken: Bool[np.ndarray, "seed rate"]
) -> tuple[float, float]:
    """The largest rate below all at which some seed broke (0 if none), and the least of those (inf if none).

    rates: rising, [rate]
    """
    some = np.flatnonzero(broken.any(axis=0))
    if not len(some):
        return float(rates[-1]), math.inf
    first = int(some[0])
    return (float(rates[first - 1]) if first else 0.0), float(rates[first])
