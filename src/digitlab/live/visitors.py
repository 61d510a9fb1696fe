"""Visitors: who trains in a class, known by a colour and an animal alone."""

import ipaddress
import secrets
import threading
from collections import Counter, OrderedDict
from contextlib import suppress
from dataclasses import dataclass

COLOURS = ("blue", "orange", "green", "pink", "amber", "sky", "grey", "olive")
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

    colour:  number of a series of the page, 1 to 8
    address: network from which they came in, see `network_of`; "": not known
    """

    name: str
    colour: int
    address: str = ""


class Visitors:
    """All visitors since the start, by a secret that each keeps.

    When the names are used up, one gives way: of the network that has most, the one seen longest ago. So
    whoever comes again and again without a cookie takes the names of one network, never those of others.
    """

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

    def welcome(self, address: str = "") -> tuple[str, Visitor]:
        """A new visitor from a network, and the secret to keep."""
        secret = secrets.token_urlsafe(24)
        with self._changed:
            taken = {visitor.name for visitor in self._known.values()}
            if len(self._known) >= _MOST:
                taken.remove(self._known.pop(self._to_go()).name)
            visitor = self._free(taken, address)
            self._known[secret] = visitor
        return secret, visitor

    def _to_go(self) -> str:
        """The secret of the one who gives way."""
        ((most, _),) = Counter(visitor.address for visitor in self._known.values()).most_common(1)
        return next(secret for secret, visitor in self._known.items() if visitor.address == most)

    def _free(self, taken: set[str], address: str) -> Visitor:
        while True:
            self._next = (self._next + 1) % _MOST
            colour, animal = self._next % len(COLOURS), self._next // len(COLOURS)
            name = f"{COLOURS[colour]} {ANIMALS[animal]}"
            if name not in taken:
                return Visitor(name, colour + 1, address)


def network_of(host: str) -> str:
    """Whose connections count together: an IPv4 address, or the 64 bits that an IPv6 network has in common.

    Whoever has one IPv6 address has 2^64 of them; an IPv4 address that came over IPv6 is that address.
    """
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            mapped = address.ipv4_mapped
            return str(mapped or ipaddress.ip_network((int(address), 64), strict=False))
        return str(address)
    return host
