"""The weights of runs: the latest snapshot of one that trains, the network of one that has ended; of a run of
the store, which keeps no weights, the network that the commands keep of it, or the run trained again. Whether
that came out as it is in the store is told with it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from digitlab import lab, networks
from digitlab.data import registry
from digitlab.data.arrays import InputScale, input_scale
from digitlab.engine.progress import Progress, Snapshot
from digitlab.errors import WeightsError, cause_of
from digitlab.execution.events import Failed, Finished
from digitlab.execution.pool import Pool
from digitlab.live.limits import BusyError
from digitlab.models import trained
from digitlab.models.trained import TrainedNetwork, saved_in
from digitlab.recomputation import difference
from digitlab.result import RunResult
from digitlab.spec import RunSpec, Scaling

_MOST_KEPT = 200
"""Networks that were trained again: the one that was asked for longest ago gives way."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A network, and after how many steps it was so.

    note: how it differs from the run in the store, in a sentence; "": not at all, or it is not from there
    """

    step: int
    network: TrainedNetwork
    note: str = ""


@dataclass(frozen=True)
class Preparing:
    """The network is not there yet.

    share: of the work that is done, 0 to 1
    says:  what is being done, in a sentence
    """

    share: float
    says: str


class NetworksAgain:
    """Networks of runs that are trained again, in workers, for their weights.

    folder: into which the workers write
    pool:   gives the workers
    most:   how many train at once
    seconds: that a run may have taken: such a training cannot be stopped
    """

    def __init__(self, folder: Path, pool: Callable[[], Pool], most: int, seconds: float) -> None:
        self._folder, self._pool, self._most, self._seconds = folder, pool, most, seconds
        self._shares: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._kept: OrderedDict[str, str] = OrderedDict()  # the note of each
        self._changed = threading.Lock()

    def find(self, known: RunResult) -> Weights | Preparing:
        """The network of a run, from here or kept by a command; else it is being trained when this returns.

        known: with its predictions
        Raises WeightsError when that failed, or would take too long; BusyError when too many train already.
        """
        key = known.key
        with self._changed:
            if key in self._shares:
                return Preparing(self._shares[key], "training the run again, for no weights are kept")
            if key in self._problems:
                raise WeightsError(self._problems.pop(key))
        network, note = kept_network(self._folder, key), ""
        if network is None and (kept := networks.kept_network(key)) is not None:
            network, note = kept.network, kept.note
        with self._changed:
            if network is not None:
                if key in self._kept:
                    self._kept.move_to_end(key)
                return Weights(known.metrics.steps, network, self._kept.get(key, note))
            if known.provenance.seconds > self._seconds:
                problem = (
                    f"no weights are kept, and its training took {known.provenance.seconds:,.0f} s, too long"
                )
                raise WeightsError(
                    f"{key[:12]}: {problem} for the page; train it by its command, with --save"
                )
            if key not in self._shares:
                if len(self._shares) >= self._most:
                    problem = (
                        f"{len(self._shares)} networks are being trained again; ask again when one is done"
                    )
                    raise BusyError(problem, len(self._shares), None)
                self._shares[key] = 0.0
                name = "digitlab network again"
                threading.Thread(target=self._train, args=(known,), daemon=True, name=name).start()
        return Preparing(0.0, "training the run again, for no weights are kept")

    def _train(self, known: RunResult) -> None:
        key, problem, note = known.key, None, ""
        try:
            with lab.start([known.spec], pool=self._pool()) as training:
                for event in training:
                    if isinstance(event, Progress):
                        self._shares[key] = event.step / event.step_count
                    elif isinstance(event, Finished):
                        note = difference(known, event.result)
                    elif isinstance(event, Failed):
                        problem = event.failure.cause
        except Exception as error:  # noqa: BLE001  # it is told to who asks next
            problem = cause_of(error)
        with self._changed:
            del self._shares[key]
            if problem is not None:
                self._problems[key] = problem
                return
            self._kept[key] = note
            while len(self._kept) > _MOST_KEPT:
                saved_in(self._folder, self._kept.popitem(last=False)[0]).unlink(missing_ok=True)


def kept_network(folder: Path, key: str) -> TrainedNetwork | None:
    """The network of a run in the folder; None where there is none."""
    try:
        network = trained.load(saved_in(folder, key))
    except WeightsError:  # it is not there, or it was taken out just now
        return None
    return network if network.spec.key == key else None


def network_at(spec: RunSpec, snapshot: Snapshot) -> TrainedNetwork:
    """The network of a run in the midst of its training."""
    return TrainedNetwork(spec, _scale(spec.data.name, spec.scaling), snapshot.layers)


@lru_cache(maxsize=32)
def _scale(name: str, scaling: Scaling) -> InputScale:
    """How pixels become inputs. Only what looks at the pixels reads them."""
    if scaling == "standard":
        return registry.load(name).scale(scaling)
    return input_scale(scaling, np.zeros((1, 28, 28), np.uint8))
