"""Trainings of chosen cohorts by a chosen executor."""

from collections.abc import Collection, Sequence

from digitlab import lab
from digitlab.execution.events import Failed, Failure, Finished
from digitlab.execution.interface import Executor
from digitlab.execution.training import Training
from digitlab.execution.workers import Workers
from digitlab.result import RunResult
from digitlab.spec import RunSpec

Cohorts = Sequence[Sequence[RunSpec]]


def small(seed: int, **options: object) -> RunSpec:
    """A run of a fraction of a second."""
    fields = {"hidden": (20,), "train_size": 2_000, "epochs": 2, "learning_rate": 0.1} | options
    return lab.make_spec(seed=seed, **fields)  # type: ignore[arg-type]


def bits(result: RunResult) -> tuple[str, bytes | None]:
    """All of a result that two computations of its run have in common."""
    return result.model_dump_json(exclude={"provenance"}), result.predictions


class Taken:
    """Claims of a driver beside others that hold some keys; what it was granted, and whether it was closed."""

    beat_seconds = 0.1

    def __init__(self, by_others: Collection[str]) -> None:
        self._by_others, self.granted, self.is_closed, self.beats = by_others, set[str](), False, 0

    def claim(self, keys: Collection[str]) -> frozenset[str]:
        free = frozenset(keys) - frozenset(self._by_others)
        self.granted |= free
        return free

    def beat(self) -> None:
        self.beats += 1

    def close(self) -> None:
        self.is_closed = True


def training_of(executor: Executor, cohorts: Cohorts) -> Training:
    """These cohorts, and no others, trained by an executor."""
    runs = [{spec.key: spec for spec in specs} for specs in cohorts]
    count = sum(map(len, runs))
    return Training(executor, runs, {key: 1 / count for cohort in runs for key in cohort})


def in_workers(cohorts: Cohorts, *, workers: int) -> Training:
    """These cohorts in worker processes, however little work they are."""
    return training_of(Workers(workers, ["float32"]), cohorts)


def ended_runs(cohorts: Cohorts, *, workers: int) -> list[RunResult | Failure]:
    """What comes of cohorts in worker processes."""
    found: list[RunResult | Failure] = []
    with in_workers(cohorts, workers=workers) as training:
        for event in training:
            if isinstance(event, Finished):
                found.append(event.result)
            elif isinstance(event, Failed):
                found.append(event.failure)
    return found
