"""The best learning rate of a grid, with its interval, and the edge of stability."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.choice import Edge, find_bottom, mean_loss
from digitlab.analysis.statistics.intervals import LOG, mean_interval, transformed
from digitlab.analysis.statistics.jackknife import of_bottom


@dataclass(frozen=True)
class Optimum:
    """The best rate.

    rate: at the bottom of the parabola through the mean loss, with Student's interval in log2 over seeds; 0
          or inf where the grid ends before the loss rises again
    edge: at which end of the grid the mean loss is least: then it is not an optimum
    log2: pseudo-values of the best log2 rate, [seed]
    """

    rate: Estimate
    edge: Edge
    log2: Float64[np.ndarray, "seed"]


def find_optimum(rates: Float64[np.ndarray, "rate"], losses: Float64[np.ndarray, "seed rate"]) -> Optimum:
    """Where between the grid points the mean loss is least.

    rates:  rising, [rate]
    losses: more than 0, that of a guess where training broke, [seed, rate]
    """
    log2_rates = np.log2(rates)
    edge = find_bottom(log2_rates, mean_loss(losses)).edge
    log2 = of_bottom(log2_rates, losses)
    found = mean_interval(log2 * math.log(2))
    low = -math.inf if edge == "low" else found.low
    high = math.inf if edge == "high" else found.high
    return Optimum(transformed(Estimate(found.value, low, high), LOG.back), edge, log2)


def stability_edge(
    rates: Float64[np.ndarray, "rate"], broken: Bool[np.ndarray, "rate"]
) -> tuple[float, float]:
    """The largest rate below all at which some seed broke (0 if none), and the least of those (inf if none).

    rates:  rising, [rate]
    broken: whether some seed broke at each
    """
    some = np.flatnonzero(broken)
    if not len(some):
        return float(rates[-1]), math.inf
    first = int(some[0])
    return (float(rates[first - 1]) if first else 0.0), float(rates[first])
