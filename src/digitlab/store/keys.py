"""Keys as people write them: by the digits that they begin with."""

from digitlab.errors import StoreError
from digitlab.store.interface import Filter, Store

SHORT_KEY = 12
"""So many digits of a key are shown; they tell apart all the runs that a store will ever hold."""


def full_key(store: Store, prefix: str) -> str:
    """The key that begins with these digits. Raises StoreError when there is none, or several."""
    run_filter = Filter(key_prefix=prefix)
    found = store.keys(run_filter, limit=3)
    if not found:
        raise StoreError(
            f"{prefix}: no run's key begins with that; `digitlab runs list` shows the runs that there are"
        )
    if len(found) > 1:
        some = ", ".join(key[:SHORT_KEY] for key in found)
        count = store.count(run_filter)
        raise StoreError(f"{prefix}: {count:,} runs' keys begin with that ({some}, …); give more digits")
    return found[0]
