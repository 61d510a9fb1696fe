"""The choice of a learning rate: from validation losses alone; without SciPy, which takes long to load."""

import math

import numpy as np
from jaxtyping import Float64


def choose(losses: Float64[np.ndarray, "seed rate"]) -> int | None:
    """Index of the rate with the least mean loss; None when at every rate some seed broke.

    losses: of one condition, NaN or inf where training broke, [seed, rate]
    """
    fine = np.isfinite(losses).all(axis=0)
    if not (len(losses) and fine.any()):
        return None
    return int(np.argmin(np.where(fine, losses.mean(axis=0), math.inf)))
