"""Named random streams: every random draw of a run comes from one, and none disturbs another.

A run's seed and a name (`init/0/weight`, `order/3`, `subset`) fix a stream. Drawing more from one, or
adding another, leaves the rest as they were: so runs of one seed share their order of examples and
their first layers whatever else differs between them, and comparisons between them become paired.
"""

import hashlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The random generator of one purpose of one seed: PCG64, keyed by SHA-256 of both.

    seed: 0 or more
    name: what the draws are for, such as `order/3`
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
