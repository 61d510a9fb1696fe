"""Recomputation: runs of a store trained again, to see whether they come out the same."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from digitlab import lab
from digitlab.errors import WeightsError
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
            recomputed_result, _ = lab.run(result.spec)
        except WeightsError as error:
            yield Recomputed(result.key, is_same=False, elsewhere=(str(error),))
            continue

        elsewhere = result.provenance.fingerprint.differences(recomputed_result.provenance.fingerprint)
        yield Recomputed(result.key, _bits(result) == _bits(recomputed_result), tuple(elsewhere))


def _bits(result: RunResult) -> tuple[str, bytes | None]:
    """All of a result that two computations of it have in common."""
    return result.model_dump_json(exclude={"provenance"}), result.predictions
