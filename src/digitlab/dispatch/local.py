"""Worker processes on this machine: cohorts in, results out as they finish; little can be lost.

A worker is a process of its own, started afresh (not forked), fed through pipes by a thread of this process.
When one is lost, whether it crashed or the system killed it for want of memory, its cohort is tried again in
halves; a run that fails alone twice is a Failure.
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

import digitlab
from digitlab.dispatch.worker import Reply
from digitlab.engine.lockstep.compiler import for_workers
from digitlab.errors import RunError
from digitlab.result import RunResult
from digitlab.spec import RunSpec

_ATTEMPTS = 2
_SECONDS_TO_NOTICE = 0.5
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Failure:
    """A run that was tried and has no result. The next one that asks for it tries again."""

    spec: RunSpec
    cause: str


Specs = Sequence[RunSpec]


def train_cohorts(
    cohorts: Sequence[Specs], *, workers: int, device: str = "cpu", save: Path | None = None
) -> Generator[Sequence[RunResult | Failure], None, None]:
    """Train cohorts in worker processes; each is told as soon as it is done, with all that came of it.

    cohorts: the longest first
    workers: how many processes
    save:    a folder into which each worker writes the networks that it has trained
    Closing the iterator, or an exception such as Ctrl-C's, ends all workers.
    """
    orders: queue.SimpleQueue[Specs | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Specs, Reply]] = queue.SimpleQueue()
    for cohort in cohorts:
        orders.put(cohort)
    # Found or built once, before there are workers: they would all build it, or wait for the same compiler.
    kernels = for_workers({spec.precision for specs in cohorts for spec in specs}) if device == "cpu" else {}
    under_way, failures = len(cohorts), Counter[str]()
    crew: list[_Worker] = []
    try:
        crew.extend(_Worker(orders, done, device, save, kernels) for _ in range(min(workers, len(cohorts))))
        while under_way:
            try:
                specs, (results, cause) = done.get(timeout=_SECONDS_TO_NOTICE)
            except queue.Empty:
                continue
            under_way -= 1
            if results:
                yield results
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
                    yield [Failure(specs[0], cause)]
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
        done: "queue.SimpleQueue[tuple[Specs, Reply]]",
        device: str,
        save: Path | None,
        kernels: dict[str, str],
    ) -> None:
        self._orders, self._done, self._device, self._kernels = orders, done, device, kernels
        self._save = None if save is None else str(save)
        self._errors = _file_for_last_words()
        self._process = self._start()
        self._is_ending = False
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
            self._done.put((specs, self._train(specs)))

    def _train(self, specs: Specs) -> Reply:
        try:
            if self._process.poll() is not None:
                self._let_go()
                self._process = self._start()
            pickle.dump(
                (self._device, [spec.canonical_json for spec in specs], self._save),
                self._pipe(self._process.stdin),
            )
            self._pipe(self._process.stdin).flush()
            return cast("Reply", pickle.load(self._pipe(self._process.stdout)))  # noqa: S301
        except RunError as error:
            return [], str(error)
        except (OSError, EOFError, pickle.UnpicklingError):
            return [], self._last_words()

    def _start(self) -> "subprocess.Popen[bytes]":
        package = Path(digitlab.__file__).parent.parent
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | dict.fromkeys(_THREAD_SETTINGS, "1")
        try:
            return subprocess.Popen(
                # -P: what lies in the current folder must not stand in for a library.
                [sys.executable, "-P", "-m", "digitlab.dispatch.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment | self._kernels | {"PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # Ctrl-C in the terminal is for us alone
            )
        except OSError as error:
            raise RunError(
                f"a worker process cannot be started ({error.strerror}); use --workers 1"
            ) from None

    def _let_go(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                self._pipe(stream).close()

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        return cast("IO[bytes]", stream)

    def _last_words(self) -> str:
        """Why the process is gone."""
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            reason = " (by hand, or by the system for want of memory)" if name == "SIGKILL" else ""
            return f"its worker was ended by {name}{reason}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its worker ended with exit code {code}{': ' + lines[-1] if lines else ''}"
