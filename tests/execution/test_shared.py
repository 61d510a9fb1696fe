"""Several drivers at one study, as real processes on a real PostgreSQL."""

import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from digitlab.data import Dataset
from digitlab.engine.lockstep import train_cohort
from digitlab.errors import StoreError
from digitlab.execution.events import Cancelled, Failed, Finished
from digitlab.execution.in_process import InProcess
from digitlab.execution.shared import Shared
from digitlab.store import Filter, open_store
from digitlab.store.claims import LEASE_SECONDS
from tests.execution.trainings import Taken, small, training_of
from tests.postgresql import Server

SECONDS = 600
SHORT = 2.0
"""Seconds of a lease whose end is waited for; where a slow machine lets one end early, nothing here goes wrong."""

# Every result that comes is written down, also where the store knew it already.
DRIVER = """
import sys, time
from digitlab.store import claims
claims.LEASE_SECONDS = {lease}
from digitlab.store import open_store
from digitlab.studies import read_study_at
from digitlab.studies.runner import run_study
from digitlab.execution.events import Started, Finished

def on_events(events):
    for event in events:
        if isinstance(event, (Started, Finished)):
            print(type(event).__name__, event.key, flush=True)

study, _ = read_study_at(sys.argv[1], None)
store = open_store(sys.argv[2])
print("open", flush=True)
if "wait" in sys.argv:
    sys.stdin.readline()
stage = run_study(study, store, workers=1, on_events=on_events, on_note=lambda note: print("note", note, flush=True))
print("done", len(stage.missing), flush=True)
"""

STUDY = """\
name = "shared"
title = "A study for two"
question = "Who trains what?"

[fixed]
steps = {steps}
train_size = {train_size}
validation_size = 100

[[axes]]
name = "hidden"
values = [{widths}]

[[axes]]
name = "learning_rate"
values = [0.1, 0.2]

[seeds]
report = {seeds}
"""


def study_of(folder: Path, *, widths: range, seeds: int, steps: int, train_size: int = 200) -> Path:
    """A study of 2 · widths · seeds runs, a cohort each width at least."""
    layers = ", ".join(f"[{width}]" for width in widths)
    path = folder / "shared.toml"
    path.write_text(STUDY.format(widths=layers, seeds=seeds, steps=steps, train_size=train_size))
    return path


@pytest.fixture
def drivers() -> Iterator[list["subprocess.Popen[str]"]]:
    """Those that were started; they are gone at the end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.communicate()


def drive(
    started: list["subprocess.Popen[str]"], study: Path, url: str, lease: float = SHORT, wait: bool = False
) -> "subprocess.Popen[str]":
    """Start a driver; one that waits begins when a line is written to it (see `go`)."""
    started.append(
        subprocess.Popen(
            [sys.executable, "-c", DRIVER.format(lease=lease), str(study), url, *["wait"] * wait],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    return started[-1]


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def end(process: "subprocess.Popen[str]") -> list[str]:
    out, error = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, error
    return out.splitlines()


def finished(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines if line.startswith("Finished")]


def wait_for(process: "subprocess.Popen[str]", word: str) -> list[str]:
    """Read what a driver prints until a line begins with this word."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith(word):
            return lines
    raise AssertionError(lines)


def keys_in(url: str) -> set[str]:
    with closing(open_store(url)) as store:
        assert store.verify().set_aside == ()
        return set(store.keys(Filter()))


def test_what_others_hold_ends_as_cancelled_and_the_rest_is_claimed_as_there_is_room(mnist: Dataset) -> None:
    mixed, theirs = [small(0), small(1)], [small(2), small(3)]
    more = [[small(seed, hidden=(5,))] for seed in range(4, 8)]
    claims = Taken(by_others={mixed[1].key, *(spec.key for spec in theirs)})
    executor = Shared(InProcess(lambda specs, watch: train_cohort(specs, mnist, watch=watch)), claims)
    most = 0
    ended: dict[str, type] = {}
    with training_of(executor, [mixed, theirs, *more]) as training:
        for event in training:
            if isinstance(event, Finished | Failed | Cancelled):
                ended[event.key] = type(event)
                done = sum(kind is Finished for kind in ended.values())
                most = max(most, len(claims.granted) - done)
        assert not claims.is_closed
    kinds = [[ended[spec.key] for spec in specs] for specs in (mixed, theirs, *more)]
    assert kinds == [[Finished, Cancelled], [Cancelled, Cancelled], *[[Finished]] * 4]
    assert most <= 3  # one that trains, one that waits, one that is just being claimed
    assert claims.is_closed


def test_a_store_that_cannot_be_asked_fails_the_runs_with_its_words(mnist: Dataset) -> None:
    class Broken(Taken):
        def claim(self, keys: Collection[str]) -> frozenset[str]:
            raise StoreError("team: the server cannot be reached")

    executor = Shared(InProcess(lambda specs, watch: train_cohort(specs, mnist, watch=watch)), Broken([]))
    with training_of(executor, [[small(0)], [small(1)]]) as training:
        failed = [event for event in training if isinstance(event, Failed)]
    assert [event.failure.cause for event in failed] == ["team: the server cannot be reached"] * 2


def test_two_drivers_do_each_of_500_runs_once(
    postgresql: Server, tmp_path: Path, drivers: list["subprocess.Popen[str]"]
) -> None:
    url = postgresql.make_database("five-hundred")
    study = study_of(tmp_path, widths=range(4, 29), seeds=10, steps=20)
    for process in [drive(drivers, study, url, lease=LEASE_SECONDS) for _ in range(2)]:
        assert process.poll() is None
    told = [end(process) for process in drivers]
    done = [finished(lines) for lines in told]
    assert len(done[0]) + len(done[1]) == len({*done[0], *done[1]}) == 500
    assert keys_in(url) == {*done[0], *done[1]}
    assert [lines[-1] for lines in told] == ["done 0", "done 0"]
    assert postgresql.execute("five-hundred", "SELECT count(*) FROM claims") == [(0,)]
    assert all(done), "one driver did everything"


def test_of_500_runs_none_is_lost_or_doubled_by_a_killed_driver_and_a_stopped_one(
    postgresql: Server, tmp_path: Path, drivers: list["subprocess.Popen[str]"]
) -> None:
    """One is killed while it trains, one stands still past its lease and goes on; a third does what is left."""
    url = postgresql.make_database("killed-and-stopped")
    study = study_of(tmp_path, widths=range(4, 29), seeds=10, steps=60)
    other = drive(drivers, study, url, wait=True)
    wait_for(other, "open")
    victim, sleeper = drive(drivers, study, url), drive(drivers, study, url)
    woken = wait_for(sleeper, "Started")
    sleeper.send_signal(signal.SIGSTOP)
    wait_for(victim, "Started")
    go(other)
    lines = wait_for(other, "note of ")
    assert f"process {victim.pid} on " in lines[-1]
    assert f"process {sleeper.pid} on " in lines[-1]
    victim.kill()
    lines += end(other)
    assert lines[-1] == "done 0"
    assert len(keys_in(url)) == 500
    sleeper.send_signal(signal.SIGCONT)
    woken += end(sleeper)
    assert woken[-1] == "done 0"
    late = [line for line in woken if "had been trained elsewhere when their results came" in line]
    assert late
    assert all(line.endswith("all are the same to the last bit") for line in late)
    trained = [finished(each) for each in (lines, woken)]
    assert len(trained[0]) == len(set(trained[0]))
    assert len(keys_in(url)) == 500
    assert postgresql.execute("killed-and-stopped", "SELECT count(*) FROM runs") == [(500,)]
