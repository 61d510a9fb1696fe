"""The laboratory: the one place where the chain from a wish to results is put together."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, Unpack

from digitlab.datasets import Dataset, library
from digitlab.dispatch.local import Failure, train_cohorts
from digitlab.engine import reference
from digitlab.engine.calibration import TYPICAL, calibrate
from digitlab.engine.cohort import Cohort, Plan, plan
from digitlab.engine.cost import Images
from digitlab.engine.device import find_device, usable_cores
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import OnProgress, Progress, ignore
from digitlab.result import RunResult
from digitlab.spec import DataSpec, RunSpec
from digitlab.trained import TrainedNetwork, writable_target
from digitlab.wishes import Base, Wishes, make_spec, read_document

__all__ = ["Advance", "Engine", "Failure", "make_spec", "read_document", "run", "run_many", "train"]

Engine = Literal["lockstep", "reference"]

_SECONDS_FOR_WORKERS = 6.0
"""Less work than this is done in the calling process: workers take seconds to start."""
_SECONDS_FOR_CALIBRATION = 60.0
"""Less work than this is planned by typical costs: to measure this machine's takes seconds."""


@dataclass(frozen=True)
class Advance:
    """How far many runs have come.

    share: of the work, 0 to 1, as far as it can be estimated
    runs:  how many have ended, of run_count
    """

    share: float
    runs: int
    run_count: int


OnAdvance = Callable[[Advance], None]


def run(
    spec: RunSpec, *, device: str = "cpu", engine: Engine = "lockstep", on_progress: OnProgress = ignore
) -> tuple[RunResult, TrainedNetwork]:
    """Train the network of a RunSpec in this process; see `train`."""
    dataset = library.load(spec.data.name)
    if engine == "reference":
        return reference.train(spec, dataset, device=device, on_progress=on_progress)
    (both,) = train_cohort([spec], dataset, device=device, on_progress=on_progress)
    return both


def run_many(
    specs: Sequence[RunSpec],
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    workers: int | None = None,
    on_advance: OnAdvance = lambda _: None,
) -> Iterator[RunResult | Failure]:
    """Train many networks; each result is told as soon as it is there, in the order in which they end.

    Runs of one key are trained once. Little work, a GPU and the reference engine need no worker processes:
    then everything happens in this one, and what goes wrong is raised.

    workers: processes that train at the same time; by default one a core
    Raises what `train` raises, before the first run begins.
    """
    distinct = list({spec.key: spec for spec in specs}.values())
    datasets = {spec.data: library.load(spec.data.name) for spec in distinct}
    images = {data: Images.of(dataset) for data, dataset in datasets.items()}
    for precision in {spec.precision for spec in distinct}:
        place = find_device(device, precision)
    count = workers if workers is not None else usable_cores()
    rough = plan(distinct, images, TYPICAL, workers=1, stacked=bool(distinct) and place.type != "cpu")
    if engine == "reference":
        cohorts = [Cohort((spec,), spec.step_count * spec.batch_size, 0) for spec in distinct]
        return _in_this_process(cohorts, datasets, device, engine, on_advance)
    if count == 1 or len(distinct) < 2 or place.type != "cpu" or rough.seconds < _SECONDS_FOR_WORKERS:
        return _in_this_process(rough.cohorts, datasets, device, engine, on_advance)
    much = rough.seconds >= _SECONDS_FOR_CALIBRATION
    costs = calibrate(next(iter(datasets.values()))) if much else TYPICAL
    return _in_workers(plan(distinct, images, costs, workers=count), on_advance)


def _in_this_process(
    cohorts: Sequence[Cohort],
    datasets: dict[DataSpec, Dataset],
    device: str,
    engine: Engine,
    on_advance: OnAdvance,
) -> Iterator[RunResult]:
    whole, before, runs = sum(cohort.seconds for cohort in cohorts), 0.0, 0
    run_count = sum(len(cohort.specs) for cohort in cohorts)
    for cohort in cohorts:

        def on_progress(
            at: Progress, cohort: Cohort = cohort, before: float = before, runs: int = runs
        ) -> None:
            share = (before + cohort.seconds * at.step / at.step_count) / whole
            on_advance(Advance(share, runs, run_count))

        dataset = datasets[cohort.specs[0].data]
        if engine == "reference":
            trained = [reference.train(cohort.specs[0], dataset, device=device, on_progress=on_progress)]
        else:
            trained = train_cohort(cohort.specs, dataset, device=device, on_progress=on_progress)
        before += cohort.seconds
        for result, _ in trained:
            runs += 1
            on_advance(Advance(before / whole, runs, run_count))
            yield result


def _in_workers(planned: Plan, on_advance: OnAdvance) -> Iterator[RunResult | Failure]:
    whole = sum(cohort.seconds for cohort in planned.cohorts)
    share = {
        spec.key: cohort.seconds / len(cohort.specs) / whole
        for cohort in planned.cohorts
        for spec in cohort.specs
    }
    done, runs = 0.0, 0
    with closing(
        train_cohorts([cohort.specs for cohort in planned.cohorts], workers=planned.workers)
    ) as ended:
        for result in ended:
            done += share[result.spec.key]
            runs += 1
            on_advance(Advance(done, runs, len(share)))
            yield result


def train(
    base: Base = None,
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    save: str | os.PathLike[str] | None = None,
    on_progress: OnProgress = ignore,
    **wishes: Unpack[Wishes],
) -> RunResult:
    """Train one network and return what came of it; `train(hidden=(100, 100), seed=3)`.

    base, wishes: see `make_spec`; without any: the exercise's linear network
    device:       `cpu`, `cuda`, `cuda:1`, `mps`
    engine:       `lockstep`, the fast one, or `reference`, plain PyTorch with autograd
    save:         a safetensors file to write the trained network to; `load` reads it back
    on_progress:  told of progress some times a second, and at each point of the curve
    Raises SpecError, DataError, DeviceError, WeightsError; RunError when memory does not suffice.
    """
    spec = make_spec(base, **wishes)
    if save is not None:
        writable_target(save)
    result, network = run(spec, device=device, engine=engine, on_progress=on_progress)
    if save is not None:
        network.save(save)
    return result
