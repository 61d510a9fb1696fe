"""Worker processes on this machine: cohorts in, results out as they finish; little can be lost.

A worker is a process of its own, started afresh (not forked), fed through pipes by a thread of this process.
When one is lost, whether it crashed or the system killed it for want of memory, or answers with anything but
results, its cohort is tried again in halves; a run that fails alone twice is a Failure. Where no worker can
even start, trying other halves would not help: that is an error.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from digitlab.engine.lockstep.c.build import for_workers
from digitlab.errors import RunError
from digitlab.execution.worker import receive
from digitlab.result import RunResult
from digitlab.spec import RunSpec

_ATTEMPTS = 2
_SECONDS_TO_NOTICE = 0.5
_SECONDS_TO_END = 5.0
"""A worker that no longer answers gets so long to end by itself, and so to say why."""
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Failure:
    """A run that was tried and has no result. The next one that asks for it tries again."""

    spec: RunSpec
    cause: str


Specs = Sequence[RunSpec]


@dataclass(frozen=True)
class _Ended:
    """What came of a cohort: results; or none, and why.

    began: whether the worker was ready for it
    """

    specs: Specs
    results: Sequence[RunResult]
    cause: str
    began: bool


def train_cohorts(
    cohorts: Sequence[Specs], *, workers: int, device: str = "cpu", save: Path | None = None
) -> Generator[Sequence[RunResult | Failure], None, None]:
    """Train cohorts in worker processes; each is told as soon as it is done, with all that came of it.

    cohorts: the longest first
    workers: how many processes
    save:    a folder into which each worker writes the networks that it has trained
    Closing the iterator, or an exception such as Ctrl-C's, ends all workers.
    Raises RunError when workers cannot start.
    """
    orders: queue.SimpleQueue[Specs | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
    for cohort in cohorts:
        orders.put(cohort)
    # Found or built once, before there are workers: they would all build it, or wait for the same compiler.
    kernels = for_workers({spec.precision for specs in cohorts for spec in specs}) if device == "cpu" else {}
    under_way, failures, failed_starts = len(cohorts), Counter[str](), 0
    crew: list[_Worker] = []
    try:
        crew.extend(_Worker(orders, done, device, save, kernels) for _ in range(min(workers, len(cohorts))))
        while under_way:
            try:
                ended = done.get(timeout=_SECONDS_TO_NOTICE)
            except queue.Empty:
                continue
            specs = ended.specs
            if not ended.began:
                failed_starts += 1
                if failed_starts == _ATTEMPTS * len(crew):
                    raise RunError(f"worker processes cannot start: {ended.cause}; use --workers 1")
                orders.put(specs)
                continue
            under_way, failed_starts = under_way - 1, 0
            if ended.results:
                yield ended.results
            elif len(specs) > 1:
                half = len(specs) // 2
                orders.put(specs[:half])
                orders.put(specs[half:])
                under_way += 2
            else:
                failures[specs[0].key] += 1
                if failures[specs[0].key] < _ATTEMPTS:
                    orders.put(specs)
                    under_way += 1
                else:
                    yield [Failure(specs[0], ended.cause)]
    finally:
        for _ in crew:
            orders.put(None)
        for worker in crew:
            worker.end()


def _file_for_last_words() -> IO[bytes]:
    """Where a worker's stderr goes. Without a temporary folder its last words are lost, and nothing else."""
    try:
        return cast("IO[bytes]", tempfile.TemporaryFile())
    except OSError:
        return Path(os.devnull).open("w+b")


class _Worker:
    """A process and the thread that feeds it. A process that is lost is replaced when there is more to do."""

    def __init__(
        self,
        orders: "queue.SimpleQueue[Specs | None]",
        done: "queue.SimpleQueue[_Ended]",
        device: str,
        save: Path | None,
        kernels: dict[str, str],
    ) -> None:
        self._orders, self._done, self._device, self._kernels = orders, done, device, kernels
        self._save = None if save is None else str(save)
        self._errors = _file_for_last_words()
        self._process: subprocess.Popen[bytes]
        self._replies: IO[bytes]
        self._is_ready = self._is_ending = False
        self._start()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End process and thread, whatever they are doing."""
        self._is_ending = True
        while self._thread.is_alive():  # it may just be starting another process
            self._process.kill()
            self._thread.join(_SECONDS_TO_NOTICE)
        self._let_go()
        self._errors.close()

    def _serve(self) -> None:
        while not self._is_ending and (specs := self._orders.get()) is not None:
            self._done.put(self._train(specs))

    def _train(self, specs: Specs) -> _Ended:
        """Whatever goes wrong is an end: the thread goes on, and nobody waits for it in vain."""
        try:
            if self._process.poll() is not None:
                self._let_go()
                self._start()
            if not self._is_ready:
                receive(self._replies)
                self._is_ready = True
            pickle.dump(
                (self._device, [spec.canonical_json for spec in specs], self._save),
                self._pipe(self._process.stdin),
            )
            self._pipe(self._process.stdin).flush()
            results, cause = receive(self._replies)
            if results and [result.spec for result in results] != list(specs):
                raise ValueError("it is for other runs")  # noqa: TRY301
        except RunError as error:
            results, cause = [], str(error)
        except (OSError, EOFError):
            results, cause = [], self._last_words()
        except Exception as error:  # noqa: BLE001  # what is unpickled from no reply may raise anything
            results, cause = [], f"its worker's answer cannot be read ({error})"
            self._process.kill()
            self._process.wait()
        return _Ended(specs, results, cause, self._is_ready)

    def _start(self) -> None:
        package = Path(__file__).parents[2]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | dict.fromkeys(_THREAD_SETTINGS, "1")
        self._is_ready = False
        source, target = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603
                # -P: what lies in the current folder must not stand in for a library.
                [sys.executable, "-P", "-m", "digitlab.execution.worker", str(target)],
                stdin=subprocess.PIPE,
                stdout=self._errors,
                stderr=self._errors,
                env=environment | self._kernels | {"PYTHONPATH": os.pathsep.join(paths)},
                pass_fds=[target],
                start_new_session=True,  # Ctrl-C in the terminal is for us alone
            )
            self._replies = os.fdopen(source, "rb")
        except OSError as error:
            os.close(source)
            raise RunError(
                f"a worker process cannot be started ({error.strerror}); use --workers 1"
            ) from None
        finally:
            os.close(target)

    def _let_go(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._pipe(self._process.stdin), self._replies):
            with suppress(OSError):
                stream.close()

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        return cast("IO[bytes]", stream)

    def _last_words(self) -> str:
        """Why the process is gone; where it is not, it is ended."""
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "its worker no longer answered"
        if code < 0:
            name = signal.Signals(-code).name
            reason = " (by hand, or by the system for want of memory)" if name == "SIGKILL" else ""
            return f"its worker was ended by {name}{reason}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its worker ended with exit code {code}{': ' + lines[-1] if lines else ''}"
