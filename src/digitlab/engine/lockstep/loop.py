"""Training one cohort: block of steps by block of steps, all members together."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from digitlab.data.arrays import Dataset, input_scale
from digitlab.engine.device import find_device, telling_of_memory
from digitlab.engine.evaluation import Evaluation
from digitlab.engine.history import Record, conclude
from digitlab.engine.inputs import check_data_set
from digitlab.engine.lockstep.backend import MOST_THREADS, Members, block_steps, cohort_key
from digitlab.engine.lockstep.backends import backend_for
from digitlab.engine.progress import OnProgress, Progress, ignore
from digitlab.engine.provenance import provenance
from digitlab.errors import Fault, SpecError
from digitlab.models.parameters import Layer
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import RunSpec


@dataclass
class _Run:
    """One member's run: what is written down, and what it ends with."""

    spec: RunSpec
    record: Record
    layers: tuple[Layer, ...] = ()
    train: Evaluation = field(default_factory=Evaluation.unknown)
    test: Evaluation = field(default_factory=Evaluation.unknown)


def train_cohort(
    specs: Sequence[RunSpec],
    dataset: Dataset,
    *,
    device: str = "cpu",
    threads: int | None = 1,
    on_progress: OnProgress = ignore,
) -> list[tuple[RunResult, TrainedNetwork]]:
    """Train the networks of one cohort on their data set; results in the order of the specs.

    specs:       of one cohort: `cohort_key` is the same for all
    device:      `cpu`, `cuda`, `cuda:1`, `mps`
    threads:     that train each network together in the compiled kernel; None: as many as gain, for a network
                 alone
    on_progress: told means over the members that are left, at the end of each block of steps
    Raises SpecError when the specs are of several cohorts or of another data set or there cannot be so many
    threads, DeviceError when the device is not there, RunError when memory does not suffice.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise SpecError([Fault("threads", threads, f"is not between 1 and {MOST_THREADS}")])
    if len({cohort_key(spec) for spec in specs}) > 1:
        raise SpecError([Fault("cohort", len(specs), "specs are of several cohorts; plan them first")])
    if not specs:
        return []
    check_data_set(specs[0], dataset)
    place = find_device(device, specs[0].precision)
    backend = backend_for(place, specs, threads)
    start = time.perf_counter()
    runs = [_Run(spec, Record()) for spec in specs]
    with backend.settings(), telling_of_memory():
        for places in backend.together(specs):
            chosen = [runs[i] for i in places]
            _train(backend.members([run.spec for run in chosen], dataset), chosen, on_progress)
        where = provenance(
            "lockstep",
            place,
            (time.perf_counter() - start) / len(runs),
            arithmetic=backend.arithmetic,
            threads=backend.threads,
            compiler=backend.compiler,
            matmul_precision=backend.matmul_precision,
        )
    scale = input_scale(specs[0].scaling, dataset.train.images)
    return [
        (
            conclude(run.spec, run.record, train=run.train, test=run.test, provenance=where),
            TrainedNetwork(run.spec, scale, run.layers),
        )
        for run in runs
    ]


def _train(members: Members, runs: Sequence[_Run], on_progress: OnProgress) -> None:
    """Train members and write down their runs, [member], until all have ended."""
    spec, left = runs[0].spec, list(runs)
    evaluation_steps = frozenset(spec.evaluation_steps)
    has_validation = spec.validation_size > 0
    for steps in _blocks(spec):
        losses = members.train(steps)
        for run, found in zip(left, losses, strict=True):
            run.record.add_batches(found.batch_losses)
            if not run.record.is_finite():
                run.record.add_point(Evaluation.unknown() if has_validation else None)
        accuracies = [found.accuracy for found in losses]
        left, accuracies = _without_diverged(members, left, accuracies)
        mean_loss = fmean(run.record.mean_batch_loss for run in left) if left else 0.0
        if left and steps.stop in evaluation_steps:
            evaluations = members.evaluate("validation") if has_validation else [None] * len(left)
            for run, evaluation in zip(left, evaluations, strict=True):
                run.record.add_point(evaluation)
            left, accuracies = _without_diverged(members, left, accuracies)
        if not left:
            return
        validated = [run.record.validation[-1].accuracy for run in left if run.record.validation]
        on_progress(Progress(steps.stop, spec.step_count, mean_loss, fmean(validated or accuracies)))
    for run, train, test in zip(left, members.evaluate("train"), members.evaluate("test"), strict=True):
        run.train, run.test = train.without_predictions(), test
    for place, run in enumerate(left):
        run.layers = members.layers(place)


def _without_diverged(
    members: Members, runs: list[_Run], accuracies: list[float]
) -> tuple[list[_Run], list[float]]:
    """Let the members go that have diverged; what remains."""
    stays = [place for place, run in enumerate(runs) if run.record.is_finite()]
    if len(stays) == len(runs):
        return runs, accuracies
    for place, run in enumerate(runs):
        if place not in stays:
            run.layers = members.layers(place)
    members.keep(stays)
    return [runs[place] for place in stays], [accuracies[place] for place in stays]


def _blocks(spec: RunSpec) -> Iterator[range]:
    """The run's steps, cut where an evaluation is due and into blocks of bounded size."""
    first, most = 0, block_steps(spec)
    for due in spec.evaluation_steps:
        for start in range(first, due, most):
            yield range(start, min(start + most, due))
        first = due
