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
from digitlab.data import Dataset
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c.build import kernel
from digitlab.errors import RunError
from digitlab.execution import workers
from digitlab.execution.workers import Failure, train_cohorts
from digitlab.result import RunResult
from digitlab.spec import RunSpec

SECONDS_TO_VANISH = 120
"""Far more than any machine needs: only a fault waits for so long."""
BY_SIGKILL = "its worker was ended by SIGKILL (by hand, or by the system for want of memory)"
needs_maps = pytest.mark.skipif(sys.platform != "linux", reason="sees by /proc whether a worker trains")


def small(seed: int, **options: object) -> RunSpec:
    fields = {"hidden": (20,), "train_size": 2_000, "epochs": 2, "learning_rate": 0.1} | options
    return lab.make_spec(seed=seed, **fields)  # type: ignore[arg-type]


def endless(seed: int) -> RunSpec:
    """Days of work, on any machine: a training that is still under way whenever a test looks at it."""
    return lab.make_spec(hidden=(100, 100), epochs=1_000_000, evaluate_at=[1], seed=seed)


def worker_processes(of: int | None = None) -> list[psutil.Process]:
    """The worker processes below a process: this one, or another."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
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


def wait_for_work(of: int | None = None, count: int = 1) -> list[psutil.Process]:
    """Wait until so many workers train; pytest's own limit of time is the only one."""
    while True:
        busy = [process for process in worker_processes(of) if is_training(process)]
        if len(busy) >= count:
            return busy
        time.sleep(0.05)


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
    assert not worker_processes()


def test_results_come_as_they_are_done_and_closing_ends_the_workers() -> None:
    ended = train_cohorts([[endless(0)], [small(1)], [endless(2)]], workers=2)
    (first,) = next(ended)
    assert isinstance(first, RunResult)
    assert first.spec == small(1)
    running = worker_processes()
    assert len(running) == 2
    ended.close()
    assert_gone(running)


@needs_maps
def test_the_data_set_is_one_file_that_all_workers_map(data_directory: Path) -> None:
    ended = train_cohorts([[small(1)], [endless(2)], [endless(0)]], workers=2)
    next(ended)
    for process in wait_for_work(count=2):
        paths = {entry.path for entry in process.memory_maps(grouped=True)}
        assert any(path.startswith(str(data_directory)) for path in paths)
        assert not any(path.startswith("/dev/shm") for path in paths)  # noqa: S108
    ended.close()


@needs_maps
@pytest.mark.skipif(kernel("float32") is None, reason="no C compiler here: torch computes")
def test_a_worker_that_computes_by_the_kernel_loads_no_torch() -> None:
    ended = train_cohorts([[small(1)], [endless(0)]], workers=1)
    next(ended)
    (worker,) = wait_for_work()
    libraries = [Path(entry.path).name for entry in worker.memory_maps(grouped=True)]
    ended.close()
    assert any(name.startswith("kernel-") for name in libraries)
    assert not any("torch" in name for name in libraries)


@needs_maps
def test_a_killed_worker_loses_nothing(mnist: Dataset) -> None:
    """What was in its cohort is tried again in halves. One half ends at once, for it diverges; together with the
    other it could not have ended. That other one is killed twice more, and so fails."""
    diverging = lab.make_spec(endless(1), learning_rate=1e19)
    found: list[RunResult | Failure] = []

    def collect() -> None:
        for results in train_cohorts([[diverging, endless(0)]], workers=1):
            found.extend(results)

    collector = threading.Thread(target=collect)
    collector.start()
    killed = set[int]()
    while collector.is_alive():
        for process in worker_processes():
            if process.pid not in killed and is_training(process) and (found or not killed):
                process.send_signal(signal.SIGKILL)
                killed.add(process.pid)
        collector.join(0.05)
    result, failure = found
    assert len(killed) == 3
    assert failure == Failure(endless(0), BY_SIGKILL)
    assert isinstance(result, RunResult)
    ((alone, _),) = train_cohort([diverging], mnist)
    assert bits(result) == bits(alone)


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
def test_workers_that_cannot_start_end_in_an_error_after_a_few_tries(
    script: str, cause: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "starts"
    before_workers(monkeypatch, tmp_path, f"open({str(log)!r}, 'a').write('x')\n{script}")
    with pytest.raises(RunError, match="worker processes cannot start: ") as told:
        ended_runs([[small(seed) for seed in range(100)], [small(100)]], workers=2)
    assert cause in str(told.value)
    assert str(told.value).endswith("; use --workers 1")
    assert len(log.read_text()) <= 6  # not a start for each of 101 runs
    assert not worker_processes()


# A worker that gives an intact first reply, then this instead of results, and lives on.
ODD_WORKER = """#!{python}
import os, signal, sys
from digitlab.execution.worker import send
replies = os.fdopen(int(sys.argv[-1]), "wb")
{first}
sys.stdin.buffer.read(1)
{then}
replies.flush()
signal.pause()
"""
READY = 'send(([], ""), replies)'
RUBBISH = "replies.write(b'INFO: rubbish, more of it than a header is long')"


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (RUBBISH, "it is not a reply"),
        ("import struct; replies.write(struct.pack('>8sQ', b'digitlab', 3) + b'abc')", ""),
        ("send(3, replies)", ""),
        ("send((['a result'], ''), replies)", ""),
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
    said = "no longer answered" if reason is None else f"'s answer cannot be read ({reason}"
    assert failure.cause.startswith(f"its worker{' ' if reason is None else ''}{said}")
    assert not worker_processes()


def test_rubbish_instead_of_a_first_word_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = tmp_path / "python"
    odd.write_text(ODD_WORKER.format(python=sys.executable, first=f"{RUBBISH}; replies.flush()", then=""))
    odd.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(odd))
    with pytest.raises(RunError, match="cannot start: its worker's answer cannot be read"):
        ended_runs([[small(1)]], workers=1)


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
    with pytest.raises(RunError, match=f"^worker processes cannot start: {cause}; use --workers 1$"):
        ended_runs([[small(1)]], workers=1)


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
