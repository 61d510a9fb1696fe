"""Faults of a cluster: a Ray node, a worker of one, or the driver are gone in the midst of a study."""

import os
import signal
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from random import Random

import psutil

from tests.faults.fault import Do, Fault, nothing
from tests.faults.system import System
from tests.ray_nodes import Nodes, processes_of

_TOKEN = "t" * 64


class Machines:
    """A cluster with two nodes that train, of one processor each."""

    def __init__(self) -> None:
        os.environ |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": _TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._start()

    def _start(self) -> None:
        self._nodes = Nodes()
        self._training = [self._nodes.add(), self._nodes.add()]
        self._has_head = True

    @property
    def address(self) -> str:
        return self._nodes.address

    def kill_one(self) -> None:
        """Kill a node with all that runs there."""
        self._nodes.kill(self._training.pop(0))

    def kill_head(self) -> None:
        """Kill the head; the others end by themselves, minutes later."""
        self._has_head = False
        self._nodes.kill_head()

    def make_whole(self) -> None:
        """Start the nodes that are missing."""
        if not self._has_head:
            for node in self._training:
                self._nodes.kill(node)
            self._nodes.close()
            self._start()
        while len(self._training) < 2:
            self._training.append(self._nodes.add())

    def workers(self) -> list[psutil.Process]:
        """The processes on the nodes that train, or could; Ray's own agents are not among them."""
        found = []
        for process in (process for node in self._training for process in processes_of(node)):
            with suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith("ray::Trainer"):
                    found.append(process)
        return found

    def end(self) -> None:
        self._nodes.close()


@cache
def the_nodes() -> Machines:
    """One cluster for all rounds; `end_nodes` ends it."""
    return Machines()


def end_nodes() -> None:
    """End it, where it was started."""
    if the_nodes.cache_info().currsize:
        the_nodes().end()
        the_nodes.cache_clear()


def why_no_ray() -> str:
    return "" if find_spec("ray") else "Ray is not installed"


def _on_cluster(system: System, rng: Random) -> None:
    the_nodes().make_whole()
    system.shim = None  # it is for processes of this machine's own
    system.others = the_nodes().workers  # of a driver that is gone Ray ends them
    system.arguments = ("--on", "auto")
    system.settings |= {
        "RAY_ADDRESS": the_nodes().address,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _TOKEN,
    }


def _node_killed(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng)
    the_nodes().kill_one()


def _head_killed(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng)
    the_nodes().kill_head()
    system.others = list  # without a head nobody ends them, until their nodes end too


def _time_over(system: System, rng: Random) -> None:
    _on_cluster(system, rng)
    system.arguments += ("--time-limit", f"{rng.uniform(0, 0.3):.3f}")


def _worker_killed(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng, first=1)
    for worker in the_nodes().workers()[:1]:
        with suppress(psutil.Error):
            worker.kill()


def _to_driver(number: signal.Signals) -> Do:
    def inject(system: System, rng: Random) -> None:
        system.wait_for_a_moment(rng)
        with suppress(ProcessLookupError):
            system.driver.send_signal(number)

    return inject


def _fault(name: str, inject: Do, *codes: int) -> Fault:
    return Fault(f"Ray: {name}", inject, (0, *codes), _on_cluster, why_no_ray)


FAULTS = (
    _fault("a node killed", _node_killed),
    _fault("a worker killed", _worker_killed),
    _fault("the head killed", _head_killed, 1),
    Fault("Ray: the time is over", nothing, (0,), _time_over, why_no_ray, is_there_from_the_start=True),
    _fault("SIGKILL of the driver", _to_driver(signal.SIGKILL), -signal.SIGKILL),
    _fault("SIGINT of the driver", _to_driver(signal.SIGINT), 130, -signal.SIGINT),
)
