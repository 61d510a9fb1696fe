"""The desk: all built-in studies as they stand, and their running, as jobs of a laboratory."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from digitlab.errors import Fault, SpecError
from digitlab.execution.training import Advance
from digitlab.explore.study import Standing, WatchedStudy
from digitlab.live import Laboratory
from digitlab.live.jobs import JobStatus
from digitlab.result import RunResult
from digitlab.studies import Study, built_in_names, read_study
from digitlab.studies.runner import run_study
from digitlab.studies.service import Tally, check_writers
from digitlab.studies.stages import Stage

_SECONDS_BETWEEN = 0.5
_LEAST_SHARE = 0.02
"""Of a stage that must be done before anything can be said of the time that is left."""


@dataclass(frozen=True)
class Running:
    """A study's job: how far it is, if it runs.

    scale:        at which it runs
    stage:        what it does
    share:        of this stage, 0 to 1
    runs, of:     that have ended in this stage
    seconds_left: of this stage; None: not known yet
    best:         validation accuracy so far, of what was trained in this job; None: nothing was
    broken:       how many of these diverged or collapsed
    says:         why it failed
    """

    scale: str
    status: JobStatus = "waiting"
    stage: str = ""
    share: float = 0.0
    runs: int = 0
    of: int = 0
    seconds_left: float | None = None
    best: float | None = None
    broken: int = 0
    says: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it neither waits nor runs."""
        return self.status not in ("waiting", "running")


class BusyStudyError(SpecError):
    """The study is under way at another scale."""


class Desk:
    """See the module.

    laboratory: whose store is looked into, and whose queue of long work the studies stand in
    studies:    by name; by default all built-in ones
    """

    def __init__(self, laboratory: Laboratory, studies: Mapping[str, Study] | None = None) -> None:
        self._laboratory = laboratory
        if studies is None:
            studies = {name: read_study(name) for name in built_in_names()}
        self._studies = studies
        self._lock = threading.Lock()
        self._watched: dict[tuple[str, str], WatchedStudy] = {}
        self._running: dict[str, Running] = {}

    @property
    def names(self) -> Sequence[str]:
        """Of all studies that there are."""
        return tuple(self._studies)

    def watched(self, name: str, scale: str | None = None) -> WatchedStudy:
        """A study at a scale, by default at the one that is worth showing: see `shown_scale`.

        Raises SpecError when there is no such study or scale.
        """
        if name not in self.names:
            known = ", ".join(self.names)
            raise SpecError([Fault("study", name, f"is not known; use one of {known}")])
        chosen = scale if scale is not None else self.shown_scale(name)
        with self._lock:
            found = self._watched.get((name, chosen))
        if found is None:
            found = WatchedStudy(self._studies[name].at(chosen), chosen, self._laboratory.store)
            with self._lock:
                found = self._watched.setdefault((name, chosen), found)
        return found

    def standings(self, name: str) -> dict[str, Standing]:
        """How far a study is, by scale."""
        scales = self._studies[name].scales or (self._studies[name].usual_scale,)
        return {scale: self.watched(name, scale).standing() for scale in scales}

    def shown_scale(self, name: str) -> str:
        """The scale at which a study runs; else the usual one if it is done, else another that is; else the
        one of which the largest part is known, and of the unknown the smallest.
        """
        running = self.running(name)
        if running is not None and not running.has_ended:
            return running.scale
        study, standings = self._studies[name], self.standings(name)
        done = [scale for scale in (study.usual_scale, *standings) if standings[scale].is_done]
        if done:
            return done[0]
        return max(standings, key=lambda scale: (_share(standings[scale]), -standings[scale].planned))

    # --- running ---

    def running(self, name: str) -> Running | None:
        """The latest job of a study, as it is now; None: there was none since the start."""
        with self._lock:
            running = self._running.get(name)
        job = next((job for job in self._laboratory.jobs() if job.name == name), None)
        if running is None or job is None:
            return None
        return replace(running, status=job.status, says=job.says)

    def start(self, name: str, scale: str) -> Running:
        """Run a study when its turn comes; one that is under way goes on.

        Raises SpecError when there is no such study or scale, BusyStudyError when it is under way at another
        scale, DataError when what it needs is not here, and BusyError when too many wait.
        """
        study = self.watched(name, scale).study
        check_writers(study)
        known = self.running(name)
        if known is not None and not known.has_ended:
            if known.scale != scale:
                problem = f"cannot start: the study is under way at scale {known.scale}; stop that first"
                raise BusyStudyError([Fault("scale", scale, problem)])
            return known
        with self._lock:
            self._running[name] = Running(scale)
        self._laboratory.submit_job(name, lambda stop: self._run(name, study, stop))
        return self.running(name) or Running(scale)

    def stop(self, name: str) -> None:
        """Stop a study; what its cohorts have finished is kept. Of one that does not run nothing is done."""
        self._laboratory.stop_job(name)

    def _run(self, name: str, study: Study, stop: threading.Event) -> None:
        told, begun, tally = 0.0, time.monotonic(), Tally()

        def change(*, at_once: bool = False, **changes: object) -> None:
            nonlocal told
            with self._lock:
                self._running[name] = replace(self._running[name], **changes)  # type: ignore[arg-type]
            if at_once or time.monotonic() - told >= _SECONDS_BETWEEN:
                told = time.monotonic()
                self._laboratory.announce(name)

        def on_stage(stage: Stage) -> None:
            nonlocal begun
            begun = time.monotonic()
            change(
                at_once=True, stage=stage.title, share=0.0, runs=0, of=len(stage.missing), seconds_left=None
            )

        def on_results(results: Sequence[RunResult]) -> None:
            tally.see(results)
            change(best=tally.best, broken=tally.diverged + tally.collapsed)

        def on_advance(advance: Advance) -> None:
            passed = time.monotonic() - begun
            left = passed / advance.share - passed if advance.share >= _LEAST_SHARE else None
            change(share=advance.share, runs=advance.runs, of=advance.run_count, seconds_left=left)

        run_study(
            study,
            self._laboratory.store,
            workers=self._laboratory.workers,
            is_stopped=stop.is_set,
            on_stage=on_stage,
            on_results=on_results,
            on_advance=on_advance,
        )


def _share(standing: Standing) -> float:
    return standing.known / max(standing.due, standing.planned, 1)
