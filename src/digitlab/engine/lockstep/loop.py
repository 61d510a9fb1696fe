"""Training one cohort: block of steps by block of steps, all members together."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from digitlab.data.arrays import Dataset
from digitlab.engine.device import find_device, memory_errors_named
from digitlab.engine.evaluation import Evaluation
from digitlab.engine.history import History, result_of
from digitlab.engine.inputs import check_data_set
from digitlab.engine.lockstep.backend import MOST_THREADS, Members, block_steps, cohort_key
from digitlab.engine.lockstep.backends import backend_for
from digitlab.engine.progress import NOBODY, CohortProgress, CurvePoint, Snapshot, Watch
from digitlab.engine.provenance import provenance
from digitlab.errors import Fault, SpecError
from digitlab.models.parameters import Layer
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import RunSpec


@dataclass
class _Run:
    """One member's run: its history, what it ends with, and how far its watch knows it.

    best:           parameters at the lowest validation loss so far, where the run has patience
    layers:         of the final network; () while there is none
    batch_accuracy: of the latest batch
    told:           points of the curve that the watch was told
    """

    spec: RunSpec
    key: str
    history: History = field(default_factory=History)
    best: tuple[Layer, ...] = ()
    layers: tuple[Layer, ...] = ()
    train: Evaluation = field(default_factory=Evaluation.unknown)
    test: Evaluation = field(default_factory=Evaluation.unknown)
    batch_accuracy: float = 0.0
    told: int = 0

    def new_points(self) -> tuple[CurvePoint, ...]:
        points = tuple(self.history.points[self.told :])
        self.told += len(points)
        return points


def train_cohort(
    specs: Sequence[RunSpec],
    dataset: Dataset,
    *,
    device: str = "cpu",
    threads: int | None = 1,
    watch: Watch = NOBODY,
) -> list[tuple[RunResult, TrainedNetwork]]:
    """Train the networks of one cohort on their data set; results in the order of the specs.

    specs:   of one cohort: `cohort_key` is the same for all
    device:  `cpu`, `cuda`, `cuda:1`, `mps`
    threads: that train each network together in the compiled kernel; None: as many as gain, for a network
             alone
    watch:   is told where the runs are; those that it cancels are stopped, and left out of the results
    Raises SpecError when the specs are of several cohorts or of another data set or there cannot be so many
    threads, DeviceError when the device is not there, RunError when memory does not suffice, and what
    `first_layers` raises.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise SpecError([Fault("threads", threads, f"is not between 1 and {MOST_THREADS}")])
    if len({cohort_key(spec) for spec in specs}) > 1:
        raise SpecError([Fault("cohort", len(specs), "specs are of several cohorts; plan them first")])
    if not specs:
        return []
    check_data_set(specs[0], dataset)
    found = find_device(device, specs[0].precision)
    backend = backend_for(found, specs, threads)
    start = time.perf_counter()
    runs = [_Run(spec, spec.key) for spec in specs]
    with backend.settings(), memory_errors_named():
        for together in backend.together(specs):
            group = [runs[i] for i in together]
            members = backend.members([run.spec for run in group], dataset, watch.cancelled)
            left = _train(members, group, watch)
            if specs[0].patience:  # the final networks are not those that trained last
                del members  # it gives way to what evaluates them
                left = [run for run in group if _is_kept(run, watch)]
                if not left:
                    continue
                kept = [run.best for run in left]
                members = backend.members([run.spec for run in left], dataset, watch.cancelled, kept)
            _evaluate(members, left, watch)
        origin = provenance(
            "lockstep",
            found,
            (time.perf_counter() - start) / len(runs),
            arithmetic=backend.arithmetic,
            threads=backend.threads,
            compiler=backend.compiler,
            matmul_precision=backend.matmul_precision,
        )
    scale = dataset.scale(specs[0].scaling)
    return [
        (
            result_of(run.spec, run.history, train=run.train, test=run.test, provenance=origin),
            TrainedNetwork(run.spec, scale, run.layers),
        )
        for run in runs
        if run.layers  # else it was cancelled
    ]


def _train(members: Members, runs: Sequence[_Run], watch: Watch) -> list[_Run]:
    """Train members and write their histories, [member], until all have ended; those that came to the end."""
    spec, cohort, left = runs[0].spec, runs[0].key, list(runs)
    evaluation_steps = frozenset(spec.evaluation_steps)
    has_validation = spec.validation_size > 0
    diverged: list[_Run] = []  # of which the watch has not been told
    for steps in _blocks(spec):
        losses = members.train(steps)
        for run, found in zip(left, losses, strict=True):
            if run.key in watch.cancelled:
                continue
            run.history.add_batches(found.batch_losses)
            run.batch_accuracy = found.accuracy
            if not run.history.is_finite():
                run.history.add_point(Evaluation.unknown() if has_validation else None)
                diverged.append(run)
        left = _still_training(members, left, watch)
        if left and steps.stop in evaluation_steps:
            evaluations = members.evaluate("validation") if has_validation else [None] * len(left)
            for i, (run, evaluation) in enumerate(zip(left, evaluations, strict=True)):
                run.history.add_point(evaluation)
                if spec.patience and run.history.has_improved:
                    run.best = members.layers(i)
            left = _still_training(members, left, watch)
        going = [i for i, run in enumerate(left) if not run.history.is_out_of_patience(spec.patience)]
        if left and watch.is_due(steps.stop, spec.step_count if len(going) == len(left) else steps.stop):
            told, snapshots = _states([*left, *diverged]), _snapshots(members, left, steps.stop, watch)
            watch.tell(CohortProgress(cohort, steps.stop, spec.step_count, *told, snapshots))
            diverged = []
        if len(going) < len(left):
            members.keep(going)
            left = [left[i] for i in going]
        if not left:
            break
    return left


def _is_kept(run: _Run, watch: Watch) -> bool:
    """Whether a run with patience has a best network that is its final one."""
    return bool(run.best) and run.history.is_finite() and run.key not in watch.cancelled


def _evaluate(members: Members, runs: Sequence[_Run], watch: Watch) -> None:
    """Evaluate the final networks of runs, [member], and write down what they are."""
    if not runs:
        return
    found = zip(runs, members.evaluate("train"), members.evaluate("test"), strict=True)
    for i, (run, train, test) in enumerate(found):
        if run.key not in watch.cancelled:
            run.train, run.test = train.without_predictions(), test
            run.layers = run.best or members.layers(i)


def _still_training(members: Members, runs: list[_Run], watch: Watch) -> list[_Run]:
    """Let the members go that have diverged or are cancelled; what remains."""
    stays = []
    for i, run in enumerate(runs):
        if run.key in watch.cancelled:
            continue
        if run.history.is_finite():
            stays.append(i)
        else:
            run.layers = members.layers(i)
    if len(stays) < len(runs):
        members.keep(stays)
    return [runs[i] for i in stays]


def _states(
    runs: Sequence[_Run],
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[CurvePoint, ...]]]:
    """Where each run is, and the new points of its curve; see `CohortProgress`."""
    state, points = {}, {}
    for run in runs:
        validation = run.history.validation
        accuracy = validation.accuracy if validation else run.batch_accuracy
        state[run.key] = (run.history.recent_loss, accuracy)
        if new := run.new_points():
            points[run.key] = new
    return state, points


def _snapshots(members: Members, runs: Sequence[_Run], step: int, watch: Watch) -> dict[str, Snapshot]:
    """Parameters of the runs, [member], that somebody asks for."""
    places = {run.key: i for i, run in enumerate(runs)}
    return {key: Snapshot(step, members.layers(places[key])) for key in watch.asks_for(list(places))}


def _blocks(spec: RunSpec) -> Iterator[range]:
    """The run's steps, cut where an evaluation is due and into blocks of bounded size."""
    first, most = 0, block_steps(spec)
    for due in spec.evaluation_steps:
        for start in range(first, due, most):
            yield range(start, min(start + most, due))
        first = due
