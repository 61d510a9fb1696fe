"""Faults by signal: processes killed, stopped, and asked to end."""

import os
import signal
import time
from contextlib import suppress
from random import Random

import psutil

from tests.faults.fault import Do, Fault
from tests.faults.system import System


def _to_driver(*numbers: signal.Signals) -> Do:
    def inject(system: System, rng: Random) -> None:
        system.wait_for_a_moment(rng)
        for number in numbers:
            if system.is_running:
                system.driver.send_signal(number)
                time.sleep(rng.uniform(0, 0.2))

    return inject


def _to_workers(number: signal.Signals, *, every: bool = False) -> Do:
    def inject(system: System, rng: Random) -> None:
        system.wait_for_a_moment(rng)
        crew = system.wait_for_crew()
        for worker in crew if every else crew[:1]:
            with suppress(psutil.Error):
                worker.send_signal(number)

    return inject


def _group(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng)
    with suppress(ProcessLookupError):
        os.killpg(system.driver.pid, signal.SIGKILL)


def _everything(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng)
    for process in system.processes():
        with suppress(psutil.Error):
            process.kill()


def _in_a_commit(system: System, rng: Random) -> None:
    """Most of its time the study waits for its disk, so that the kill finds it in the midst of a commit."""
    system.lead_shim(system.driver.pid, disk_microseconds=60_000)
    system.wait_for_a_moment(rng)
    system.driver.kill()


def _stopped(system: System, rng: Random, *, worker: bool) -> None:
    system.wait_for_a_moment(rng)
    targets = system.wait_for_crew()[:1] if worker else [psutil.Process(system.driver.pid)]
    for target in targets:
        with suppress(psutil.Error):
            target.suspend()
            time.sleep(rng.uniform(0.1, 2))
            target.resume()


def _again_and_again(system: System, rng: Random) -> None:
    for _ in range(2):
        system.wait_for_a_moment(rng)
        system.driver.kill()
        system.driver.wait()
        system.drivers.insert(0, system.start())
        system.drivers.pop()
    system.wait_for_a_moment(rng)
    system.driver.kill()


def _two(system: System, rng: Random, *, one_is_killed: bool) -> None:
    time.sleep(rng.uniform(0, 1))
    other = system.start(1)
    system.was_hit = system.is_running
    if one_is_killed:
        system.wait_for_a_moment(rng)
        other.kill()


def _has_shim() -> str:
    from tests.faults.disks import why_no_shim

    return why_no_shim()


KILLED = -signal.SIGKILL

FAULTS = (
    Fault("SIGKILL of the driver", _to_driver(signal.SIGKILL), (0, KILLED)),
    Fault("SIGKILL of the driver's group", _group, (0, KILLED)),
    Fault("SIGKILL of one worker", _to_workers(signal.SIGKILL)),
    Fault("SIGKILL of all workers", _to_workers(signal.SIGKILL, every=True)),
    Fault("SIGKILL of everything", _everything, (0, KILLED)),
    Fault("SIGKILL in a slow commit", _in_a_commit, (0, KILLED), why_not=_has_shim),
    Fault("SIGKILL three times", _again_and_again, (0, KILLED)),
    Fault("SIGSTOP and SIGCONT of the driver", lambda *of: _stopped(*of, worker=False)),
    Fault("SIGSTOP and SIGCONT of a worker", lambda *of: _stopped(*of, worker=True)),
    Fault("SIGTERM to the driver", _to_driver(signal.SIGTERM), (0, 143, -signal.SIGTERM)),
    Fault("SIGTERM to a worker", _to_workers(signal.SIGTERM)),
    Fault("SIGHUP to the driver", _to_driver(signal.SIGHUP), (0, -signal.SIGHUP)),
    Fault("SIGINT once", _to_driver(signal.SIGINT), (0, 130, -signal.SIGINT)),
    Fault("SIGINT twice", _to_driver(signal.SIGINT, signal.SIGINT), (0, 130, -signal.SIGINT)),
    Fault("two processes at once", lambda *of: _two(*of, one_is_killed=False)),
    Fault("two processes, one killed", lambda *of: _two(*of, one_is_killed=True), (0, KILLED)),
)
