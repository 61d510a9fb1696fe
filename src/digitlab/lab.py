"""The laboratory: the one place where the chain from options to results is put together."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Literal, Unpack

from digitlab.data import Dataset, LabelledImages, load_writers, registry
from digitlab.engine.device import find_device, free_memory, usable_cores
from digitlab.engine.inputs import run_split
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c.build import kernel
from digitlab.engine.progress import CancelledRunError, OnProgress, Watch, watched_by
from digitlab.errors import Fault, RunError, SpecError, with_extra
from digitlab.execution.events import Cancelled, Event, Failed, Failure, Finished, Planned, Progress, Started
from digitlab.execution.in_process import InProcess
from digitlab.execution.interface import Executor
from digitlab.execution.pool import Pool
from digitlab.execution.shared import Claims, Shared
from digitlab.execution.training import Advance, AdvanceMeter, Training
from digitlab.execution.workers import Workers
from digitlab.models import parents
from digitlab.models.inspection import MOST_DIGITS, Inspection, inspect_network
from digitlab.models.trained import TrainedNetwork, writable_folder, writable_target
from digitlab.options import Base, Options, make_spec, read_document, with_options
from digitlab.planning.calibration import calibrate, known
from digitlab.planning.cost import Images
from digitlab.planning.planner import TORCH_WORKER_BYTES, WORKER_BYTES, Cohort, Plan, plan, side_by_side
from digitlab.result import RunResult
from digitlab.sinks.opening import See, logged
from digitlab.spec import DataSpec, RunSpec

if TYPE_CHECKING:
    from digitlab.execution.ray.cluster import Cluster
    from digitlab.store import Store

__all__ = [
    "Advance",
    "Engine",
    "Failure",
    "Training",
    "joined",
    "make_spec",
    "read_document",
    "run",
    "run_many",
    "start",
    "train",
]

Engine = Literal["lockstep", "reference"]

_SECONDS_TO_START_WORKERS = 1.5
"""What workers must save at least: they start, and prove their data, while others may want the cores too."""
_SECONDS_FOR_CALIBRATION = 60.0
"""For less work than this the machine is not measured, which takes seconds."""


_log = logging.getLogger(__name__)

OnAdvance = Callable[[Advance], None]
OnEvent = Callable[[Event], None]


def run(
    spec: RunSpec,
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    threads: int | None = None,
    on_progress: OnProgress | None = None,
    on_event: OnEvent | None = None,
) -> tuple[RunResult, TrainedNetwork]:
    """Train the network of a RunSpec in this process; see `train`.

    on_event: told what happens to the run, as `start` tells it of many
    """
    dataset = registry.load(spec.data.name)
    if on_event is None:
        (both,) = _train([spec], dataset, device, engine, watched_by(on_progress), threads)
        return both

    def tell(progress: Progress) -> None:
        on_event(progress)
        if on_progress is not None:
            on_progress(progress)

    on_event(Planned(spec.key, spec, 1.0))
    on_event(Started(spec.key))
    try:
        (both,) = _train([spec], dataset, device, engine, watched_by(tell), threads)
    except Exception as error:
        on_event(Failed(spec.key, Failure(spec, str(error))))
        raise
    except BaseException:
        on_event(Cancelled(spec.key))
        raise
    on_event(Finished(spec.key, both[0]))
    return both


def _train(
    specs: Sequence[RunSpec],
    dataset: Dataset,
    device: str,
    engine: Engine,
    watch: Watch,
    threads: int | None = None,
) -> list[tuple[RunResult, TrainedNetwork]]:
    if engine == "lockstep":
        return train_cohort(specs, dataset, device=device, threads=threads, watch=watch)
    from digitlab.engine import reference  # which loads torch

    found = []
    for spec in specs:
        with suppress(CancelledRunError):
            found.append(reference.train(spec, dataset, device=device, watch=watch))
    return found


def start(
    specs: Sequence[RunSpec],
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    workers: int | None = None,
    save: str | os.PathLike[str] | None = None,
    pool: Pool | None = None,
    on: "Cluster | None" = None,
    claims: Claims | None = None,
) -> Training:
    """Start to train many networks; what happens to them comes as a stream of events.

        with dl.start(specs) as training:
            for event in training:
                if isinstance(event, dl.events.Progress) and event.training_loss > 3:
                    training.cancel([event.key])

    Runs of one key are trained once. Little work, a GPU and the reference engine need no worker processes:
    then everything happens in a thread of this one. What goes wrong with a run is an event, Failed.

    workers: processes that train at the same time; by default one a core
    save:    a folder, made where there is none, for the trained networks: each is KEY.safetensors, KEY being
             the first 12 digits of its run's key; `load` reads it back
    pool:    workers that are there already, which train side by side, in lockstep, all that can; nothing else
             that is said of workers, device or folder counts
    on:      a cluster whose machines train, see `joined`; what is said of workers and device counts there
    claims:  where other drivers train some of these runs too: they, and runs that are done meanwhile, end as
             Cancelled here. Of the store in which all look for results, see `Store.claims`
    Raises SpecError, DataError, DeviceError and WeightsError before the first run begins.
    """
    folder = writable_folder(save) if save is not None else None
    distinct = list({spec.key: spec for spec in specs}.values())
    datasets = _datasets(distinct)
    if pool is not None:
        cohorts = side_by_side(distinct, pool.slots)
        return Training(pool.executor(), cohorts, dict.fromkeys(_keys(cohorts), 1 / max(len(distinct), 1)))
    if on is not None:
        chosen, by_workers = _planned_on(on, distinct, datasets, engine), False
    else:
        chosen, by_workers = _planned(distinct, datasets, device, engine, workers)
    whole = math.fsum(cohort.seconds for cohort in chosen.cohorts)
    cohorts = [{spec.key: spec for spec in cohort.specs} for cohort in chosen.cohorts]
    shares = {
        key: cohort.seconds / len(members) / whole
        for cohort, members in zip(chosen.cohorts, cohorts, strict=True)
        for key in members
    }
    executor: Executor
    if on is not None:
        from digitlab.execution.ray.executor import OnRay

        executor = OnRay(on, datasets.values(), save=folder)
    elif by_workers:
        executor = Workers(chosen.workers, {spec.precision for spec in distinct}, save=folder)
    else:

        def train_here(specs: Sequence[RunSpec], watch: Watch) -> list[tuple[RunResult, TrainedNetwork]]:
            return _train(specs, datasets[specs[0].data], device, engine, watch)

        executor = InProcess(train_here, folder)
    return Training(executor if claims is None else Shared(executor, claims), cohorts, shares)


def _keys(cohorts: Sequence[Mapping[str, RunSpec]]) -> list[str]:
    return [key for cohort in cohorts for key in cohort]


def _planned(
    specs: Sequence[RunSpec],
    datasets: Mapping[DataSpec, Dataset],
    device: str,
    engine: Engine,
    workers: int | None,
) -> tuple[Plan, bool]:
    """The cohorts of different runs, and whether worker processes are to train them."""
    images = {data: Images.of(dataset) for data, dataset in datasets.items()}
    found = None
    for precision in {spec.precision for spec in specs}:
        found = find_device(device, precision)
    if engine == "reference":
        cohorts = tuple(Cohort((spec,), spec.step_count * spec.batch_size, 0) for spec in specs)
        return Plan(cohorts, 1, math.fsum(cohort.seconds for cohort in cohorts), 0), False
    stacked = found is not None and found.kind != "cpu"
    limit = free_memory(found) if stacked else None  # of the device: the cohorts lie there
    costs = known(device)
    alone = plan(specs, images, costs, workers=1, memory_limit=limit, stacked=stacked)
    count = workers if workers is not None else usable_cores()
    only_here = any(spec.parent is not None and not parents.is_kept(spec.parent) for spec in specs)
    if count == 1 or len(specs) < 2 or stacked or only_here:
        return alone, False
    taken = _worker_bytes(specs)
    shared = plan(specs, images, costs, workers=count, worker_bytes=taken)
    if shared.workers < 2 or alone.seconds - shared.seconds < _SECONDS_TO_START_WORKERS:
        return alone, False
    if alone.seconds >= _SECONDS_FOR_CALIBRATION:
        costs = calibrate(next(iter(datasets.values())))
        shared = plan(specs, images, costs, workers=count, worker_bytes=taken)
    return shared, True


def joined(on: str, *, workers: int | None = None, device: str = "cpu") -> "Cluster":
    """A Ray cluster, for `start`; to be closed, as by `with`.

        with joined("ray") as cluster, start(specs, on=cluster) as training: ...

    on:      `ray` starts one on this machine, `auto` joins the one that runs here, ray://HOST:PORT joins
             another
    workers: how many cohorts may train at once, at most; by default one a processor
    device:  `cuda`: nodes that have GPUs train on them, the others on their processors
    Raises SpecError, and RunError when there is no cluster, or no node that can train.
    """
    if device not in {"cpu", "cuda"}:
        problem = "is no device of a cluster's nodes; use cpu, or cuda for the GPUs of those that have some"
        raise SpecError([Fault("device", device, problem)])
    try:
        from digitlab.execution.ray.cluster import Cluster
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise RunError(f"--on {on} needs Ray, which is not installed; {with_extra('ray')}") from None
    return Cluster(on, workers, gpu=device == "cuda")


def _planned_on(
    cluster: "Cluster", specs: Sequence[RunSpec], datasets: Mapping[DataSpec, Dataset], engine: Engine
) -> Plan:
    if engine == "reference":
        raise RunError("the reference engine trains on this machine alone; leave out --on")
    if any(spec.parent is not None for spec in specs):
        raise RunError("runs that go on from a parent train where its weights are; leave out --on")
    images = {data: Images.of(dataset) for data, dataset in datasets.items()}
    slots, limit = cluster.slot_count, cluster.memory_bytes or None
    return plan(specs, images, known(), workers=slots, memory_limit=limit, worker_bytes=_worker_bytes(specs))


def run_many(
    specs: Sequence[RunSpec],
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    workers: int | None = None,
    save: str | os.PathLike[str] | None = None,
    keep: bool | str | os.PathLike[str] = False,
    log: str | None = None,
    on_advance: OnAdvance | None = None,
) -> Iterator[RunResult | Failure]:
    """Train many networks; each result is told as soon as it is there, in the order in which they end.

    A run without a result is a Failure, which says why; the others go on. See `start`.

    keep: put the results into the store, each before it is told; see `train`
    log:  where the runs are logged besides; see `train`
    """
    with ExitStack() as stack:
        store = _store(stack, engine, keep)
        see = _see(stack, log)
        training = stack.enter_context(start(specs, device=device, engine=engine, workers=workers, save=save))
        meter = AdvanceMeter()
        for events in training.batches():
            advance = meter.see(events)
            if on_advance is not None:
                on_advance(advance)
            if see is not None:
                see(events)
            if store is not None:
                store.add([event.result for event in events if isinstance(event, Finished)])
            for event in events:
                if isinstance(event, Finished):
                    yield event.result
                elif isinstance(event, Failed):
                    yield event.failure


def estimated(specs: Sequence[RunSpec], *, workers: int) -> Plan:
    """The plan for these runs, with its time and memory, at the costs that are known of this machine."""
    images = {data: Images.of(dataset) for data, dataset in _datasets(specs).items()}
    return plan(specs, images, known(), workers=workers, worker_bytes=_worker_bytes(specs))


def _worker_bytes(specs: Sequence[RunSpec]) -> int:
    """What a worker takes before it trains: more, where there is no kernel."""
    by_kernel = all(kernel(precision) is not None for precision in {spec.precision for spec in specs})
    return WORKER_BYTES if by_kernel else TORCH_WORKER_BYTES


def _datasets(specs: Sequence[RunSpec]) -> dict[DataSpec, Dataset]:
    """The data sets of runs, each loaded once: it is verified at every load.

    Raises what `load_writers` raises for those of which whole writers are held out, and what `first_layers`
    raises for those that go on from a parent.
    """
    for spec in specs:
        if spec.parent is not None:
            parents.first_layers(spec)

    for name in dict.fromkeys(spec.data.name for spec in specs if spec.validation == "writers"):
        load_writers(name)
    return {data: registry.load(data.name) for data in dict.fromkeys(spec.data for spec in specs)}


def inspection_of(spec: RunSpec, *, device: str = "cpu") -> Inspection:
    """Train a network again and look at it closely."""
    _, network = run(spec, device=device)
    dataset = registry.load(spec.data.name)
    split, train, test = run_split(spec, dataset), dataset.train, dataset.test
    parts = {"training": LabelledImages(train.images[split.train], train.labels[split.train])}
    if spec.validation_size:
        held_out = split.validation
        parts["validation"] = LabelledImages(train.images[held_out], train.labels[held_out])
    return _inspected(network, dataset, parts | {"test": test})


def inspection_on_test_images(
    network: TrainedNetwork, dataset: Dataset, most_digits: int = MOST_DIGITS
) -> Inspection:
    """Look closely at a network on its test images alone.

    most_digits: so many mistakes are shown
    Raises WeightsError when it has no probabilities.
    """
    return _inspected(network, dataset, {"test": dataset.test}, most_digits)


def _inspected(
    network: TrainedNetwork,
    dataset: Dataset,
    parts: Mapping[str, LabelledImages],
    most_digits: int = MOST_DIGITS,
) -> Inspection:
    spec = network.spec
    judged = {name: (network.probabilities(part.images), part.labels) for name, part in parts.items()}
    probabilities, labels = judged["test"]
    accuracy = float((probabilities.argmax(1) == labels).mean())
    return inspect_network(
        title=spec.network_name,
        caption=f"Trained on {spec.train_size:,} images of {spec.data.name} for {spec.step_count:,} steps in "
        f"batches of {spec.batch_size} at rate {spec.optimiser.learning_rate:g}, seed {spec.seed}; "
        f"test accuracy {accuracy:.4f}.",
        key=spec.key,
        class_names=dataset.entry.class_names,
        parts=judged,
        test_images=dataset.test.images,
        first_weights=network.layers[0].weight,
        most_digits=most_digits,
    )


@with_options
def train(
    base: Base = None,
    *,
    device: str = "cpu",
    engine: Engine = "lockstep",
    threads: int | None = None,
    save: str | os.PathLike[str] | None = None,
    keep: bool | str | os.PathLike[str] = False,
    log: str | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> RunResult:
    """Train one network and return what came of it; `train(hidden=(100, 100), seed=3)`.

    base, options: see `make_spec`; without any: the exercise's linear network
    device:       `cpu`, `cuda`, `cuda:1`, `mps`
    engine:       `lockstep`, the fast one, or `reference`, plain PyTorch with autograd
    threads:      that train it together in the lockstep engine's kernel, 1 to 256; the result's bits are the
                  same; by default as many of the free cores as gain
    save:         a safetensors file to write the trained network to; `load` reads it back
    keep:         put the result into the store, where `digitlab runs list` shows it: True for the one that
                  the commands use, or the file of another
    log:          where the training is logged besides: `tensorboard`, `tensorboard:DIR`, `mlflow`,
                  `mlflow:URI`; whatever becomes of that is a warning of Python's `logging`, no more
    on_progress:  told at most ten times a second where the run is, with the new points of its curve
    Raises SpecError, DataError, DeviceError, WeightsError, StoreError; RunError when memory does not suffice,
    or a log's library is missing.
    """
    spec = make_spec(base, **options)
    if save is not None:
        writable_target(save)
    with ExitStack() as stack:
        store = _store(stack, engine, keep)
        see = _see(stack, log)
        result, network = run(
            spec,
            device=device,
            engine=engine,
            threads=threads,
            on_progress=on_progress,
            on_event=None if see is None else lambda event: see([event]),
        )
        if store is not None:
            store.add([result])
        if save is not None:
            network.save(save)
    return result


def _store(stack: ExitStack, engine: Engine, keep: bool | str | os.PathLike[str]) -> "Store | None":
    """The store that results of an engine are to go to: better refused before a training than after it."""
    if keep is False:
        return None
    from digitlab.store import keeping, open_store  # which load SQLAlchemy

    keeping.check_engine(engine)
    return stack.enter_context(closing(open_store(None if keep is True else keep)))


def _see(stack: ExitStack, log: str | None) -> See | None:
    """What takes events and logs them."""
    return None if log is None else stack.enter_context(logged(log, _log.warning))
