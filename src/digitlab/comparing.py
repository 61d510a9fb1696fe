"""Comparing two runs, of a store or in hand: with their predictions, and the labels of their test images."""

from digitlab.analysis.pair import RunPair, pair_of
from digitlab.data import registry
from digitlab.engine.inputs import check_data_set
from digitlab.result import RunResult
from digitlab.store import Store, known_run


def compared(a: RunResult, b: RunResult) -> RunPair:
    """What two results say beside each other.

    Raises SpecError when their data set is another one now, and what `data.load` raises.
    """
    dataset = registry.load(a.spec.data.name)
    check_data_set(a.spec, dataset)
    return pair_of(a, b, dataset.test.labels.tobytes())


def compared_in(store: Store, a: str, b: str) -> RunPair:
    """The same of two runs of a store, by their keys or the digits that these begin with.

    Raises StoreError when there are no such runs, or they cannot be read.
    """
    return compared(*(known_run(store, key, predictions=True) for key in (a, b)))
