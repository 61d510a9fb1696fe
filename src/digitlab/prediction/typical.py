"""How far an image is from all that MNIST's images are, whatever a network says of it.

A network that was trained on digits takes anything for one, often surely. Digits lie near a subspace of few
dimensions; what a letter, a scribble or a texture has beyond it is told here.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8

_AXES = 60


@dataclass(frozen=True, eq=False)
class Typical:
    """The subspace of an image set.

    mean:  of the images
    axes:  orthonormal, those of largest variance
    limit: what share of an image may lie outside
    """

    mean: Float32[np.ndarray, "784"]
    axes: Float32[np.ndarray, "axes 784"]
    limit: float

    def strangeness(self, images: UInt8[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n"]:
        """What share of each image lies outside the subspace, by length: 0 … 1."""
        centred = images.reshape(len(images), -1).astype(np.float32) - self.mean  # [n, 784]
        inside = centred @ self.axes.T
        whole = (centred**2).sum(1)
        outside = np.maximum(whole - (inside**2).sum(1), 0)
        return np.asarray(np.sqrt(outside / np.maximum(whole, 1)))


def typical_of(
    images: UInt8[np.ndarray, "n 28 28"], held_out: UInt8[np.ndarray, "m 28 28"], share: float
) -> Typical:
    """The subspace of some images, and the limit within which this share of others lies."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    mean = flat.mean(0)
    flat -= mean
    _, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    axes = np.ascontiguousarray(vectors[:, ::-1][:, :_AXES].T.astype(np.float32))
    unlimited = Typical(mean, axes, 1.0)
    limit = float(np.quantile(unlimited.strangeness(held_out), share))
    return Typical(mean, axes, limit)
