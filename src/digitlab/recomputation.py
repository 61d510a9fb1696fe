"""Recomputation: runs of a store trained again, to see whether they come out the same, or for their networks.

The store keeps no weights: the same RunSpec gives the same network, to the last bit.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from digitlab import lab
from digitlab.engine.progress import OnProgress
from digitlab.errors import WeightsError
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.store import Filter, Store


@dataclass(frozen=True)
class Recomputed:
    """How a run came out when it was trained again.

    is_same:   to the last bit
    elsewhere: what else differs on which its bits depend, such as the processor; then they may differ too.
               Or why it cannot be trained: the weights that it goes on from are lost
    """

    key: str
    is_same: bool
    elsewhere: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether it differs, and nothing explains it."""
        return not self.is_same and not self.elsewhere

    @property
    def verdict(self) -> str:
        """In words."""
        if self.is_same:
            return "the same to the last bit"
        return f"not compared: {', '.join(self.elsewhere)}" if self.elsewhere else "DIFFERS"


def recomputed(store: Store, count: int) -> Iterator[Recomputed]:
    """Train so many of a store's runs again, drawn at random; each is told as soon as it is done."""
    keys = store.keys(Filter()) if count else []
    results = store.get(random.sample(keys, min(count, len(keys))), predictions=True).values()
    for result in results:
        try:
            again, _ = lab.run(result.spec)
        except WeightsError as error:
            yield Recomputed(result.key, is_same=False, elsewhere=(str(error),))
        else:
            yield compared(result, again)


def compared(known: RunResult, again: RunResult) -> Recomputed:
    """How a run came out when it was trained again. Both with their predictions."""
    elsewhere = known.provenance.fingerprint.differences(again.provenance.fingerprint)
    return Recomputed(known.key, known.bits == again.bits, tuple(elsewhere))


@dataclass(frozen=True, eq=False)
class NetworkAgain:
    """The network of a run of the store, trained again.

    note: how it differs from that run, in a sentence; empty where it is the same to the last bit
    """

    network: TrainedNetwork
    note: str


def trained_again(known: RunResult, on_progress: OnProgress | None = None) -> NetworkAgain:
    """The network of a run of the store, trained on the CPU.

    known: the run, with its predictions
    Raises what `lab.train` raises.
    """
    result, network = lab.run(known.spec, on_progress=on_progress)
    return NetworkAgain(network, difference(known, result))


def difference(known: RunResult, again: RunResult) -> str:
    """How a run that was trained again differs from the one in the store, in a sentence.

    Both with their predictions. Empty where they are the same to the last bit.
    """
    found = compared(known, again)
    if found.is_same:
        return ""
    why = f": {', '.join(found.elsewhere)}" if found.elsewhere else ", and nothing explains it"
    return f"{known.key[:12]}: trained again, it differs from the run in the store{why}"
