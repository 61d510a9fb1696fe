"""Trains by another executor what no other driver trains: several drivers work at one list of runs.

A cohort is claimed just before the other executor gets it, which always has one more than it trains.
What another driver holds is told as cancelled: its results are to be looked for where that driver keeps them.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from typing import Protocol

from digitlab.errors import StoreError
from digitlab.execution.interface import CohortEnded, Executor, Message, Runs, Tell
from digitlab.execution.queues import Orders

_AHEAD = 1
"""So many cohorts wait in the other executor, that none of its slots ever does."""


class Claims(Protocol):
    """What a driver has taken on; see `store.interface.Claims`."""

    @property
    def beat_seconds(self) -> float:
        """How often `beat` is to be called."""
        ...

    def claim(self, keys: Collection[str]) -> frozenset[str]:
        """Those of the keys that are this driver's now, and are not done yet."""
        ...

    def beat(self) -> None:
        """Let the others know that this driver is alive."""
        ...

    def close(self) -> None:
        """Give back everything."""
        ...


class Shared:
    """See the module and `Executor`.

    Runs stay claimed when they have ended: whoever keeps their results releases them afterwards, and the rest
    is released at the end. While it trains it beats; where the store cannot be reached that is not told, for
    whoever keeps the results will meet it too.
    """

    def __init__(self, executor: Executor, claims: Claims) -> None:
        self.slots = executor.slots
        self._executor, self._claims, self._orders = executor, claims, Orders()
        self._room = threading.Semaphore(executor.slots + _AHEAD)
        self._changed = threading.Lock()
        self._cohort_of: dict[str, int] = {}
        self._left = Counter[int]()
        self._is_closed = threading.Event()
        self._tell: Tell
        self._threads = [
            threading.Thread(target=work, daemon=True, name=f"digitlab {name}")
            for name, work in (("claims", self._serve), ("heartbeat", self._beat))
        ]

    def start(self, tell: Tell) -> None:
        """See `Executor`."""
        self._tell = tell
        self._executor.start(self._take)
        for thread in self._threads:
            thread.start()

    def submit(self, runs: Runs) -> None:
        """See `Executor`."""
        self._orders.put(runs)

    def cancel(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        if gone := self._orders.cancel(keys):
            self._tell(self._orders.ended(gone))
        self._executor.cancel(keys)

    def observe(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        self._executor.observe(keys)

    def close(self) -> None:
        """See `Executor`. Gives back all claims."""
        self._is_closed.set()
        self._orders.close()
        self._room.release()
        self._executor.close()
        for thread in self._threads:
            thread.join()
        with suppress(StoreError):  # then they end by themselves
            self._claims.close()

    def _serve(self) -> None:
        """Claim one cohort after the other, while the other executor has room."""
        for number in itertools.count():
            self._room.acquire()
            runs = self._orders.take()
            if runs is None:
                return
            try:
                ours = self._claims.claim(list(runs))
            except StoreError as error:
                self._room.release()
                self._tell(CohortEnded(runs, cause=str(error), began=False))
                continue
            mine = {key: spec for key, spec in runs.items() if key in ours}
            others = {key: spec for key, spec in runs.items() if key not in ours}
            with self._changed:
                self._cohort_of |= dict.fromkeys(mine, number)
                self._left[number] = len(mine)
            if mine:
                self._executor.submit(mine)
            else:
                self._room.release()
            if others:
                self._tell(CohortEnded(others, cancelled=frozenset(others)))

    def _take(self, message: Message) -> None:
        """Pass on what the other executor tells."""
        if isinstance(message, CohortEnded):
            self._make_room(message.runs)
        self._tell(message)

    def _make_room(self, runs: Runs) -> None:
        """Let the next cohort in for each of which nothing is left: it may end in parts."""
        with self._changed:
            for key in runs:
                number = self._cohort_of.pop(key, None)
                if number is not None:
                    self._left[number] -= 1
                    if not self._left[number]:
                        del self._left[number]
                        self._room.release()

    def _beat(self) -> None:
        while not self._is_closed.wait(self._claims.beat_seconds):
            with suppress(StoreError):
                self._claims.beat()
