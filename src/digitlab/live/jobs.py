"""Long work beside the trainings, such as a study: one after the other, each of which can be stopped."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from digitlab.errors import cause_of
from digitlab.live.limits import BusyError

JobStatus = Literal["waiting", "running", "done", "failed", "stopped"]
Work = Callable[[threading.Event], None]
"""Does the work; it must look at the event often, and return soon once it is set."""

_FINISHED_SHOWN = 50


@dataclass(frozen=True)
class Job:
    """Some work, by its name.

    says: why it failed
    """

    name: str
    status: JobStatus
    says: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it neither waits nor runs."""
        return self.status not in ("waiting", "running")


class Jobs:
    """A queue of work, and one thread that does it.

    most:    how many wait or run at once
    changed: called with a job's name when its status is another one, from any thread
    """

    def __init__(self, most: int, changed: Callable[[str], None]) -> None:
        self._most, self._tell = most, changed
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._work: dict[str, tuple[Work, threading.Event]] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def submit(self, name: str, work: Work) -> Job:
        """Do this when its turn comes. Of a name that waits or runs already nothing more is done.

        Raises BusyError when there are too many.
        """
        with self._changed:
            known = self._jobs.get(name)
            if known is not None and not known.has_ended:
                return known
            ahead = len(self._work)
            if ahead >= self._most:
                problem = f"{ahead} studies wait or run already; stop one, or try again when one has ended"
                raise BusyError(problem, ahead, None)
            job = self._jobs[name] = Job(name, "waiting")
            self._jobs.move_to_end(name)
            self._work[name] = (work, threading.Event())
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="digitlab jobs")
                self._thread.start()
            self._changed.notify_all()
        self._tell(name)
        return job

    def stop(self, name: str) -> None:
        """Stop it, or take it out of the queue. Other names are ignored."""
        with self._changed:
            if name not in self._work:
                return
            self._work[name][1].set()
            if self._jobs[name].status == "waiting":
                del self._work[name]
                self._jobs[name] = Job(name, "stopped")
        self._tell(name)

    def all(self) -> tuple[Job, ...]:
        """All that wait or run, and those that have ended lately."""
        with self._changed:
            return tuple(self._jobs.values())

    def close(self) -> None:
        """Stop everything, and wait for what runs."""
        with self._changed:
            self._is_closed = True
            for _, stop in self._work.values():
                stop.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while (name := self._take()) is not None:
            self._tell(name)
            work, stop = self._work[name]
            says = None
            try:
                work(stop)
            except Exception as error:  # noqa: BLE001  # it is this job's failure, and is told; the next go on
                says = cause_of(error)
            status: JobStatus = "stopped" if stop.is_set() else "done" if says is None else "failed"
            with self._changed:
                del self._work[name]
                self._jobs[name] = Job(name, status, None if stop.is_set() else says)
                for old in [job.name for job in self._jobs.values() if job.has_ended][:-_FINISHED_SHOWN]:
                    del self._jobs[old]
            self._tell(name)

    def _take(self) -> str | None:
        with self._changed:
            while not self._is_closed:
                name = next((job.name for job in self._jobs.values() if job.status == "waiting"), None)
                if name is not None:
                    self._jobs[name] = replace(self._jobs[name], status="running")
                    return name
                self._changed.wait()
            return None
