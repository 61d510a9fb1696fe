"""Worker processes: real ones, killed with real signals."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from digitlab import lab
from digitlab.datasets import Dataset
from digitlab.dispatch.local import Failure, train_cohorts
from digitlab.engine.lockstep import train_cohort
from digitlab.result import RunResult
from digitlab.spec import RunSpec

SECONDS_TO_VANISH = 20


def small(seed: int, **wishes: object) -> RunSpec:
    fields = {"hidden": (20,), "train_size": 2_000, "epochs": 2, "learning_rate": 0.1} | wishes
    return lab.make_spec(seed=seed, **fields)  # type: ignore[arg-type]


def long(seed: int) -> RunSpec:
    """Some seconds of work."""
    return lab.make_spec(hidden=(100, 100), epochs=12, seed=seed)


def workers(of: int | None = None) -> list[psutil.Process]:
    """The worker processes below a process: this one, or another."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        try:
            if "digitlab.dispatch.worker" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_for_work(of: int | None = None) -> list[psutil.Process]:
    """Wait until some worker has been computing for a while, in the middle of a cohort."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        busy = [process for process in workers(of) if process.cpu_times().user > 4]
        if busy:
            return busy
        time.sleep(0.05)
    raise AssertionError("no worker works")


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=SECONDS_TO_VANISH)
    assert not alive


def ended_runs(cohorts: Sequence[Sequence[RunSpec]], workers: int) -> list[RunResult | Failure]:
    return [run for cohort in train_cohorts(cohorts, workers=workers) for run in cohort]


def bits(result: RunResult) -> tuple[str, bytes | None]:
    return result.model_dump_json(exclude={"provenance"}), result.predictions


def only_results(found: Sequence[RunResult | Failure]) -> dict[str, RunResult]:
    results = [result for result in found if isinstance(result, RunResult)]
    assert len(results) == len(found)
    return {result.key: result for result in results}


def test_workers_give_the_bits_that_this_process_gives(mnist: Dataset) -> None:
    cohorts = [[small(seed) for seed in range(3)], [small(7, hidden=())], [small(8, batch_size=64)]]
    found = only_results(ended_runs(cohorts, workers=2))
    assert len(found) == 5
    for cohort in cohorts:
        for spec in cohort:
            ((alone, _),) = train_cohort([spec], mnist)
            assert bits(found[spec.key]) == bits(alone)
            assert found[spec.key].provenance.threads == 1
    assert not workers()


def test_results_come_as_they_are_done_and_closing_ends_the_workers() -> None:
    ended = train_cohorts([[long(0)], [small(1)], [long(2)]], workers=2)
    (first,) = next(ended)
    assert isinstance(first, RunResult)
    assert first.spec == small(1)
    running = workers()
    assert len(running) == 2
    ended.close()
    assert_gone(running)


def test_the_data_set_is_one_file_that_all_workers_map(data_directory: Path, mnist: Dataset) -> None:
    ended = train_cohorts([[small(1)], [small(2)], [long(0)]], workers=2)
    next(ended)
    if sys.platform == "linux":
        deadline = time.monotonic() + 60
        while True:  # one of them may still be starting
            maps = [{entry.path for entry in process.memory_maps()} for process in workers()]
            if all(any(path.startswith(str(data_directory)) for path in paths) for paths in maps):
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert not any(path.startswith("/dev/shm") for paths in maps for path in paths)  # noqa: S108
    ended.close()


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(mnist: Dataset) -> None:
    specs = [long(seed) for seed in range(2)]
    killed = []

    def kill() -> None:
        (victim, *_) = wait_for_work()
        victim.send_signal(signal.SIGKILL)
        killed.append(victim)

    killer = threading.Thread(target=kill)
    killer.start()
    found = only_results(ended_runs([specs, [small(5)]], workers=1))
    killer.join()
    assert killed
    assert set(found) == {spec.key for spec in (*specs, small(5))}
    ((alone, _),) = train_cohort([specs[1]], mnist)
    assert bits(found[specs[1].key]) == bits(alone)


def test_runs_whose_workers_always_die_fail_with_the_cause() -> None:
    over = threading.Event()

    def kill_all() -> None:
        while not over.wait(0.05):
            for process in workers():
                process.kill()

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        ended = ended_runs([[long(seed) for seed in range(3)]], workers=2)
    finally:
        over.set()
        killer.join()
    assert all(isinstance(failure, Failure) for failure in ended)
    assert {failure.spec.seed for failure in ended} == {0, 1, 2}
    expected = "its worker was ended by SIGKILL (by hand, or by the system for want of memory)"
    assert {failure.cause for failure in ended if isinstance(failure, Failure)} == {expected}


def test_what_goes_wrong_in_a_worker_is_told(default_spec: RunSpec) -> None:
    unknown = default_spec.data.model_copy(update={"name": "nowhere"})
    ended = ended_runs([[default_spec.model_copy(update={"data": unknown})], [small(1)]], workers=1)
    failures = [failure for failure in ended if isinstance(failure, Failure)]
    assert len(ended) == 2
    assert len(failures) == 1
    assert "'nowhere' is not the name of a data set" in failures[0].cause


def test_a_worker_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no torch here' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    (failure,) = ended_runs([[small(1)]], workers=1)
    assert isinstance(failure, Failure)
    assert failure.cause == "its worker ended with exit code 3: no torch here"


# --- the whole program ---


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "digitlab", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_whatever_ends_the_program_ends_its_workers(sent: signal.Signals, code: int) -> None:
    program = start("exercise", "--no-studies", "--seeds", "40", "--workers", "2")
    try:
        wait_for_work(program.pid)
        running = workers(program.pid)
        assert len(running) == 2
        os.kill(program.pid, sent)
        _, errors = program.communicate(timeout=SECONDS_TO_VANISH)
    finally:
        program.kill()
    assert program.returncode == code
    assert "Traceback" not in errors
    assert_gone(running)
