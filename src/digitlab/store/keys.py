"""Keys as people write them: by the digits that they begin with."""

from digitlab.errors import StoreError
from digitlab.result import RunResult
from digitlab.store.interface import Filter, Store

SHORT_KEY = 12
"""So many digits of a key are shown; they tell apart all the runs that a store will ever hold."""


class UnknownKeyError(StoreError):
    """No run has such a key, several do, or the one that does cannot be read."""


def full_key(store: Store, prefix: str) -> str:
    """The key that begins with these digits. Raises UnknownKeyError when there is none, or several."""
    run_filter = Filter(key_prefix=prefix)
    found = store.keys(run_filter, limit=3)
    if not found:
        raise UnknownKeyError(
            f"{prefix}: no run's key begins with that; `digitlab runs list` shows the runs that there are"
        )
    if len(found) > 1:
        some = ", ".join(key[:SHORT_KEY] for key in found)
        count = store.count(run_filter)
        raise UnknownKeyError(f"{prefix}: {count:,} runs' keys begin with that ({some}, …); give more digits")
    return found[0]


def known_run(store: Store, prefix: str, *, predictions: bool = False) -> RunResult:
    """The run whose key begins with these digits.

    predictions: with them
    Raises UnknownKeyError when there is none, when there are several, or when it cannot be read.
    """
    key = full_key(store, prefix)
    result = store.get([key], predictions=predictions).get(key)
    if result is None:
        raise UnknownKeyError(
            f"{key}: cannot be read: it was damaged, or written by another version of digitlab; "
            "`digitlab store verify` says which, and sets damaged runs aside, to be computed again"
        )
    return result
