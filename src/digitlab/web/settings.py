"""What one start of the server is: its name, its secrets, where it answers."""

import secrets
from dataclasses import dataclass, field

from digitlab.live.visitors import Visitors
from digitlab.web.limits import Limits


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Settings:
    """One start of the server.

    port:        that it listens at
    hosts:       names under which it answers, without the port: `127.0.0.1`, `localhost`
    token:       lets whoever has it do everything
    class_token: lets whoever has it look and draw, and train a little; None: there is no class
    server:      names this start
    """

    port: int
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    token: str = field(default_factory=_secret, repr=False)
    class_token: str | None = field(default=None, repr=False)
    server: str = field(default_factory=lambda: secrets.token_hex(8))
    limits: Limits = field(default_factory=Limits)
    visitors: Visitors = field(default_factory=Visitors, repr=False)

    @classmethod
    def of(
        cls, port: int, hosts: tuple[str, ...], *, classroom: bool, limits: Limits | None = None
    ) -> "Settings":
        """A new start, with secrets of its own."""
        return cls(port, hosts, class_token=_secret() if classroom else None, limits=limits or Limits())

    @property
    def is_classroom(self) -> bool:
        """Whether a class may come in."""
        return self.class_token is not None

    @property
    def authorities(self) -> frozenset[str]:
        """What a request's Host may be."""
        names = {name.lower() for name in self.hosts}
        with_port = {f"{name}:{self.port}" for name in names}
        return frozenset(with_port | (names if self.port == 80 else set()))

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token: one for each port, for cookies know no ports."""
        return f"digitlab-{self.port}"

    @property
    def visitor_cookie(self) -> str:
        """Name of the cookie that holds a visitor's secret."""
        return f"digitlab-visitor-{self.port}"

    def url(self, host: str | None = None, *, for_class: bool = False) -> str:
        """The address to open, with the token in it."""
        token = self.class_token if for_class else self.token
        return f"http://{host or self.hosts[0]}:{self.port}/?token={token}"
