"""Claims on runs in a database that several drivers share; see `interface.Claims`.

Two ways in which such leases go wrong are excluded by what a claim is. It names a token, and holds while that
token is heard of: where the token's heartbeat is gone, whoever removed it, the claim holds nothing up. And a
token is drawn anew for each claim: a driver that is started again, on the same machine and under the same
number, keeps nothing of its former self alive.
"""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection
from datetime import timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    Interval,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from digitlab.store.database import Database
from digitlab.store.schema import claims, heartbeats

LEASE_SECONDS = 60.0
"""A driver that was not heard of for so long counts as dead."""
_BEATS = 5
"""So many heartbeats fall into one lease: a slow machine or network may lose several."""
_KEPT = timedelta(days=1)
"""What nobody has asked for so long after its end is removed."""

_now = func.clock_timestamp
"""The database's clock, of the moment and not of the transaction's beginning: drivers' own may differ."""


class SqlClaims:
    """Claims of one driver; see `interface.Claims`.

    name: what they are on: "" for runs, else what is measured
    done: those of some keys for which nothing is left to do
    """

    def __init__(
        self, database: Database, name: str, done: Callable[[Collection[str]], Collection[str]]
    ) -> None:
        self._database, self._name, self._done = database, name, done
        self._lease = timedelta(seconds=LEASE_SECONDS)
        self.beat_seconds = LEASE_SECONDS / _BEATS
        self._driver = f"process {os.getpid()} on {socket.gethostname()}"
        self._lock = threading.Lock()
        self._beating = threading.Lock()  # a beat that waits for its server would outlive what is released
        self._tokens: dict[str, set[str]] = {}
        self._database.write(_forget_old)

    def claim(self, keys: Collection[str]) -> frozenset[str]:
        """Those of the keys that are this driver's now, and are not done yet."""
        if not keys:
            return frozenset()
        token = str(uuid.uuid4())
        granted = self._database.write(lambda connection: self._claimed(connection, keys, token))
        with self._lock:
            older = {held: keys - granted for held, keys in self._tokens.items()}
            self._tokens = {held: keys for held, keys in {**older, token: set(granted)}.items() if keys}
        # Asked afterwards: who held a claim and has released it had added the result before.
        if done := granted & frozenset(self._done(granted)):
            self.release(done)
        return granted - done

    def beat(self) -> None:
        """Let the others know that this driver is alive."""
        until = _now() + self._a_lease()
        statement = self._database.insert(heartbeats).values(until=until)
        again = statement.on_conflict_do_update(index_elements=["token"], set_={"until": until})
        with self._beating:
            with self._lock:
                rows = [{"token": token} for token, keys in self._tokens.items() if keys]
            if rows:
                self._database.write(lambda connection: connection.execute(again, rows))

    def holders(self, keys: Collection[str]) -> dict[str, str]:
        """Of the keys that other drivers hold: who holds them."""
        with self._lock:
            ours = list(self._tokens)
        wanted = self._among(keys) & claims.c.token.not_in(ours) & ~_has_ended()
        query = select(claims.c.key, claims.c.driver).where(wanted)
        return self._database.read(
            lambda connection: {row.key: row.driver for row in connection.execute(query)}
        )

    def release(self, keys: Collection[str]) -> None:
        """Give back what this driver holds of the keys."""
        with self._lock:
            ours = [token for token, held in self._tokens.items() if not held.isdisjoint(keys)]
            for token in ours:
                self._tokens[token] -= set(keys)
            empty = [token for token in ours if not self._tokens[token]]
            for token in empty:
                del self._tokens[token]

        def work(connection: Connection) -> None:
            connection.execute(delete(claims).where(self._among(keys), claims.c.token.in_(ours)))
            connection.execute(delete(heartbeats).where(heartbeats.c.token.in_(empty)))

        if ours:
            with self._beating:
                self._database.write(work)

    def close(self) -> None:
        """Give back everything."""
        with self._lock:
            keys = {key for held in self._tokens.values() for key in held}
        self.release(keys)

    def _claimed(self, connection: Connection, keys: Collection[str], token: str) -> frozenset[str]:
        """Claim what is free, or this driver's already, in one statement."""
        with self._lock:
            ours = list(self._tokens)
        new = {"name": self._name, "token": token, "driver": self._driver, "until": _now() + self._a_lease()}
        # What another driver is just taking is not waited for. What it took is in the row itself, so that
        # nobody takes it again who has not seen its heartbeat yet.
        may_take = or_(claims.c.token.in_(ours), _has_ended())
        free = select(claims.c.key).where(self._among(keys), may_take).with_for_update(skip_locked=True)
        is_free = (claims.c.name == self._name) & claims.c.key.in_(select(free.cte("free").c.key))
        again = update(claims).where(is_free).values(new).returning(claims.c.key).cte("again")
        first = (
            self._database.insert(claims)
            .values([{"key": key, **new} for key in sorted(keys)])
            .on_conflict_do_nothing()
            .returning(claims.c.key)
            .cte("first")
        )
        return frozenset(connection.scalars(union_all(select(again.c.key), select(first.c.key))))

    def _among(self, keys: Collection[str]) -> ColumnElement[bool]:
        return (claims.c.name == self._name) & claims.c.key.in_(list(keys))

    def _a_lease(self) -> ColumnElement[timedelta]:
        return literal(self._lease, Interval)


def _has_ended() -> ColumnElement[bool]:
    """Whether a claim's own time is over and its token was not heard of either."""
    is_alive = exists().where(heartbeats.c.token == claims.c.token, heartbeats.c.until > _now())
    return (claims.c.until <= _now()) & ~is_alive


def _forget_old(connection: Connection) -> None:
    connection.execute(delete(claims).where(claims.c.until < _now() - literal(_KEPT, Interval), _has_ended()))
    connection.execute(delete(heartbeats).where(heartbeats.c.until < _now() - literal(_KEPT, Interval)))
