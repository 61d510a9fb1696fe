"""The laboratory: the one place where the chain from options to results is put together."""

import math
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Unpack

from digitlab.data import Dataset, registry
from digitlab.engine.device import MemoryRunError, find_device, free_memory, usable_cores
from digitlab.engine.inputs import run_split
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c.build import kernel
from digitlab.engine.progress import OnProgress, Progress, ignore
from digitlab.execution.workers import Failure, train_cohorts
from digitlab.models.inspection import Inspection, inspect_network
from digitlab.models.trained import TrainedNetwork, save_all, writable_folder, writable_target
from digitlab.options import Base, Options, make_spec, read_document, with_options
from digitlab.planning.calibration import TYPICAL, calibrate
from digitlab.planning.cost import Images
from digitlab.planning.planner import TORCH_WORKER_BYTES, WORKER_BYTES, Cohort, Plan, plan
from digitlab.result import RunResult
from digitlab.spec import DataSpec, RunSpec

__all__ = ["Advance", "Engine", "Failure", "make_spec", "read_document", "run", "run_many", "train"]

Engine = Literal["lockstep", "reference"]

_SECONDS_TO_START_WORKERS = 1.5
"""What workers must save at least: they start, and prove their data, while others may want the cores too."""
_SECONDS_FOR_CALIBRATION = 60.0
"""Less work than this is planned by typical costs: to measure this machine's takes seconds."""
_MOST_BEFORE_THE_END = math.nextafter(1.0, 0.0)


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
    spec: RunSpec,
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    threads: int | None = None,
    on_progress: OnProgress = ignore,
) -> tuple[RunResult, TrainedNetwork]:
    """Train the network of a RunSpec in this process; see `train`."""
    dataset = registry.load(spec.data.name)
    (both,) = _train([spec], dataset, device, engine, on_progress, threads)
    return both


def _train(
    specs: Sequence[RunSpec],
    dataset: Dataset,
    device: str,
    engine: Engine,
    on_progress: OnProgress,
    threads: int | None = None,
) -> list[tuple[RunResult, TrainedNetwork]]:
    if engine == "reference":
        from digitlab.engine import reference  # which loads torch

        return [reference.train(spec, dataset, device=device, on_progress=on_progress) for spec in specs]
    return train_cohort(specs, dataset, device=device, threads=threads, on_progress=on_progress)


def run_many(
    specs: Sequence[RunSpec],
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    workers: int | None = None,
    save: str | os.PathLike[str] | None = None,
    on_advance: OnAdvance = lambda _: None,
) -> Iterator[RunResult | Failure]:
    """Train many networks; each result is told as soon as it is there, in the order in which they end.

    Runs of one key are trained once. Little work, a GPU and the reference engine need no worker processes:
    then everything happens in this one, and what goes wrong is raised.

    workers: processes that train at the same time; by default one a core
    save:    a folder, made where there is none, for the trained networks: each is KEY.safetensors, KEY being
             the first 12 digits of its run's key; `load` reads it back
    Raises what `train` raises, before the first run begins.
    """
    folder = writable_folder(save) if save is not None else None
    options = {"device": device, "engine": engine, "workers": workers, "on_advance": on_advance}
    with closing(run_cohorts(specs, save=folder, **options)) as ended:  # type: ignore[arg-type]
        for cohort in ended:
            yield from cohort


def run_cohorts(
    specs: Sequence[RunSpec],
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    workers: int | None = None,
    save: Path | None = None,
    on_advance: OnAdvance = lambda _: None,
) -> Generator[Sequence[RunResult | Failure], None, None]:
    """The same, cohort by cohort: what ends together is told together."""
    distinct = list({spec.key: spec for spec in specs}.values())
    datasets = _datasets(distinct)
    images = {data: Images.of(dataset) for data, dataset in datasets.items()}
    place = None
    for precision in {spec.precision for spec in distinct}:
        place = find_device(device, precision)
    if engine == "reference":
        cohorts = [Cohort((spec,), spec.step_count * spec.batch_size, 0) for spec in distinct]
        yield from _in_this_process(cohorts, datasets, device, engine, save, on_advance)
        return
    stacked = place is not None and place.kind != "cpu"
    limit = free_memory(place) if stacked else None  # of the device: the cohorts lie there
    alone = plan(distinct, images, TYPICAL, workers=1, memory_limit=limit, stacked=stacked)
    count = workers if workers is not None else usable_cores()
    if count == 1 or len(distinct) < 2 or stacked:
        shared = alone
    else:
        taken = _worker_bytes(distinct)
        shared = plan(distinct, images, TYPICAL, workers=count, worker_bytes=taken)
    if shared.workers < 2 or alone.seconds - shared.seconds < _SECONDS_TO_START_WORKERS:
        yield from _in_this_process(alone.cohorts, datasets, device, engine, save, on_advance)
        return
    if alone.seconds >= _SECONDS_FOR_CALIBRATION:
        costs = calibrate(next(iter(datasets.values())))
        shared = plan(distinct, images, costs, workers=count, worker_bytes=taken)
    yield from _in_workers(shared, save, on_advance)


def estimated(specs: Sequence[RunSpec], *, workers: int) -> Plan:
    """The plan for these runs at typical costs, with its time and memory."""
    images = {data: Images.of(dataset) for data, dataset in _datasets(specs).items()}
    return plan(specs, images, TYPICAL, workers=workers, worker_bytes=_worker_bytes(specs))


def _worker_bytes(specs: Sequence[RunSpec]) -> int:
    """What a worker takes before it trains: more, where there is no kernel."""
    by_kernel = all(kernel(precision) is not None for precision in {spec.precision for spec in specs})
    return WORKER_BYTES if by_kernel else TORCH_WORKER_BYTES


def _datasets(specs: Sequence[RunSpec]) -> dict[DataSpec, Dataset]:
    """The data sets of runs, each loaded once: it is verified at every load."""
    return {data: registry.load(data.name) for data in dict.fromkeys(spec.data for spec in specs)}


class _Teller:
    """Tells how far many runs have come: never less than before, and 1 when all have ended, not earlier."""

    def __init__(self, on_advance: OnAdvance, run_count: int) -> None:
        self._on_advance, self._run_count, self._last = on_advance, run_count, 0.0

    def __call__(self, share: float, runs: int) -> None:
        # A share is a sum of estimates: rounding, or a cohort that is tried again, must not show in it.
        is_done = runs == self._run_count
        self._last = 1.0 if is_done else max(self._last, min(share, _MOST_BEFORE_THE_END))
        self._on_advance(Advance(self._last, runs, self._run_count))


def _in_this_process(
    cohorts: Sequence[Cohort],
    datasets: dict[DataSpec, Dataset],
    device: str,
    engine: Engine,
    save: Path | None,
    on_advance: OnAdvance,
) -> Iterator[Sequence[RunResult]]:
    whole, before, runs = sum(cohort.seconds for cohort in cohorts), 0.0, 0
    tell = _Teller(on_advance, sum(len(cohort.specs) for cohort in cohorts))
    # The next is the last; a cohort that is too large for memory comes back as two.
    left = [(cohort.specs, cohort.seconds / whole) for cohort in reversed(cohorts)]
    while left:
        specs, share = left.pop()

        def on_progress(at: Progress, share: float = share, before: float = before, runs: int = runs) -> None:
            tell(before + share * at.step / at.step_count, runs)

        dataset, trained = datasets[specs[0].data], None
        try:
            trained = _train(specs, dataset, device, engine, on_progress)
        except MemoryRunError:
            if len(specs) == 1:
                raise
        if trained is None:  # not in the clause above: the error would hold on to the memory
            half = len(specs) // 2
            left += [
                (specs[half:], share * (1 - half / len(specs))),
                (specs[:half], share * half / len(specs)),
            ]
            continue
        save_all(trained, save)
        before += share
        runs += len(trained)
        tell(before, runs)
        yield [result for result, _ in trained]


def _in_workers(
    planned: Plan, save: Path | None, on_advance: OnAdvance
) -> Iterator[Sequence[RunResult | Failure]]:
    whole = sum(cohort.seconds for cohort in planned.cohorts)
    share = {
        spec.key: cohort.seconds / len(cohort.specs) / whole
        for cohort in planned.cohorts
        for spec in cohort.specs
    }
    done, runs, tell = 0.0, 0, _Teller(on_advance, len(share))
    cohorts = [cohort.specs for cohort in planned.cohorts]
    with closing(train_cohorts(cohorts, workers=planned.workers, save=save)) as ended:
        for results in ended:
            done += sum(share[result.spec.key] for result in results)
            runs += len(results)
            tell(done, runs)
            yield results


def inspection_of(spec: RunSpec, *, device: str = "cpu") -> Inspection:
    """Train a network again and look at it closely."""
    result, network = run(spec, device=device)
    dataset = registry.load(spec.data.name)
    split, train, test = run_split(spec, dataset), dataset.train, dataset.test
    parts = {"training": (train.images[split.train], train.labels[split.train])}
    if spec.validation_size:
        parts["validation"] = (train.images[split.validation], train.labels[split.validation])
    parts["test"] = (test.images, test.labels)
    rate, accuracy = spec.optimiser.learning_rate, result.metrics.test_accuracy
    return inspect_network(
        title=spec.network_name,
        caption=f"Trained on {spec.train_size:,} images of {spec.data.name} for {spec.step_count:,} steps in "
        f"batches of {spec.batch_size} at rate {rate:g}, seed {spec.seed}; test accuracy {accuracy:.4f}.",
        key=spec.key,
        class_names=dataset.entry.class_names,
        parts={name: (network.probabilities(images), labels) for name, (images, labels) in parts.items()},
        test_images=test.images,
        first_weights=network.layers[0].weight,
    )


@with_options
def train(
    base: Base = None,
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    threads: int | None = None,
    save: str | os.PathLike[str] | None = None,
    on_progress: OnProgress = ignore,
    **options: Unpack[Options],
) -> RunResult:
    """Train one network and return what came of it; `train(hidden=(100, 100), seed=3)`.

    base, options: see `make_spec`; without any: the exercise's linear network
    device:       `cpu`, `cuda`, `cuda:1`, `mps`
    engine:       `lockstep`, the fast one, or `reference`, plain PyTorch with autograd
    threads:      that train it together in the lockstep engine's kernel, 1 to 256; the result's bits are the
                  same; by default as many of the free cores as gain
    save:         a safetensors file to write the trained network to; `load` reads it back
    on_progress:  told of progress some times a second, and at each point of the curve
    Raises SpecError, DataError, DeviceError, WeightsError; RunError when memory does not suffice.
    """
    spec = make_spec(base, **options)
    if save is not None:
        writable_target(save)
    result, network = run(spec, device=device, engine=engine, threads=threads, on_progress=on_progress)
    if save is not None:
        network.save(save)
    return result
