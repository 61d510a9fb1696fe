"""What happens on a node of the cluster: it is looked at once, and its workers train cohorts."""

import os
import platform
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import ray

from digitlab.data import Dataset
from digitlab.engine.device import Device, find_device, free_memory, processor_name
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c.build import built_by
from digitlab.engine.progress import CohortProgress, Watch
from digitlab.engine.provenance import torch_version
from digitlab.errors import DeviceError
from digitlab.execution.attempt import Trained, attempted
from digitlab.execution.queues import Mailbox
from digitlab.execution.ray.carried import Carried, dataset_of, verify
from digitlab.models.trained import saved_in
from digitlab.result import RunResult
from digitlab.spec import NUMERICS_VERSION, Precision, RunSpec
from digitlab.version import __version__

_PRECISIONS: Sequence[Precision] = ("float32",)


@dataclass(frozen=True)
class Facts:
    """What a node is, as it says itself.

    versions:  of what must be the same everywhere, by name
    processor, c_library, compiler: what bits depend on beside the versions
    gpu_bytes: of a GPU's memory that a plan may use; None: no GPU was asked for, or torch finds none
    """

    host: str
    versions: Mapping[str, str]
    processor: str
    c_library: str
    compiler: str | None
    gpu_bytes: int | None = None


def versions() -> dict[str, str]:
    """Versions of what results depend on, of this process."""
    return {
        "digitlab": __version__,
        "numerics": str(NUMERICS_VERSION),
        "torch": torch_version(),
        "numpy": np.__version__,
    }


def facts(precisions: Sequence[Precision] = _PRECISIONS, gpu: bool = False) -> Facts:
    """Look at this machine; kernels that its workers will need are built now, once.

    gpu: also look for a GPU
    """
    compilers = [built_by(precision) for precision in precisions]
    gpu_bytes = None
    if gpu:
        with suppress(DeviceError):
            gpu_bytes = free_memory(find_device("cuda"))
    return Facts(
        host=platform.node(),
        versions=versions(),
        processor=processor_name(Device("cpu")),
        c_library=" ".join(filter(None, platform.libc_ver())) or platform.platform(),
        compiler=compilers[0] if compilers else None,
        gpu_bytes=gpu_bytes,
    )


def verify_all(carried: Sequence[Carried]) -> None:
    """Bring data sets to this node and verify them, once for all its workers. Raises DataError."""
    for each in carried:
        verify(each.entry, ray.get(each.arrays), platform.node())


@dataclass(frozen=True)
class Order:
    """Train a cohort.

    number:      of the worker's orders, counted from 1
    specs:       its runs' specs as JSON
    data:        the data set of all of them
    device:      where to compute
    with_weights: send the trained networks too
    seconds:     the least time between two states that are told
    observed:    the runs whose parameters are told
    """

    number: int
    specs: list[str]
    data: Carried
    device: str
    with_weights: bool
    seconds: float
    observed: frozenset[str]


@dataclass(frozen=True)
class Done:
    """What came of a cohort: results of the runs that were not stopped; or none, and why.

    weights: content of each trained network's file, by the file's name, where they were asked for
    """

    results: list[RunResult]
    cause: str
    weights: Mapping[str, bytes]


Reply = CohortProgress | Done


class Trainer:
    """A worker: an actor that trains one cohort at a time, in one of its threads, and answers in others."""

    def __init__(self) -> None:
        self._replies: Mailbox[Done] = Mailbox()
        self._stopped: defaultdict[int, set[str]] = defaultdict(set)
        self._observed: set[str] = set()
        self._datasets: dict[str, Dataset] = {}

    def ready(self) -> int:
        """That it is there; its process."""
        return os.getpid()

    def reply(self) -> Reply:
        """What it has to say next, once there is something."""
        found = self._replies.get()
        if found is None:
            raise RuntimeError("the mailbox was closed")  # it never is
        return found

    def stop(self, number: int, keys: Collection[str]) -> None:
        """Stop runs of an order, which may be about to begin."""
        self._stopped[number] |= set(keys)

    def observe(self, keys: Collection[str]) -> None:
        """Tell the parameters of these runs, and of no others."""
        self._observed |= set(keys)
        self._observed &= set(keys)

    def train(self, order: Order) -> None:
        """Train a cohort; what happens is told by `reply`."""
        specs = [RunSpec.from_json(text) for text in order.specs]
        self.observe(order.observed)
        watch = Watch(self._replies.put, self._stopped[order.number], order.seconds, self._observed)
        weights: dict[str, bytes] = {}

        def train() -> Trained:
            trained = self._trained(specs, order, watch)
            if order.with_weights:  # in memory: files would be left on the node where the worker is killed
                weights.update({saved_in("", run.key).name: network.to_bytes() for run, network in trained})
            return trained

        results, cause = attempted(train, None)
        self._stopped.pop(order.number)
        self._replies.put(Done(results, cause, weights))

    def _trained(self, specs: Sequence[RunSpec], order: Order, watch: Watch) -> Trained:
        entry = order.data.entry
        if entry.sha256 not in self._datasets:  # a view of the node's one copy, which was verified there
            self._datasets[entry.sha256] = dataset_of(entry, ray.get(order.data.arrays))
        return train_cohort(specs, self._datasets[entry.sha256], device=order.device, watch=watch)
