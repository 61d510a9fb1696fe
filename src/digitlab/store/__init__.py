"""The store: RunResults by key, kept in a database.

`interface` is the contract that every store keeps; `rows` turns a RunResult into rows and back, and verifies
them by a hash; `schema` says which tables there are, and of which version; `sql` is the store itself, for
any database that SQLAlchemy speaks to; `sqlite` is all that is SQLite's own: connections, locks, error
codes; `postgresql` likewise; `claims` lets several drivers share the work; `migrations` brings up older
versions; `location` says where the store lies, and opens it; `keeping` puts runs of one's own into it; `keys`
finds the key that somebody means; `export` writes runs into files.
"""

from digitlab.store.interface import Claims, Filter, Order, RunRow, SortBy, Store, Verification
from digitlab.store.keys import SHORT_KEY, UnknownKeyError, full_key, known_run
from digitlab.store.location import is_named, is_there, open_store, shown_place, store_place, usable_store

__all__ = [
    "SHORT_KEY",
    "Claims",
    "Filter",
    "Order",
    "RunRow",
    "SortBy",
    "Store",
    "UnknownKeyError",
    "Verification",
    "full_key",
    "is_named",
    "is_there",
    "known_run",
    "open_store",
    "shown_place",
    "store_place",
    "usable_store",
]
