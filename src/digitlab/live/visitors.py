"""Visitors: who trains in a class, known by a colour and an animal alone."""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

COLOURS = ("orange", "sky", "green", "yellow", "blue", "red", "pink", "grey")
"""Those of the page's series, in their order."""
ANIMALS = (
    *(
        "heron",
        "otter",
        "lynx",
        "badger",
        "falcon",
        "hare",
        "marten",
        "newt",
        "owl",
        "perch",
        "raven",
        "seal",
    ),
    *("stork", "swift", "tern", "toad", "vole", "weasel", "wren", "beaver", "crane", "dormouse", "finch"),
)
_MOST = len(COLOURS) * len(ANIMALS)


@dataclass(frozen=True)
class Visitor:
    """One who trains in a class.

    colour: number of a series of the page, 1 to 8
    """

    name: str
    colour: int


class Visitors:
    """All visitors since the start, by a secret that each keeps; the one seen longest ago gives way."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Visitor] = OrderedDict()
        self._changed = threading.Lock()
        self._next = secrets.randbelow(_MOST)

    def find(self, secret: str) -> Visitor | None:
        """The visitor who keeps this secret."""
        with self._changed:
            found = self._known.get(secret)
            if found is not None:
                self._known.move_to_end(secret)
            return found

    @property
    def count(self) -> int:
        """How many are known."""
        with self._changed:
            return len(self._known)

    def welcome(self) -> tuple[str, Visitor]:
        """A new visitor, and the secret to keep."""
        secret = secrets.token_urlsafe(24)
        with self._changed:
            taken = {visitor.name for visitor in self._known.values()}
            if len(self._known) >= _MOST:
                _, gone = self._known.popitem(last=False)
                taken.remove(gone.name)
            visitor = self._free(taken)
            self._known[secret] = visitor
        return secret, visitor

    def _free(self, taken: set[str]) -> Visitor:
        while True:
            self._next = (self._next + 1) % _MOST
            colour, animal = self._next % len(COLOURS), self._next // len(COLOURS)
            name = f"{COLOURS[colour]} {ANIMALS[animal]}"
            if name not in taken:
                return Visitor(name, colour + 1)
