"""Faults of disk and clock: full, limited, slow; emptied caches; a clock that was set."""

import os
import resource
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from random import Random

import psutil

from tests.faults.fault import Do, Fault
from tests.faults.system import System

DAY = 24 * 3600


@cache
def shim() -> Path | None:
    """The library that moves clocks and slows disks, built once for this program; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        return None
    folder = tempfile.TemporaryDirectory(prefix="digitlab-faults-shim-")
    _kept.append(folder)
    library = Path(folder.name) / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-O1", "-Wall", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return library


_kept: "list[tempfile.TemporaryDirectory[str]]" = []


def why_no_shim() -> str:
    return "" if shim() else "needs a C compiler, on Linux"


@cache
def why_no_mount() -> str:
    """Why no small disk can be mounted here."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, text=True)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return f"mounts a disk: {done.stderr.strip()}" if done.returncode else ""


def _on_small_disk(system: System, rng: Random) -> None:
    """The store lies on a disk of 8 kB to 300 kB until it is healed; it needs about 250 kB."""
    size = rng.choice([8, 24, 60, 100, 160, 300])
    _mounted(system, f"{size}k")


def _on_disk(system: System, rng: Random) -> None:
    _mounted(system, "4m")


def _mounted(system: System, size: str) -> None:
    folder = str(system.place / "store")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)

    def heal() -> None:
        subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)

    system.undo.append(heal)


def _fills_up(system: System, rng: Random) -> None:
    """Another program takes all room that is left."""
    system.wait_for_a_moment(rng)
    ballast = system.place / "store" / "ballast"
    system.undo.append(ballast.unlink)
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _may_not_grow(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng)
    limit = rng.choice([0, 40_000, 100_000, 200_000])
    try:
        resource.prlimit(system.driver.pid, resource.RLIMIT_FSIZE, (limit, limit))
    except ProcessLookupError:
        return


def _slow(system: System, rng: Random) -> None:
    system.wait_for_a_moment(rng)
    system.lead_shim(0, disk_microseconds=rng.choice([5_000, 20_000, 50_000]))


def _clock(sign: int, *, worker: bool = False) -> Do:
    def inject(system: System, rng: Random) -> None:
        system.wait_for_a_moment(rng)
        processes = system.wait_for_crew() if worker else [psutil.Process(system.driver.pid)]
        for process in processes[:1]:
            system.lead_shim(process.pid, clock_seconds=sign * rng.choice([60, 3 * 3600, 2 * DAY, 400 * DAY]))

    return inject


def _with_time_limit(system: System, rng: Random) -> None:
    """An hour, which a study of seconds does not reach, wherever the clock is set to."""
    system.arguments = ("--time-limit", "60")


def _emptied(*folders: str) -> Do:
    def inject(system: System, rng: Random) -> None:
        system.wait_for_a_moment(rng)
        for folder in folders:
            for entry in (system.place / folder).iterdir():
                shutil.rmtree(entry, ignore_errors=True)
        time.sleep(rng.uniform(0, 0.1))

    return inject


FULL = (0, 1)

FAULTS = (
    Fault(
        "a disk of 8 to 300 kB",
        lambda *_: None,
        FULL,
        _on_small_disk,
        why_no_mount,
        is_there_from_the_start=True,
    ),
    Fault("the disk fills up", _fills_up, FULL, _on_disk, why_no_mount),
    Fault("files may not grow", _may_not_grow, FULL),
    Fault("a slow disk", _slow, why_not=why_no_shim),
    Fault("the driver's clock set forward", _clock(1), prepare=_with_time_limit, why_not=why_no_shim),
    Fault("the driver's clock set back", _clock(-1), prepare=_with_time_limit, why_not=why_no_shim),
    Fault("a worker's clock set forward", _clock(1, worker=True), why_not=why_no_shim),
    Fault("kernels emptied", _emptied("cache"), FULL),
    Fault("data sets emptied", _emptied("data"), FULL),
    Fault("temporary folder emptied", _emptied("tmp"), FULL),
)
