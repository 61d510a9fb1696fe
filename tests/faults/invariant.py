"""What holds after every fault: the store is that of an uninterrupted study, and nothing else is left."""

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from digitlab.errors import StoreError
from digitlab.store import Filter, open_store
from tests.faults.system import System

_MAY_DIFFER = {"provenance": {"seconds", "finished", "threads"}}
"""Two computations of one run differ in how long they took, when they ended, and how many threads they had."""
_SECONDS_TO_VANISH = 60.0
_LONGER_THAN_KEPT_SECONDS = 25 * 3600


@dataclass(frozen=True)
class Known:
    """What a store holds.

    bits:     key -> all that two computations of its run have in common, predictions included
    finished: key -> when it ended and how long it took, which tells two computations of it apart
    """

    bits: dict[str, tuple[str, bytes | None]]
    finished: dict[str, tuple[str, float]]


def known_in(place: Path | str) -> Known:
    """All intact runs of a store; none where there is no store."""
    if isinstance(place, Path) and (not place.exists() or place.stat().st_size == 0):
        return Known({}, {})
    with closing(open_store(place, must_exist=isinstance(place, Path))) as store:
        keys = store.keys(Filter())
        if len(keys) != len(set(keys)):
            raise StoreError(f"{place}: a run is there twice")
        found = store.get(keys, predictions=True)
    return Known(
        {
            key: (result.model_dump_json(exclude=_MAY_DIFFER), result.predictions)
            for key, result in found.items()
        },
        {key: (run.provenance.finished, run.provenance.seconds) for key, run in found.items()},
    )


def wait_for_orphans(system: System) -> list[str]:
    """What still runs of a system whose drivers have ended, a while after that."""
    end = time.monotonic() + _SECONDS_TO_VANISH
    while found := system.processes():
        if time.monotonic() > end:
            return [f"a process is left: {' '.join(process.cmdline())}" for process in found]
        time.sleep(0.05)
    return []


def grow_old(system: System) -> None:
    """Let a day pass for what a kill has left: a later run takes it away when nobody can be at it any more."""
    then = time.time() - _LONGER_THAN_KEPT_SECONDS
    for folder in ("cache", "data", "tmp"):
        for path in (system.place / folder).rglob("*"):
            if "partial" in path.name or path.name.startswith("digitlab-"):
                os.utime(path, (then, then))


def broken(system: System, expected: Known, files: frozenset[str]) -> list[str]:
    """What of the invariant does not hold, in sentences; empty: it holds."""
    found = known_in(system.location)
    faults = []
    if missing := expected.bits.keys() - found.bits.keys():
        faults.append(f"{len(missing)} runs are missing")
    if more := found.bits.keys() - expected.bits.keys():
        faults.append(f"{len(more)} runs are not of the study")
    if other := [key for key, bits in found.bits.items() if expected.bits.get(key, bits) != bits]:
        faults.append(f"{len(other)} runs have other bits")
    with closing(open_store(system.location, must_exist=True)) as store:
        if wrong := store.verify().set_aside:
            faults.append(f"{len(wrong)} rows are damaged")
    # What can be made again may be gone: then the fault took it.
    folders = {str(folder) for name in files for folder in Path(name).parents} | {"cache", "cache/digitlab"}
    faults += [f"a file is left: {name}" for name in sorted(files_in(system) - files - folders)]
    return faults


def files_in(system: System) -> frozenset[str]:
    """All files and empty folders in the place of a system; a kernel without the digests in its name."""
    found = set()
    for path in system.place.rglob("*"):
        if path.is_file() or not any(path.iterdir()):
            name = str(path.relative_to(system.place))
            found.add("kernel" if path.suffix == ".so" else name)
    return frozenset(found)
