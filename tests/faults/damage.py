"""Faults in the store's rows: bytes changed by who knows what."""

import sqlite3
from contextlib import closing
from random import Random

from tests.faults.fault import Do, Fault
from tests.faults.system import System


def _damaged(table: str, column: str) -> Do:
    def inject(system: System, rng: Random) -> None:
        system.wait_for_a_moment(rng, first=1)
        with closing(sqlite3.connect(system.store, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            keys = [key for (key,) in connection.execute(f"SELECT key FROM {table} ORDER BY key")]  # noqa: S608
            for key in rng.sample(keys, min(len(keys), rng.choice([1, 1, 3]))):
                query = f"SELECT {column} FROM {table} WHERE key = ?"  # noqa: S608
                content = bytearray(connection.execute(query, (key,)).fetchone()[0])
                for place in rng.sample(range(len(content)), rng.choice([1, 8])):
                    content[place] ^= rng.randrange(1, 256)
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE key = ?", (bytes(content), key))  # noqa: S608
            connection.execute("COMMIT")

    return inject


def _deleted(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng, first=1)
    with closing(sqlite3.connect(system.store, timeout=60, isolation_level=None)) as connection:
        connection.execute("DELETE FROM runs WHERE key = (SELECT min(key) FROM runs)")


# Predictions are most of a store's bytes, and only few readers want them: a study does not read them to know what is
# known. `digitlab store verify` does.
FAULTS = (
    Fault("a row's document damaged", _damaged("runs", "document"), (0, 1)),
    Fault(
        "a row's predictions damaged",
        _damaged("predictions", "predictions"),
        (0, 1),
        remedy=("store", "verify"),
    ),
    Fault("a row taken out", _deleted, (0, 1)),
)
