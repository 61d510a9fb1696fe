"""Worker processes: real ones, killed with real signals."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c.build import kernel
from digitlab.execution import workers
from digitlab.execution.events import Event, Failed, Failure, Finished
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from tests.execution.trainings import bits, ended_runs, in_workers, small

SECONDS_TO_VANISH = 120
"""Far more than any machine needs: only a fault waits for so long."""
BY_SIGKILL = "its worker was ended by SIGKILL (by hand, or by the system for want of memory)"
needs_maps = pytest.mark.skipif(sys.platform != "linux", reason="sees by /proc whether a worker trains")


def endless(seed: int) -> RunSpec:
    """Days of work, on any machine: a training that is still under way whenever a test looks at it."""
    return lab.make_spec(hidden=(100, 100), epochs=1_000_000, evaluate_at=[1], seed=seed)


def worker_processes(parent_pid: int | None = None) -> list[psutil.Process]:
    """The worker processes below a process: this one, or another."""
    found = []
    for process in psutil.Process(parent_pid).children(recursive=True):
        try:
            if "digitlab.execution.worker" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(autouse=True)
def _unpacked(mnist: Dataset) -> None:
    """The images are in the cache: whoever unpacks them at first has a copy instead of a map."""


def is_training(worker: psutil.Process) -> bool:
    """Whether a worker has the images in its hands: it maps them as the last thing before it trains."""
    try:
        return any(
            entry.path.startswith(os.environ["DIGITLAB_DATA"]) for entry in worker.memory_maps(grouped=True)
        )
    except psutil.Error:
        return False


def wait_for_work(parent_pid: int | None = None, count: int = 1) -> list[psutil.Process]:
    """Wait until so many workers train; pytest's own limit of time is the only one."""
    while True:
        busy = [process for process in worker_processes(parent_pid) if is_training(process)]
        if len(busy) >= count:
            return busy
        time.sleep(0.05)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=SECONDS_TO_VANISH)
    assert not alive


def first_result(events: Iterator[Event]) -> RunResult:
    return next(event.result for event in events if isinstance(event, Finished))


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
    assert not worker_processes()


def test_results_come_as_they_are_done_and_leaving_ends_the_workers() -> None:
    with in_workers([[endless(0)], [small(1)], [endless(2)]], workers=2) as training:
        assert first_result(iter(training)).spec == small(1)
        running = worker_processes()
        assert len(running) == 2
    assert_gone(running)


@needs_maps
def test_the_data_set_is_one_file_that_all_workers_map(data_directory: Path) -> None:
    with in_workers([[small(1)], [endless(2)], [endless(0)]], workers=2) as training:
        first_result(iter(training))
        for process in wait_for_work(count=2):
            paths = {entry.path for entry in process.memory_maps(grouped=True)}
            assert any(path.startswith(str(data_directory)) for path in paths)
            assert not any(path.startswith("/dev/shm") for path in paths)  # noqa: S108


@needs_maps
@pytest.mark.skipif(kernel("float32") is None, reason="no C compiler here: torch computes")
def test_a_worker_that_computes_by_the_kernel_loads_no_torch() -> None:
    with in_workers([[small(1)], [endless(0)]], workers=1) as training:
        first_result(iter(training))
        (worker,) = wait_for_work()
        libraries = [Path(entry.path).name for entry in worker.memory_maps(grouped=True)]
    assert any(name.startswith("kernel-") for name in libraries)
    assert not any("torch" in name for name in libraries)


@needs_maps
def test_a_killed_worker_loses_nothing(mnist: Dataset) -> None:
    """What was in its cohort is tried again in halves. One half ends at once, for it diverges; together with the
    other it could not have ended. That other one is killed twice more, and so fails."""
    diverging = lab.make_spec(endless(1), learning_rate=1e19)
    found: list[Event] = []

    def collect() -> None:
        with in_workers([[diverging, endless(0)]], workers=1) as training:
            found.extend(event for event in training if isinstance(event, Finished | Failed))

    collector = threading.Thread(target=collect)
    collector.start()
    killed = set[int]()
    while collector.is_alive():
        for process in worker_processes():
            if process.pid not in killed and is_training(process) and (found or not killed):
                process.send_signal(signal.SIGKILL)
                killed.add(process.pid)
        collector.join(0.05)
    finished, failed = found
    assert len(killed) == 3
    assert failed == Failed(endless(0).key, Failure(endless(0), BY_SIGKILL))
    assert isinstance(finished, Finished)
    ((alone, _),) = train_cohort([diverging], mnist)
    assert bits(finished.result) == bits(alone)


@needs_maps
def test_a_reader_that_does_not_read_stops_no_worker(tmp_path: Path) -> None:
    """The pipes of a process that is stopped fill up, with curves of many points; its workers train on."""
    script = "import sys; from tests.execution import test_workers; test_workers.leave_unread()"
    program = subprocess.Popen([sys.executable, "-c", script])
    try:
        (worker,) = wait_for_work(program.pid)
        program.send_signal(signal.SIGSTOP)
        pid = worker.pid
        before = psutil.Process(pid).cpu_times().user
        while (
            psutil.Process(pid).cpu_times().user < before + 3
        ):  # a worker that waits for its reader never does
            time.sleep(0.05)
        program.send_signal(signal.SIGCONT)
    finally:
        program.kill()
        program.wait()
    assert_gone([worker])


def leave_unread() -> None:
    """Train cohorts whose every step is a point of a curve, and read nothing of it."""
    often = {"train_size": 1_000, "epochs": 100_000, "validation_size": 0, "batch_size": 10}
    specs = [lab.make_spec(evaluate_at=range(1, 100_000), seed=seed, **often) for seed in range(10)]  # type: ignore[arg-type]
    with in_workers([specs], workers=1):
        signal.pause()


STARTED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
BROKEN = "import sys; sys.modules['numpy'] = None"
PRINTS = "print('good morning', flush=True); import atexit; atexit.register(print, 'good night')"


def before_workers(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Let every worker run a script first, as the interpreter starts."""
    (folder / "sitecustomize.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_worker_that_prints_on_stdout_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mnist: Dataset
) -> None:
    before_workers(monkeypatch, tmp_path, PRINTS)
    (result,) = ended_runs([[small(1)]], workers=1)
    assert isinstance(result, RunResult)


@pytest.mark.parametrize(
    ("script", "cause"),
    [(STARTED, BY_SIGKILL), (BROKEN, "its worker ended with exit code 1: ModuleNotFound")],
)
def test_workers_that_cannot_start_are_given_up_after_a_few_tries(
    script: str, cause: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "starts"
    before_workers(monkeypatch, tmp_path, f"open({str(log)!r}, 'a').write('x')\n{script}")
    failures = ended_runs([[small(seed) for seed in range(100)], [small(100)]], workers=2)
    assert len(failures) == 101
    for failure in failures:
        assert isinstance(failure, Failure)
        assert failure.cause.startswith(f"worker processes cannot start: {cause}")
        assert failure.cause.endswith("; use --workers 1")
    assert len(log.read_text()) <= 6  # not a start for each of 101 runs
    assert not worker_processes()


# A worker that gives an intact first reply, then this instead of results, and lives on.
ODD_WORKER = """#!{python}
import os, signal, sys
from digitlab.execution.protocol import Done, Ready, send
replies = os.fdopen(int(sys.argv[-1]), "wb")
{first}
sys.stdin.buffer.read(1)
{then}
replies.flush()
signal.pause()
"""
READY = "send(Ready(), replies)"
RUBBISH = "replies.write(b'INFO: rubbish, more of it than a header is long')"


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (RUBBISH, "it is not a reply"),
        ("import struct; replies.write(struct.pack('>8sQ', b'digitlab', 3) + b'abc')", ""),
        ("send(3, replies)", ""),
        ("send(Done(['a result'], ''), replies)", ""),
        ("send(Done([], ''), replies)", "it is for other runs"),
        ("send(Ready(), replies)", "it says nothing of the cohort"),
        ("replies.close(); signal.pause()", None),
    ],
)
def test_a_worker_that_answers_rubbish_and_lives_on_is_a_failure(
    then: str, reason: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers, "_SECONDS_TO_END", 0.1)
    odd = tmp_path / "python"
    odd.write_text(ODD_WORKER.format(python=sys.executable, first=READY, then=then))
    odd.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(odd))
    (failure,) = ended_runs([[small(1)]], workers=1)
    assert isinstance(failure, Failure)
    cause = "no longer answered" if reason is None else f"'s answer cannot be read ({reason}"
    assert failure.cause.startswith(f"its worker{' ' if reason is None else ''}{cause}")
    assert not worker_processes()


def test_rubbish_instead_of_a_first_word_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = tmp_path / "python"
    odd.write_text(ODD_WORKER.format(python=sys.executable, first=f"{RUBBISH}; replies.flush()", then=""))
    odd.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(odd))
    (failure,) = ended_runs([[small(1)]], workers=1)
    assert isinstance(failure, Failure)
    assert failure.cause.startswith(
        "worker processes cannot start: its worker's answer cannot be read (it is not a reply"
    )


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
    cause = "its worker ended with exit code 3: no torch here"
    (failure,) = ended_runs([[small(1)]], workers=1)
    assert failure == Failure(small(1), f"worker processes cannot start: {cause}; use --workers 1")


# --- the whole program ---


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "digitlab", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@needs_maps
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_whatever_ends_the_program_ends_its_workers(sent: signal.Signals, code: int) -> None:
    program = start("exercise", "--no-studies", "--epochs", "100000", "--workers", "2")
    try:
        running = wait_for_work(program.pid, count=2)
        os.kill(program.pid, sent)
        _, errors = program.communicate(timeout=SECONDS_TO_VANISH)
    finally:
        program.kill()
    assert program.returncode == code
    assert "Traceback" not in errors
    assert_gone(running)
