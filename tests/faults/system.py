"""A real study in folders of its own: started, watched, and ended whatever became of it."""

import os
import secrets
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TextIO

import psutil

SECONDS = 600.0
"""Longer than any study here takes on a busy machine: what takes longer hangs."""
RUN_COUNT = 24

STUDY = """\
name = "faults"
title = "A study to interrupt"
question = "How wide?"

[fixed]
steps = 250
train_size = 1000
validation_size = 100

[[axes]]
name = "hidden"
values = [[4], [5], [6], [7], [8], [9]]

[[axes]]
name = "learning_rate"
range = { from = 0.125, to = 0.25 }
tune = true

[seeds]
tune = 1
report = 2
"""
"""Each width trains by itself: two stages of six cohorts."""

# Workers are started for however little work, and Ctrl-C is heard, though whoever started us may ignore it.
_PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from digitlab import lab; lab._SECONDS_TO_START_WORKERS = -1\n"
    "import os; lease = os.environ.get('FAULTS_LEASE')\n"
    "if lease: from digitlab.store import claims; claims.LEASE_SECONDS = float(lease)\n"
    "from digitlab.cli.main import main; main()"
)
_MARK = "FAULTS_ROUND"
_CONTROL = struct.Struct("=qqq")


@dataclass(frozen=True)
class Ended:
    """How a process of the study ended."""

    code: int
    out: str
    error: str


@dataclass
class System:
    """One round's study.

    folder:  of the round's own; all that the study may write lies in `folder / "place"`
    kernels: a folder of kernels that are built already, and `datasets` one of data sets; None: the study makes them
    shim:    the library that moves clocks and slows disks; None: there is no compiler
    workers: processes that train
    url:     of the database that holds the store; None: it is a file
    settings: more environment variables
    others:  processes that work for the study and were not started by it, on nodes of a cluster
    was_hit: whether the study ran at the moment that was waited for
    """

    folder: Path
    kernels: Path | None = None
    datasets: Path | None = None
    shim: Path | None = None
    workers: int = 2
    arguments: tuple[str, ...] = ()
    url: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    others: "Callable[[], list[psutil.Process]]" = list
    was_hit: bool = False
    drivers: "list[subprocess.Popen[str]]" = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        for name in ("home", "cache/digitlab", "data", "tmp", "store", "work"):
            (self.place / name).mkdir(parents=True)
        (self.folder / "study.toml").write_text(STUDY)
        self.control = self.folder / "control"
        self.control.write_bytes(_CONTROL.pack(0, 0, 0))
        if self.kernels is not None:
            shutil.copytree(self.kernels, self.place / "cache" / "digitlab" / "kernels")
        if self.datasets is not None:
            shutil.copytree(self.datasets, self.place / "data" / "datasets", copy_function=os.link)

    @property
    def place(self) -> Path:
        return self.folder / "place"

    @property
    def store(self) -> Path:
        return self.place / "store" / "runs.db"

    @property
    def location(self) -> Path | str:
        """Where the store is, as `--store` takes it."""
        return self.store if self.url is None else self.url

    @property
    def driver(self) -> "subprocess.Popen[str]":
        return self.drivers[0]

    @property
    def is_running(self) -> bool:
        return self.driver.poll() is None

    def start(self, workers: int | None = None) -> "subprocess.Popen[str]":
        """Start `digitlab study run` in a session of its own."""
        count = str(self.workers if workers is None else workers)
        study = str(self.folder / "study.toml")
        return self.command("study", "run", study, "--workers", count, *self.arguments)

    def command(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start any command of digitlab in a session of its own."""
        place = self.place
        environment = os.environ | {
            "HOME": str(place / "home"),
            "XDG_CACHE_HOME": str(place / "cache"),
            "DIGITLAB_DATA": str(place / "data"),
            "DIGITLAB_STORE": str(self.location),
            "TMPDIR": str(place / "tmp"),
            "OMP_WAIT_POLICY": "PASSIVE",
            _MARK: self.mark,
            **self.settings,
        }
        if self.shim is not None:
            environment |= {"LD_PRELOAD": str(self.shim), "FAULTS_CONTROL": str(self.control)}
        # To files: a pipe that nobody reads would stop the study.
        with self._output(len(self.drivers), "out") as out, self._output(len(self.drivers), "error") as error:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
                text=True,
                cwd=place / "work",
                env=environment,
                start_new_session=True,
            )
        self.drivers.append(process)
        return process

    def _output(self, number: int, name: str) -> TextIO:
        return (self.folder / f"{name}-{number}").open("w")

    def ended(self, process: "subprocess.Popen[str]") -> Ended:
        """Wait for a process. Raises subprocess.TimeoutExpired."""
        code = process.wait(SECONDS)
        number = self.drivers.index(process)
        texts = [(self.folder / f"{name}-{number}").read_text() for name in ("out", "error")]
        return Ended(code, *texts)

    def crew(self) -> list[psutil.Process]:
        """The worker processes."""
        return [process for process in self.processes() if _is_worker(process)]

    def processes(self) -> list[psutil.Process]:
        """All processes of this round, by a mark in their environment: also those that left the session."""
        found = self.others()
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def row_count(self) -> int:
        """Runs in the store, without touching it; 0 while it cannot be read."""
        query = "SELECT count(*) FROM runs"
        if self.url is not None:
            import psycopg

            with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=5) as connection:
                row = connection.execute(query).fetchone()
                return 0 if row is None else int(row[0])
            return 0
        try:
            with closing(sqlite3.connect(f"{self.store.as_uri()}?mode=ro", uri=True)) as connection:
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.Error:
            return 0

    def wait_until(self, is_so: Callable[[], bool]) -> bool:
        """Wait for something; False when the study ended before."""
        end = time.monotonic() + SECONDS
        while not is_so():
            if not self.is_running or time.monotonic() > end:
                return False
            time.sleep(0.03)
        return True

    def wait_for_a_moment(self, rng: Random, first: int = 0) -> None:
        """Any moment of the study: a little after its nth run is in the store; n = 0: while it starts."""
        count = first if rng.random() < 0.25 else rng.randrange(first, RUN_COUNT)
        self.wait_until(lambda: self.row_count() >= count)
        time.sleep(rng.uniform(0, 0.3 if count else 2.5))
        self.was_hit = self.is_running

    def wait_for_crew(self) -> list[psutil.Process]:
        """Its workers, once there are as many as there shall be; fewer when it ends before."""
        self.wait_until(lambda: len(self.crew()) >= self.workers)
        return self.crew()

    def lead_shim(self, pid: int, *, clock_seconds: int = 0, disk_microseconds: int = 0) -> None:
        """Move the clock, or slow the disk, of one process; 0: of all."""
        with self.control.open("r+b") as file:
            file.write(_CONTROL.pack(pid, clock_seconds, disk_microseconds))

    def heal(self) -> None:
        """End what a fault has changed around the study: its disk, its clock."""
        while self.undo:
            self.undo.pop()()
        self.lead_shim(0)

    def end(self) -> None:
        """End all that is left of the round, the folders too."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        for driver in self.drivers:
            driver.kill()
            driver.wait()
        with suppress(OSError):
            self.heal()
        subprocess.run(["umount", "-l", self.place / "store"], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "digitlab.execution.worker" in process.cmdline()
    return False
