"""Whether another runtime computes from a file what torch computes from the network: on real test images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from jaxtyping import Float, UInt8

from digitlab.exports.facts import Facts
from digitlab.models.sequential import build
from digitlab.models.trained import TrainedNetwork

LIMIT = 1e-5
"""No probability may differ by as much."""
_IMAGES = 1_000


@dataclass(frozen=True)
class Agreement:
    """How far the probabilities of two computations are apart.

    difference: the largest, of all classes of all images; NaN where one of them is none
    images:     how many were compared
    """

    difference: float
    images: int

    @property
    def is_close(self) -> bool:
        """Whether it is less than the limit."""
        return self.difference < LIMIT


def agreement(file: Path, facts: Facts) -> Agreement:
    """Compare onnxruntime on an ONNX file with torch on its network, on the first 1,000 test images."""
    images = np.ascontiguousarray(facts.dataset.test.images[:_IMAGES])
    difference = np.abs(by_onnxruntime(file, images) - by_torch(facts.network, images)).max(initial=0.0)
    return Agreement(float(difference), len(images))


def by_onnxruntime(file: Path, images: UInt8[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n classes"]:
    """The probabilities that onnxruntime computes on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images})
    return np.asarray(found)


def by_torch(network: TrainedNetwork, images: UInt8[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n classes"]:
    """The probabilities that torch computes on the CPU."""
    inputs = torch.from_numpy(network.scale.apply(images, network.spec.precision))
    with torch.inference_mode():
        return np.asarray(build(network.layers)(inputs).softmax(1).numpy())
