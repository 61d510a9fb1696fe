"""Faults of a team's store: connections cut, a server that is started again, drivers that share one study."""

import signal
import time
from contextlib import ExitStack, suppress
from functools import cache
from random import Random

from tests.faults.fault import Do, Fault, nothing
from tests.faults.system import System
from tests.postgresql import Server, programs, server

_open = ExitStack()
_LEASE_SECONDS = 6.0
_SECONDS_TO_VANISH = 30.0


@cache
def the_server() -> Server:
    """One server for all rounds; `end_server` ends it."""
    return _open.enter_context(server())


def end_server() -> None:
    """End it, where it was started."""
    _open.close()
    the_server.cache_clear()


def new_database(name: str) -> str:
    """An empty database; its URL."""
    return the_server().make_database(f"faults_{name}")


def left_in_database(system: System, *, ended_well: bool) -> list[str]:
    """What drivers that have ended hold on to in their database: connections, and what they had taken on.

    ended_well: all of them did; else claims may be left, which end by themselves
    """
    if system.url is None:
        return []
    of_ours = f"datname = '{_database(system)}' AND application_name = 'digitlab'"
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {of_ours}"  # noqa: S608
    faults, end = [], time.monotonic() + _SECONDS_TO_VANISH
    while the_server().execute("postgres", query) != [(0,)]:
        if time.monotonic() > end:
            faults.append("a connection to the database is left")
            break
        time.sleep(0.1)
    if ended_well:
        for table in ("claims", "heartbeats"):
            ((count,),) = the_server().execute(_database(system), f"SELECT count(*) FROM {table}")  # noqa: S608
            faults += [f"{count} {table} are left"] if count else []
    return faults


def why_no_server() -> str:
    return "" if programs() else "PostgreSQL is not installed"


def _database(system: System) -> str:
    return f"faults_{system.mark}"


def _cut(system: System, rng: Random) -> None:
    """All connections of the study end, one to five times, as by an administrator."""
    for _ in range(rng.choice([1, 2, 5])):
        system.wait_for_a_moment(rng)
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"
        the_server().execute("postgres", query.format(_database(system)))


def _restarted(mode: str) -> Do:
    def inject(system: System, rng: Random) -> None:
        system.wait_for_a_moment(rng)
        the_server().stop(mode)
        time.sleep(rng.uniform(0, 3))
        the_server().start()

    return inject


def _with_short_leases(system: System, rng: Random) -> None:
    """Else a round would wait for most of its time: until what a lost driver had taken is free."""
    system.settings["FAULTS_LEASE"] = str(_LEASE_SECONDS)


def _two(number: signal.Signals | None, *, is_continued: bool = False) -> Do:
    """Two drivers share the study; one gets a signal, and goes on before or after its lease has ended."""

    def inject(system: System, rng: Random) -> None:
        time.sleep(rng.uniform(0, 1))
        system.start(1)
        system.was_hit = system.is_running
        if number is None:
            return
        system.wait_for_a_moment(rng, first=1)
        with suppress(ProcessLookupError):
            system.driver.send_signal(number)
        if is_continued:
            time.sleep(rng.uniform(0.5, 2 * _LEASE_SECONDS))
            system.driver.send_signal(signal.SIGCONT)

    return inject


def _killed(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng)
    system.driver.kill()


def _row_damaged(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng, first=1)
    change = "set_byte(document, {0}, get_byte(document, {0}) # {1})".format(
        rng.randrange(200), rng.randrange(1, 256)
    )
    query = f"UPDATE runs SET document = {change} WHERE key = (SELECT min(key) FROM runs)"  # noqa: S608
    the_server().execute(_database(system), query)


def _fault(name: str, inject: Do, *codes: int, is_done_once: bool = False) -> Fault:
    return Fault(
        f"PostgreSQL: {name}",
        inject,
        (0, *codes),
        prepare=nothing if is_done_once else _with_short_leases,
        why_not=why_no_server,
        store="postgresql",
        is_done_once=is_done_once,
    )


FAULTS = (
    _fault("connections cut", _cut, 1),
    _fault("the server restarted", _restarted("fast"), 1),
    _fault("the server broken off and restarted", _restarted("immediate"), 1),
    _fault("SIGKILL of the driver", _killed, -signal.SIGKILL),
    _fault("two drivers", _two(None), is_done_once=True),
    _fault("two drivers, one killed", _two(signal.SIGKILL), -signal.SIGKILL),
    _fault("two drivers, one stopped for a while", _two(signal.SIGSTOP, is_continued=True)),
    _fault("a row's document damaged", _row_damaged, 1),
)
