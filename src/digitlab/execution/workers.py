"""Trains in worker processes on this machine.

A worker is a process of its own, started afresh (not forked), fed through pipes by a thread of this process.
One that is lost, whether it crashed or the system killed it for want of memory, or that answers with anything
but what it should, ends its cohort with a cause, and is replaced when there is more to do.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from digitlab.engine.lockstep.c.build import for_workers
from digitlab.engine.progress import CohortProgress
from digitlab.execution.interface import CohortEnded, CohortStarted, Runs, Tell
from digitlab.execution.protocol import Done, Observe, Order, Ready, Stop, receive
from digitlab.execution.queues import Orders
from digitlab.result import RunResult
from digitlab.spec import Precision

_SECONDS_TO_NOTICE = 0.5
_SECONDS_TO_END = 5.0
"""A worker that no longer answers gets so long to end by itself, and so to say why."""
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Workers:
    """As many cohorts at once as there are workers, in one thread each; see `Executor`.

    count:      how many processes
    precisions: those of the runs to come
    save:       a folder into which each worker writes the networks that it has trained
    """

    def __init__(self, count: int, precisions: Collection[Precision], *, save: Path | None = None) -> None:
        self.slots = count
        self._save = None if save is None else str(save)
        # Found or built once, before there are workers: they would all build it, or wait for the same
        # compiler.
        self._kernels = for_workers(set(precisions))
        self._orders = Orders()
        self._tell: Tell
        self._workers: list[_Worker] = []

    def start(self, tell: Tell) -> None:
        """See `Executor`."""
        self._tell = tell
        for _ in range(self.slots):
            self._workers.append(_Worker(self._orders, tell, self._save, self._kernels))

    def submit(self, runs: Runs) -> None:
        """See `Executor`."""
        self._orders.put(runs)

    def cancel(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        if gone := self._orders.cancel(keys):
            self._tell(self._orders.ended(gone))
        for worker in self._workers:
            worker.stop_cancelled()

    def allow(self, keys: Collection[str]) -> None:
        """Let runs that were cancelled, and have ended, be trained when they are submitted again."""
        self._orders.allow(keys)

    def observe(self, keys: Collection[str]) -> None:
        """See `Executor`."""
        self._orders.observe(keys)
        for worker in self._workers:
            worker.observe()

    def close(self) -> None:
        """See `Executor`."""
        self._orders.close()
        for worker in self._workers:
            worker.end()


def _file_for_last_words() -> IO[bytes]:
    """Where a worker's stderr goes. Without a temporary folder its last words are lost, and nothing else."""
    try:
        return cast("IO[bytes]", tempfile.TemporaryFile())
    except OSError:
        return Path(os.devnull).open("w+b")


class _StartError(Exception):
    """No process could be started."""


class _Worker:
    """A process and the thread that feeds it."""

    def __init__(self, orders: Orders, tell: Tell, save: str | None, kernels: Mapping[str, str]) -> None:
        self._orders, self._tell, self._save, self._kernels = orders, tell, save, kernels
        self._errors = _file_for_last_words()
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: IO[bytes]
        self._under_way: Runs = {}
        self._input = threading.Lock()
        self._is_ready = self._is_killed = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="digitlab worker")
        self._thread.start()

    def stop_cancelled(self) -> None:
        """Stop the runs under way that are cancelled; where none is left, end the process."""
        with self._input:
            keys = self._under_way.keys() & self._orders.cancelled
            if not keys or self._process is None:
                return
            if len(keys) == len(self._under_way):
                self._is_killed = True
                self._process.kill()
            else:
                with suppress(OSError):  # it is gone, and so are its runs
                    self._write(Stop(frozenset(keys)))

    def observe(self) -> None:
        """Tell the process which of its runs are observed now."""
        with self._input:
            if self._under_way and self._process is not None and not self._is_killed:
                with suppress(OSError):  # it is gone, and so are its runs
                    self._write(Observe(self._observed(self._under_way)))

    def _observed(self, runs: Runs) -> frozenset[str]:
        return frozenset(runs.keys() & self._orders.observed)

    def end(self) -> None:
        """End process and thread, whatever they are doing; the orders are closed."""
        while self._thread.is_alive():  # it may just be starting another process
            if self._process is not None:
                self._process.kill()
            self._thread.join(_SECONDS_TO_NOTICE)
        self._let_go()
        self._errors.close()

    def _serve(self) -> None:
        with suppress(_StartError):  # it is tried again with the first cohort
            self._start()
        while (runs := self._orders.take()) is not None:
            self._tell(self._train(runs))

    def _train(self, runs: Runs) -> CohortEnded:
        """Whatever goes wrong is an end: the thread goes on, and nobody waits for it in vain."""
        results: list[RunResult] = []
        cause = ""
        try:
            if self._process is None or self._is_killed or self._process.poll() is not None:
                self._let_go()
                self._start()
            if not self._is_ready:
                if receive(self._replies) != Ready():
                    raise ValueError("it does not say that it is ready")  # noqa: TRY301
                self._is_ready = True
            self._tell(CohortStarted(runs))
            with self._input:
                specs = [spec.canonical_json for spec in runs.values()]
                self._write(Order(specs, self._save, self._observed(runs)))
                self._under_way = runs
            self.stop_cancelled()
            while isinstance(reply := receive(self._replies), CohortProgress):
                self._tell(reply)
            results, cause = self._checked(reply, runs)
        except _StartError as error:
            cause = str(error)
        except (OSError, EOFError):
            cause = self._last_words()
        except Exception as error:  # noqa: BLE001  # what is unpickled from no reply may raise anything
            cause = f"its worker's answer cannot be read ({error})"
            if self._process is not None:
                self._process.kill()
                self._process.wait()
        with self._input:
            self._under_way = {}
        if not self._is_ready:
            cause = f"worker processes cannot start: {cause}; use --workers 1"
        return self._orders.ended(runs, results, cause, began=self._is_ready)

    def _checked(self, reply: Ready | Done, runs: Runs) -> tuple[list[RunResult], str]:
        """What a worker says of a cohort, when it is for this one."""
        if isinstance(reply, Ready):
            raise ValueError("it says nothing of the cohort")  # noqa: TRY004
        found = {result.key: result.spec for result in reply.results}
        expected = {key: spec for key, spec in runs.items() if key in found}
        missing = runs.keys() - found.keys() - self._orders.cancelled
        if found != expected or (missing and not reply.cause):
            raise ValueError("it is for other runs")
        return reply.results, reply.cause

    def _write(self, message: Order | Stop | Observe) -> None:
        target = cast("IO[bytes]", cast("subprocess.Popen[bytes]", self._process).stdin)
        pickle.dump(message, target)
        target.flush()

    def _start(self) -> None:
        package = Path(__file__).parents[2]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | dict.fromkeys(_THREAD_SETTINGS, "1")
        self._is_ready = self._is_killed = False
        source, target = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603
                # -P: what lies in the current folder must not stand in for a library.
                [sys.executable, "-P", "-m", "digitlab.execution.worker", str(target)],
                stdin=subprocess.PIPE,
                stdout=self._errors,
                stderr=self._errors,
                env=environment | dict(self._kernels) | {"PYTHONPATH": os.pathsep.join(paths)},
                pass_fds=[target],
                start_new_session=True,  # Ctrl-C in the terminal is for us alone
            )
            self._replies = os.fdopen(source, "rb")
        except OSError as error:
            os.close(source)
            raise _StartError(str(error.strerror)) from None
        finally:
            os.close(target)

    def _let_go(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (cast("IO[bytes]", self._process.stdin), self._replies):
            with suppress(OSError):
                stream.close()
        self._process = None

    def _last_words(self) -> str:
        """Why the process is gone; where it is not, it is ended."""
        process = cast("subprocess.Popen[bytes]", self._process)
        try:
            code = process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "its worker no longer answered"
        if code < 0:
            name = signal.Signals(-code).name
            reason = " (by hand, or by the system for want of memory)" if name == "SIGKILL" else ""
            return f"its worker was ended by {name}{reason}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"its worker ended with exit code {code}{': ' + lines[-1] if lines else ''}"
