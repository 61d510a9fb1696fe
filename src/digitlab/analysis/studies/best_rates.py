"""Best rates by batch size under one budget: what findings and pictures of batch size and rate rest on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import Condition, spec_of
from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.optimum import Optimum, find_optimum, stability_edge
from digitlab.analysis.statistics.scaling_laws import LawFit, fit_laws

_FEWEST_SIZES = 4
"""Laws are compared by leaving a batch size out: with fewer there is too little left."""


@dataclass(frozen=True)
class BestRates:
    """One budget's conditions in order of batch size, and what follows from them.

    optima: of each batch size, [batch]
    laws:   fitted to the best rates inside the grid, the best law first; none for fewer than 4 of them
    """

    budget: str
    conditions: tuple[Condition, ...]
    batch_sizes: Float64[np.ndarray, "batch"]
    optima: tuple[Optimum, ...]
    laws: tuple[LawFit, ...]

    @property
    def inside(self) -> list[int]:
        """Places of the batch sizes whose best rate lies inside the grid for every seed."""
        return _inside(self.optima)

    @property
    def log2_rates(self) -> Float64[np.ndarray, "seed inner"]:
        """Best rates inside the grid."""
        return _log2_rates(self.optima)

    @property
    def inner_sizes(self) -> Float64[np.ndarray, "inner"]:
        """Their batch sizes."""
        return self.batch_sizes[self.inside]


def best_rates(budget: str, conditions: Sequence[Condition]) -> BestRates:
    """Best rates of conditions that differ in batch size."""
    ordered = sorted(conditions, key=lambda condition: spec_of(condition).batch_size)
    sizes = np.array([spec_of(condition).batch_size for condition in ordered], dtype=np.float64)
    optima = tuple(map(_optimum, ordered))
    inside = _inside(optima)
    laws = fit_laws(sizes[inside], _log2_rates(optima)) if len(inside) >= _FEWEST_SIZES else ()
    return BestRates(budget, tuple(ordered), sizes, optima, laws)


def edge_of(condition: Condition) -> tuple[float, float]:
    """The largest rate below all that broke a network, and the least that did; NaN where none was tried."""
    return (
        stability_edge(np.array(condition.rates), condition.broken)
        if condition.rates
        else (math.nan, math.nan)
    )


def _optimum(condition: Condition) -> Optimum:
    return (
        find_optimum(np.array(condition.rates), condition.losses)
        if condition.rates
        else Optimum(Estimate(math.nan), "", ())
    )


def _inside(optima: Sequence[Optimum]) -> list[int]:
    return [i for i, optimum in enumerate(optima) if not optimum.edge and _is_seen(optimum.rate)]


def _is_seen(rate: Estimate) -> bool:
    """Whether no seed broke at every rate, and none has its best rate at an end of the grid."""
    return math.isfinite(rate.value) and rate.low != 0 and rate.high != math.inf


def _log2_rates(optima: Sequence[Optimum]) -> Float64[np.ndarray, "seed inner"]:
    return np.array([optima[i].seed_optima for i in _inside(optima)], dtype=np.float64).T
