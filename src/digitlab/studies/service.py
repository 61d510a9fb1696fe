"""What a person does with a study: see what it will take, run it, be told what it found."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digitlab import lab
from digitlab.analysis.findings import StudyFindings
from digitlab.analysis.registry import ANALYSES
from digitlab.data import load_writers
from digitlab.engine.device import usable_cores
from digitlab.errors import DataError
from digitlab.execution.events import Event
from digitlab.lab import OnAdvance
from digitlab.result import RunResult
from digitlab.store import Store
from digitlab.studies.definition import Study
from digitlab.studies.findings import findings
from digitlab.studies.progress import Status, status
from digitlab.studies.runner import run_study
from digitlab.studies.sharing import OnNote
from digitlab.studies.stages import Stage

if TYPE_CHECKING:
    from digitlab.execution.ray.cluster import Cluster


@dataclass(frozen=True)
class Estimate:
    """What the rest of a study will take."""

    seconds: float
    memory_bytes: float


def estimate(current: Status, *, workers: int | None = None) -> Estimate:
    """What the rest of a study that is not done will take, at the costs that are known of this machine.

    workers: as of `run_many`
    """
    missing = current.stage.missing
    plan = lab.estimated(missing, workers=workers or usable_cores())
    # Stages to come are taken to be as costly as this one.
    later = (current.planned_count - current.stage.known_count) / len(missing)
    return Estimate(plan.seconds * max(1.0, later), plan.memory_bytes)


@dataclass(frozen=True)
class StudyRun:
    """What came of running a study.

    stage:    the stage that was reached
    findings: None: the time was over, or it was stopped, before the study was done
    """

    stage: Stage
    findings: StudyFindings | None


def run_to_findings(
    study: Study,
    scale: str,
    store: Store,
    *,
    device: str = "cpu",
    workers: int | None = None,
    on: "Cluster | None" = None,
    seconds_limit: float = math.inf,
    is_stopped: Callable[[], bool] = lambda: False,
    on_status: Callable[[Status], None] = lambda _: None,
    on_stage: Callable[[Stage], None] = lambda _: None,
    on_results: Callable[[Sequence[RunResult]], None] = lambda _: None,
    on_events: Callable[[Sequence[Event]], None] = lambda _: None,
    on_advance: OnAdvance = lambda _: None,
    on_note: OnNote = lambda _: None,
) -> StudyRun:
    """Run a study until it is done, the time is over or it is stopped, and say what it found.

    scale:     the name under which the study was taken
    on_status: told how far the study is, before anything is trained
    The others, and what is raised, are as of `run_study`; before that, what `check_writers` raises.
    """
    end, before = time.monotonic() + seconds_limit, status(study, store)
    check_writers(study)
    on_status(before)
    stage = before.stage
    if not stage.is_done:
        stage = run_study(
            study,
            store,
            device=device,
            workers=workers,
            on=on,
            seconds_limit=end - time.monotonic(),
            is_stopped=is_stopped,
            on_stage=on_stage,
            on_results=on_results,
            on_events=on_events,
            on_advance=on_advance,
            on_note=on_note,
        )
    return StudyRun(stage, findings(study, scale, stage, store) if stage.is_done else None)


def check_writers(study: Study) -> None:
    """Raise DataError, with the remedy, where the study asks who wrote the images and nobody here knows."""
    if ANALYSES[study.analysis].reads_writers:
        for name in {spec.data.name for spec in status(study, None).stage.missing}:
            load_writers(name)


def cannot_run(study: Study) -> DataError | None:
    """What a study lacks here before it can be run; None: nothing."""
    try:
        check_writers(study)
    except DataError as missing:
        return missing
    return None


class Tally:
    """What can be said of a study while it runs: the best validation accuracy so far, and how many broke."""

    def __init__(self) -> None:
        self.best, self.diverged, self.collapsed = 0.0, 0, 0

    def see(self, results: Sequence[RunResult]) -> None:
        """Count in what has ended."""
        for result in results:
            self.diverged += result.outcome == "diverged"
            self.collapsed += result.outcome == "collapsed"
            self.best = max(self.best, result.metrics.validation_accuracy or 0.0)
