"""Two axes crossed, with seeds as blocks: what each does, and whether what one does depends on the other.

Contrasts are taken seed by seed: each level minus a reference level (Scheffé 1959, "The Analysis of
Variance", chapter 4). A cell that is not known is NaN at every seed; what needs it is left out.
"""

import math

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.simultaneous import SHARED_BASE, simultaneous_intervals

FOUR_CELLS = 0.25
"""The least correlation between two interactions of cells of one variance: all share the reference cell,
those of one row or column two cells (then it is 1/2). The least gives the largest factor (Slepian 1962, Bell
Syst. Tech. J. 41, 463)."""


def main_effects(
    cells: Float64[np.ndarray, "seed level other"], reference: int
) -> Float64[np.ndarray, "seed level"]:
    """Each level minus the reference level, averaged over the levels of the other axis where both are known.

    0 for the reference level itself; NaN for a level that is known nowhere where the reference level is.
    """
    steps = cells - cells[:, [reference]]
    known = np.isfinite(steps).all(axis=0)  # [level, other]
    counts = known.sum(axis=1)
    sums = np.where(known, steps, 0.0).sum(axis=2)
    return np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)


def interactions(
    cells: Float64[np.ndarray, "seed row column"], row: int, column: int
) -> Float64[np.ndarray, "seed row column"]:
    """How far each row's step from the reference row is, in each column, from that in the reference column.

    row, column: of the reference; there all are 0
    """
    steps = cells - cells[:, [row]]
    return np.asarray(steps - steps[:, :, [column]])


def family_intervals(
    contrasts: Float64[np.ndarray, "seed contrast"], correlation: float = SHARED_BASE
) -> tuple[Estimate, ...]:
    """Means of contrasts that hold together with 95 %; those that are NaN are NaN, and count for nothing."""
    known = np.isfinite(contrasts).all(axis=0)
    found = iter(simultaneous_intervals(contrasts[:, known], correlation))
    return tuple(next(found) if is_known else Estimate(math.nan) for is_known in known)
