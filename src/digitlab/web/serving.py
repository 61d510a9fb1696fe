"""A port, a laboratory and the application -> a running server, which ends cleanly on Ctrl-C."""

import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

from digitlab.errors import Fault, SpecError
from digitlab.live import Laboratory
from digitlab.store import Store
from digitlab.web.app import create_app
from digitlab.web.connections import http_patient_for, socket_patient_for
from digitlab.web.limits import Limits
from digitlab.web.security import Refusal, refusing
from digitlab.web.settings import Settings

USUAL_PORT = 8420
_PORTS_TRIED = 20
_SECONDS_TO_END = 2
_SEND_BUFFER_BYTES = 128 << 10
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Addresses:
    """What to open: the address of whoever started the server, and that of the class, if there is one."""

    own: str
    of_class: str | None


def serve(
    store: Store,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    allow_remote: bool = False,
    classroom: bool = False,
    workers: int | None = None,
    limits: Limits | None = None,
    on_ready: Callable[[Addresses], None],
) -> None:
    """Serve the page until a signal ends it; then nothing that it started is left.

    port:     None: the usual one, or the next that is free; 0: any that is free
    on_ready: told the addresses, once they answer
    Raises SpecError for a host beyond this machine that was not allowed, and for a port that is taken.
    """
    check_host(host, allow_remote=allow_remote)
    with contextlib.closing(_listening(host, port)) as listener, _without_logs():
        names = names_of(host)
        settings = Settings.of(listener.getsockname()[1], names, classroom=classroom, limits=limits)
        laboratory = Laboratory(store, workers=workers)
        try:
            laboratory.warm_up()
            addresses = Addresses(
                settings.url(), settings.url(_reachable(names), for_class=True) if classroom else None
            )
            server = _Server(_config(laboratory, settings), lambda: on_ready(addresses))
            server.run([listener])
        finally:
            laboratory.close()


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _config(laboratory: Laboratory, settings: Settings) -> uvicorn.Config:
    limits = settings.limits
    most = limits.connections
    says = f"{most} connections are open already, the most there may be; close a page and try again"
    refused = refusing(Refusal(503, says))
    return uvicorn.Config(
        create_app(laboratory, settings),
        http=http_patient_for(limits.head_seconds, limits.send_seconds, most, refused),
        ws=socket_patient_for(limits.send_seconds),
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would hold the token
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=limits.head_bytes,
        ws_max_size=limits.message_bytes,
        ws_max_queue=8,
        ws_per_message_deflate=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )


def check_host(host: str, *, allow_remote: bool) -> None:
    """Raise SpecError when others could reach this host, and nobody said that they may."""
    if not allow_remote and not is_loopback(host):
        problem = "lets other machines reach this one; say --allow-remote too if they may (the token stays)"
        raise SpecError([Fault("host", host, problem)])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    if host.lower() == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False


def names_of(host: str) -> tuple[str, ...]:
    """The names under which a server at this host answers, the first one to be printed."""
    loopback = ("127.0.0.1", "localhost", "[::1]")
    if is_loopback(host):
        first = f"[{host.strip('[]')}]" if ":" in host else host
        return tuple(dict.fromkeys((first, *loopback)))
    if host in ("0.0.0.0", "::", "[::]"):  # noqa: S104
        name = socket.gethostname()
        return tuple(dict.fromkeys((*loopback, *_own_addresses(), name, f"{name}.local")))
    return tuple(dict.fromkeys((f"[{host.strip('[]')}]" if ":" in host else host, *loopback)))


def _own_addresses() -> list[str]:
    """Addresses of this machine in its networks, as far as they can be found."""
    found: list[str] = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent: it only finds the way out
        found.append(probe.getsockname()[0])
    with contextlib.suppress(OSError):
        found += [
            str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        ]
    return found


def _reachable(names: tuple[str, ...]) -> str:
    """The name under which others reach this machine, where there is one."""
    return next((name for name in names if not is_loopback(name)), names[0])


def _listening(host: str, port: int | None) -> socket.socket:
    tried = [port] if port is not None else [*range(USUAL_PORT, USUAL_PORT + _PORTS_TRIED), 0]
    problem = ""
    for number in tried:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host.strip("[]"), number), family=family, backlog=256)
        except (OSError, OverflowError) as error:
            number_of = getattr(error, "errno", None)
            problem = os.strerror(number_of) if number_of and number_of > 0 else str(error)
            continue
        # Of each connection: what a slow reader does not take must not pile up in the system either.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        return listener
    where = f"cannot be listened at, on {host} ({problem})"
    raise SpecError([Fault("port", port, f"{where}; name another by --port, or leave it out")])


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    """Only what went wrong is told."""
    logger = logging.getLogger("uvicorn.error")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
