"""A run's examples as tensors, scaled, on the device: what the reference engine trains on."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from digitlab.data.arrays import Dataset, InputScale
from digitlab.engine.inputs import run_split
from digitlab.spec import RunSpec


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs and the class of each, on one device."""

    inputs: Float[Tensor, "n 784"]
    labels: Int64[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class RunInputs:
    """All examples that a run sees. `validation` is empty without a validation split."""

    scale: InputScale
    train: Examples
    validation: Examples
    test: Examples


def run_inputs(spec: RunSpec, dataset: Dataset, device: torch.device) -> RunInputs:
    """The examples of one run, [n, 784] each."""
    scale = dataset.scale(spec.scaling)
    parts = run_split(spec, dataset)

    def examples(images: UInt8[np.ndarray, "n 28 28"], labels: UInt8[np.ndarray, "n"]) -> Examples:
        return Examples(
            torch.from_numpy(scale.apply(images, spec.precision)).to(device),
            torch.from_numpy(labels.astype(np.int64)).to(device),
        )

    return RunInputs(
        scale,
        train=examples(dataset.train.images[parts.train], dataset.train.labels[parts.train]),
        validation=examples(dataset.train.images[parts.validation], dataset.train.labels[parts.validation]),
        test=examples(dataset.test.images, dataset.test.labels),
    )
