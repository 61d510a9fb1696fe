"""Calibration: probabilities that hold what they promise, by one temperature fitted on held-out images.

Networks trained to the end are too sure. Dividing their logits by a temperature, fitted by the likelihood of
images that they were not trained on, repairs that and changes no answer (Guo et al. 2017, arXiv 1706.04599).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

_LEAST = 1e-30
_RANGE = (-2.0, 3.0)
"""Of the temperature's logarithm."""


def tempered(
    probabilities: Float[np.ndarray, "n classes"], temperature: float
) -> Float[np.ndarray, "n classes"]:
    """The probabilities of the same logits divided by a temperature."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _LEAST)) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def fitted_temperature(probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, "n"]) -> float:
    """The temperature at which held-out labels are likeliest, between 0.14 and 20.

    probabilities: of a network on images that it was not trained on
    labels:        their classes
    """
    from scipy.optimize import minimize_scalar  # which takes long to load, and is rarely needed

    def mean_loss(logarithm: float) -> float:
        found = tempered(probabilities, float(np.exp(logarithm)))
        return -float(np.log(np.maximum(found[np.arange(len(labels)), labels], _LEAST)).mean())

    return float(np.exp(minimize_scalar(mean_loss, bounds=_RANGE, method="bounded").x))


@dataclass(frozen=True)
class Bin:
    """Answers of about one confidence: how many, how sure on the average, and how often right."""

    count: int
    confidence: float
    accuracy: float


EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Confidences from which on bins begin: finer where most answers are."""


def by_confidence(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, "n"]
) -> tuple[Bin, ...]:
    """Answers in bins of like confidence, the least sure first; bins without answers are left out."""
    confidence, is_right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.searchsorted(EDGES, confidence, "right")
    masks = (place == i for i in range(1, len(EDGES) + 1))
    return tuple(
        Bin(int(mask.sum()), float(confidence[mask].mean()), float(is_right[mask].mean()))
        for mask in masks
        if mask.any()
    )


def reliability(
    confidence: Float[np.ndarray, "n"], is_right: Int[np.ndarray, "n"], bins: int = 10
) -> tuple[list[Bin], float]:
    """Bins of equal counts, from the least sure to the surest, and the mean gap between sure and right.

    The gap is the expected calibration error (Naeini et al. 2015), with bins of equal counts.
    """
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    found = [Bin(len(part), float(confidence[part].mean()), float(is_right[part].mean())) for part in parts]
    gap = sum(each.count * abs(each.confidence - each.accuracy) for each in found) / max(len(order), 1)
    return found, gap
