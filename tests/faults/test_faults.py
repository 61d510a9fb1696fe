"""One round of several kinds with fixed seeds, what faults were found, and whether the invariant sees what it must."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults import invariant
from tests.faults.disks import DAY, shim, why_no_shim
from tests.faults.kinds import FAULTS
from tests.faults.rounds import Whole, one_round, uninterrupted
from tests.faults.system import RUN_COUNT, System

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sees by /proc what is left")

# The others are a matter of `make faults`: a round takes seconds. (kind, seed)
ROUNDS = [
    ("SIGKILL of everything", "1"),
    ("the disk fills up", "2"),
    ("the driver's clock set forward", "3"),
    ("a row's document damaged", "4"),
]


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    with uninterrupted() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), ROUNDS, ids=lambda value: value)
def test_a_fault_loses_nothing(name: str, seed: str, whole: Whole) -> None:
    (fault,) = [fault for fault in FAULTS if fault.name == name]
    if why := fault.why_not():
        pytest.skip(why)
    assert one_round(fault, seed, whole).faults == ()


def test_kinds_have_names_of_their_own_and_may_end_well() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(0 in fault.codes for fault in FAULTS)


@pytest.mark.slow
def test_the_invariant_sees_what_is_wrong(whole: Whole) -> None:
    def broken() -> list[str]:
        return invariant.broken(whole.system, whole.known, whole.files)

    assert broken() == []
    store = whole.system.store
    intact = store.read_bytes()
    try:
        for statement, told in (
            ("DELETE FROM runs WHERE key = (SELECT min(key) FROM runs)", ["1 runs are missing"]),
            (
                "UPDATE runs SET document = x'00' WHERE key = (SELECT min(key) FROM runs)",
                ["1 runs are missing", "1 rows are damaged"],
            ),
        ):
            with closing(sqlite3.connect(store, isolation_level=None)) as connection:
                connection.execute(statement)
            assert broken() == told
            store.write_bytes(intact)
        key = min(whole.known.bits)
        other = invariant.Known(whole.known.bits | {key: ("other", None)}, {})
        assert invariant.broken(whole.system, other, whole.files) == ["1 runs have other bits"]
        fewer = {one: bits for one, bits in whole.known.bits.items() if one != key}
        assert invariant.broken(whole.system, invariant.Known(fewer, {}), whole.files) == [
            "1 runs are not of the study"
        ]
        left = whole.system.place / "tmp" / "left"
        left.write_text("")
        assert broken() == ["a file is left: tmp/left"]
        left.unlink()
    finally:
        store.write_bytes(intact)
    assert len(whole.known.bits) == RUN_COUNT


def test_an_orphan_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariant, "_SECONDS_TO_VANISH", 0.1)
    system = System(tmp_path / "round")
    environment = os.environ | {"FAULTS_ROUND": system.mark}
    orphan = subprocess.Popen(["sleep", "100"], env=environment, start_new_session=True)
    try:
        assert invariant.wait_for_orphans(system) == ["a process is left: sleep 100"]
    finally:
        system.end()
        orphan.wait()
    assert invariant.wait_for_orphans(system) == []
    assert not system.folder.exists()


CLOCKS = """
import sys, time
print(round(time.time()), round(time.monotonic()), flush=True)
sys.stdin.readline()
print(round(time.time()), round(time.monotonic()), flush=True)
"""


@pytest.mark.skipif(bool(why_no_shim()), reason=why_no_shim() or "it can")
def test_the_clock_of_one_process_is_set_and_what_only_goes_forward_is_not(tmp_path: Path) -> None:
    system = System(tmp_path / "round")
    environment = os.environ | {"LD_PRELOAD": str(shim()), "FAULTS_CONTROL": str(system.control)}
    for is_meant in (True, False):
        with subprocess.Popen(
            [sys.executable, "-c", CLOCKS],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            before = [int(word) for word in process.stdout.readline().split()]
            system.lead_shim(process.pid if is_meant else os.getpid(), clock_seconds=-2 * DAY)
            out, _ = process.communicate("\n", timeout=60)
        system.heal()
        after = [int(word) for word in out.split()]
        assert abs(after[0] - before[0] + (2 * DAY if is_meant else 0)) < 60
        assert 0 <= after[1] - before[1] < 60
    system.end()
