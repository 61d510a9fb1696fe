"""The simple gradient noise scale of a network: how noisy the gradient of one example is beside the mean one.

McCandlish et al. 2018 (arXiv 1812.06162), section 2.2: B_simple = tr(Σ) / |G|², with G the gradient over
all examples and Σ the covariance of single examples' gradients. In a layer z = W a + b the gradient of one
example is δ aᵀ in W and δ in b, so its squared length is |δ|² (|a|² + 1): no gradient of one is written out.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from digitlab.models.forward import softmax
from digitlab.models.trained import TrainedNetwork


def noise_scale(
    network: TrainedNetwork, images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, "n"]
) -> Mapping[str, float]:
    """`noise_scale` (examples), and what it is made of: `trace` of Σ and `squared_gradient` |G|².

    Computed in float64; both parts are free of the bias that n examples bring. NaN where |G|² is not
    positive: then n examples are too few to see the gradient at all.
    """
    n = len(images)
    activations = [network.scale.apply(images, "float64").reshape(n, -1)]
    for layer in network.layers:
        z = activations[-1] @ layer.weight.T.astype(np.float64) + layer.bias
        activations.append(np.maximum(z, 0))
    delta = softmax(z)
    delta[np.arange(n), labels] -= 1
    squares, gradient = np.zeros(n), 0.0
    for layer, inputs in zip(reversed(network.layers), reversed(activations[:-1]), strict=True):
        squares += (delta**2).sum(1) * ((inputs**2).sum(1) + 1)
        gradient += float(((delta.T @ inputs / n) ** 2).sum() + (delta.mean(0) ** 2).sum())
        delta = (delta @ layer.weight) * (inputs > 0)
    trace = (float(squares.mean()) - gradient) * n / (n - 1)
    squared_gradient = gradient - trace / n
    scale = trace / squared_gradient if squared_gradient > 0 else float("nan")
    return {"noise_scale": scale, "trace": trace, "squared_gradient": squared_gradient}
