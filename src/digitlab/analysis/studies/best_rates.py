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
        """Places of the batch sizes whose best rate lies inside the rates that were tried."""
        return _inside(self.optima)

    @property
    def log2_rates(self) -> Float64[np.ndarray, "seed inner"]:
        """Pseudo-values of the best rates, of the batch sizes that are `inside`."""
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
    if not condition.is_tuned:
        return math.nan, math.nan
    broken = [any(run.outcome != "completed" for run in runs) for runs in condition.trials]
    return stability_edge(np.array(condition.rates), np.array(broken))


def _optimum(condition: Condition) -> Optimum:
    if condition.is_tuned and condition.chosen is not None:
        return find_optimum(np.array(condition.near), condition.losses)
    return Optimum(Estimate(math.nan), "", np.empty(0))


def _inside(optima: Sequence[Optimum]) -> list[int]:
    return [i for i, optimum in enumerate(optima) if not optimum.edge and math.isfinite(optimum.rate.value)]


def _log2_rates(optima: Sequence[Optimum]) -> Float64[np.ndarray, "seed inner"]:
    return np.array([optima[i].log2 for i in _inside(optima)], dtype=np.float64).T
