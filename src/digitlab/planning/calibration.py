"""What a unit of work costs on this machine: measured once by a few short cohorts, then kept.

The costs are fitted to the seconds of the measured cohorts, relatively (an error of a tenth counts the same
in a short one as in a long one) and with none below 0.
"""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from digitlab import places
from digitlab.data.arrays import Dataset
from digitlab.engine.device import find_device, processor_name
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c.build import kernel
from digitlab.engine.provenance import torch_version
from digitlab.files import write_whole
from digitlab.planning.cost import WORK, Images, work
from digitlab.spec import RunSpec
from digitlab.version import __version__

Costs = Float64[np.ndarray, "work"]
"""Seconds that a unit of each kind of work takes, in the order of WORK."""

_ADAM = {"kind": "adam"}
_MOMENTUM = {"momentum": 0.9}
# Hidden layers, batch size, steps, training images, members, seeds, optimiser: short, and far apart in every
# count of work. The first are hardly trained at all: they show what a run costs beside its steps.
_MEASURED: list[tuple[tuple[int, ...], int, int, int, int, int, dict[str, Any]]] = [
    ((), 10, 1, 500, 1, 1, {}),
    ((), 10, 1, 500, 30, 1, {}),
    ((), 10, 1, 500, 30, 30, {}),
    ((100,), 10, 1, 500, 20, 20, {}),
    ((), 10, 1_500, 5_000, 1, 1, {}),
    ((), 1_000, 20, 5_000, 1, 1, {}),
    ((), 100, 200, 5_000, 8, 1, {}),
    ((), 100, 1_500, 1_000, 1, 1, {}),
    ((100,), 10, 1_000, 5_000, 1, 1, {}),
    ((100,), 1_000, 20, 5_000, 1, 1, {}),
    ((100,), 100, 60, 5_000, 16, 4, _MOMENTUM),
    ((100, 100), 100, 100, 5_000, 2, 1, {}),
    ((100, 100), 8, 1_000, 5_000, 1, 1, {}),
    ((300, 300), 64, 60, 5_000, 1, 1, {}),
    ((256,), 32, 150, 5_000, 1, 1, _ADAM),
    ((32, 32, 32), 64, 200, 5_000, 3, 3, {}),
    ((100, 100), 256, 40, 5_000, 1, 1, _ADAM),
]

TYPICAL = np.array([2e-3, 2.5e-3, 1e-8, 1e-7, 1e-6, 6e-6, 0, 4.8e-9, 5.5e-5, 2.9e-5, 1.2e-5, 9e-4])
"""The costs of one machine of many, for plans that need no measuring: AMD EPYC, the compiled kernel."""


def calibrate(dataset: Dataset, device: str = "cpu") -> Costs:
    """The costs of this machine, measured (some seconds) or, where that was done before, read."""
    if (found := _kept(device)) is not None:
        return found
    costs = _measure(dataset, device)
    _keep({"of": _machine(device), "costs": costs.tolist()})
    return costs


def known(device: str = "cpu") -> Costs:
    """The costs of this machine where they were measured before, else typical ones: nothing is measured."""
    found = _kept(device)
    return TYPICAL if found is None else found


def _kept(device: str) -> Costs | None:
    if (file := _file()) is None:
        return None
    with suppress(OSError, ValueError, KeyError):
        document = json.loads(file.read_text())
        costs = np.array(document["costs"], np.float64)
        if document["of"] == _machine(device) and costs.shape == (len(WORK),) and (costs >= 0).all():
            return costs
    return None


def _machine(device: str) -> list[str]:
    """All that the costs depend on."""
    found = find_device(device)
    arithmetic = "kernel" if found.kind == "cpu" and kernel("float32") else "torch"
    return [processor_name(found), found.name, torch_version(), __version__, *WORK, arithmetic]


def _file() -> Path | None:
    cache = places.cache_folder()
    return None if cache is None else cache / "costs.json"


def _measure(dataset: Dataset, device: str) -> Costs:
    images = Images.of(dataset)
    rows, seconds = [], []
    for hidden, batch_size, steps, images_wanted, members, seeds, optimiser in _MEASURED:
        size = min(images_wanted, len(dataset.train))
        specs = [
            RunSpec.model_validate(
                {
                    "data": dataset.entry.data_spec,
                    "hidden": hidden,
                    "batch_size": min(batch_size, size),
                    "train_size": size,
                    "budget": {"steps": steps},
                    "optimiser": optimiser,
                    "seed": i * seeds // members,
                }
            )
            for i in range(members)
        ]
        rows.append(work(specs, images))
        # The shorter of two: what disturbs only ever adds.
        seconds.append(min(_seconds(specs, dataset, device) for _ in range(2)))
    return fit(np.array(rows), np.array(seconds))


def _seconds(specs: list[RunSpec], dataset: Dataset, device: str) -> float:
    start = time.perf_counter()
    train_cohort(specs, dataset, device=device)
    return time.perf_counter() - start


def fit(counts: Float64[np.ndarray, "cohort work"], seconds: Float64[np.ndarray, "cohort"]) -> Costs:
    """The costs, none below 0, that make the smallest sum of squared relative errors.

    The kind of work whose cost comes out lowest below 0 is left out, until none does.
    """
    scale = counts.max(0) + (counts.max(0) == 0)
    relative = counts / scale / seconds[:, None]
    used = list(range(counts.shape[1]))
    while True:
        found = np.linalg.lstsq(relative[:, used], np.ones(len(seconds)), rcond=None)[0]
        if (found >= 0).all():
            break
        used.pop(int(found.argmin()))
    costs = np.zeros(counts.shape[1])
    costs[used] = found / scale[used]
    return costs


def _keep(document: dict[str, Any]) -> None:
    if (path := _file()) is None:
        return
    with suppress(OSError):  # where nothing can be kept, the next process measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(document))
