"""Many rounds of one fault each, and the table of what came of them."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.databases import left_in_database, new_database
from tests.faults.disks import shim
from tests.faults.fault import Fault
from tests.faults.invariant import Known, broken, files_in, grow_old, known_in, wait_for_orphans
from tests.faults.system import RUN_COUNT, Ended, System

_COLD_SHARE = 0.12
"""So many rounds begin without kernel and data set, which the study then makes."""


@dataclass(frozen=True)
class Round:
    """What came of one fault.

    codes:  with which the drivers ended, the first that was started first
    lost:   runs that had to be trained after it
    hit:    whether the study still ran when the fault came
    faults: what of the invariant does not hold; empty: it holds
    """

    kind: str
    number: int
    codes: tuple[int, ...]
    lost: int
    seconds: float
    faults: tuple[str, ...] = ()
    hit: bool = True


@dataclass(frozen=True)
class Whole:
    """An uninterrupted study: what is compared with, and what warm rounds begin with."""

    system: System
    known: Known
    files: frozenset[str]
    findings: str

    def files_for(self, fault: Fault) -> frozenset[str]:
        """What files there are to be: a store in a server is none."""
        store = {str(self.system.store.relative_to(self.system.place))}
        return self.files if fault.store == "sqlite" else (self.files - store) | {"store"}


@contextmanager
def uninterrupted() -> Iterator[Whole]:
    """Run the study once, from nothing."""
    system = System(Path(tempfile.mkdtemp(prefix="digitlab-faults-")))
    try:
        ended = system.ended(system.start(1))
        known = known_in(system.location)
        if ended.code != 0 or len(known.bits) != RUN_COUNT:
            raise RuntimeError(f"the study does not even end without a fault: {ended.error}")
        yield Whole(system, known, files_in(system), ended.out)
    finally:
        system.end()


def one_round(fault: Fault, seed: str, whole: Whole, number: int = 0) -> Round:
    """One study, one fault, one recovery."""
    rng, start = Random(seed), time.monotonic()
    is_warm = rng.random() >= _COLD_SHARE
    system = System(
        Path(tempfile.mkdtemp(prefix="digitlab-faults-")),
        whole.system.place / "cache" / "digitlab" / "kernels" if is_warm else None,
        whole.system.place / "data" / "datasets" if is_warm else None,
        shim(),
        workers=rng.choice([1, 2, 2]) if "worker" not in fault.name else 2,
    )
    try:
        if fault.store == "postgresql":
            system.url = new_database(system.mark)
        return _judged(fault, system, rng, whole, number, start)
    finally:
        system.end()


def _judged(fault: Fault, system: System, rng: Random, whole: Whole, number: int, start: float) -> Round:
    faults: list[str] = []
    fault.prepare(system, rng)
    system.start()
    fault.inject(system, rng)
    codes: list[int] = []
    hit = system.was_hit or fault.is_there_from_the_start
    try:
        for driver in list(system.drivers):
            ended = system.ended(driver)
            codes.append(ended.code)
            faults += _said_wrong(fault, ended)
    except subprocess.TimeoutExpired:
        return Round(fault.name, number, (), 0, time.monotonic() - start, ("it hangs",))
    faults += wait_for_orphans(system)
    system.heal()
    before = known_in(system.location)
    if any(codes) or before.bits.keys() != whole.known.bits.keys():
        grow_old(system)
        if fault.remedy:
            system.ended(system.command(*fault.remedy))
        system.arguments = ()
        ended = system.ended(system.start(1))
        if ended.code != 0:
            faults.append(f"it does not recover: {ended.error[-300:]}")
        elif ended.out != whole.findings:
            faults.append("it finds something else")
    faults += wait_for_orphans(system)
    faults += broken(system, whole.known, whole.files_for(fault))
    after = known_in(system.location)
    if again := [key for key, when in before.finished.items() if after.finished.get(key) != when]:
        faults.append(f"{len(again)} runs that were known were lost or done again")
    faults += left_in_database(system, ended_well=not any(codes))
    lost = len(whole.known.bits) - len(before.bits)
    return Round(fault.name, number, tuple(codes), lost, time.monotonic() - start, tuple(faults), hit)


def _said_wrong(fault: Fault, ended: Ended) -> list[str]:
    """What is wrong with how a driver ended, and with what it said."""
    faults = []
    if ended.code not in {*fault.codes, 0}:
        faults.append(f"it ended with {ended.code}: {ended.error[-300:]}")
    if "Traceback" in ended.error and ended.code >= 0:
        faults.append(f"a traceback: {ended.error[-600:]}")
    if "DIFFER" in ended.error:
        faults.append(f"a run has other bits when it is trained again: {ended.error[-300:]}")
    if fault.is_done_once and "had been trained elsewhere" in ended.error:
        faults.append(f"a run was trained by two drivers: {ended.error[-300:]}")
    return faults
