"""What holds for every executor: the same events, whoever trains."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import pytest

from digitlab import lab
from digitlab.data import Dataset, load
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import Watch
from digitlab.errors import RunError
from digitlab.execution.events import Cancelled, Event, Failed, Finished, Planned, Progress, Started
from digitlab.execution.in_process import InProcess
from digitlab.execution.interface import Executor
from digitlab.execution.pool import Pool
from digitlab.execution.ray.cluster import Cluster
from digitlab.execution.ray.executor import OnRay
from digitlab.execution.shared import Shared
from digitlab.execution.training import Training
from digitlab.execution.workers import Workers
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from tests.execution.trainings import Cohorts, Taken, bits, small, training_of

SECONDS_TO_STOP = 1.0
"""What `Training.cancel` promises. It is held twofold here, for other processes may want the cores too."""


def endless(seed: int) -> RunSpec:
    """Days of work, on any machine, with a point of the curve at each step of the beginning."""
    return lab.make_spec(hidden=(100, 100), epochs=1_000_000, evaluate_at=range(1, 50_000), seed=seed)


def train_here(specs: Sequence[RunSpec], watch: Watch) -> list[tuple[RunResult, TrainedNetwork]]:
    return train_cohort(specs, load("mnist"), watch=watch)


def here() -> Executor:
    return InProcess(train_here)


def workers() -> Executor:
    return Workers(2, ["float32"])


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    found = Pool(2)
    yield found
    found.close()


@pytest.fixture(scope="module")
def on_ray(mnist: Dataset) -> Iterator[Callable[[], Executor]]:
    with Cluster("ray", 2) as cluster:
        yield lambda: OnRay(cluster, [mnist])


def shared() -> Executor:
    return Shared(Workers(2, ["float32"]), Taken(by_others=set()))


@pytest.fixture(
    params=[here, workers, shared, "pool", "on_ray"], ids=["in process", "workers", "shared", "pool", "ray"]
)
def trained(request: pytest.FixtureRequest) -> Callable[[Cohorts], Training]:
    """Trains cohorts by one of the executors."""
    make = request.getfixturevalue(request.param) if isinstance(request.param, str) else request.param
    make = make.executor if isinstance(make, Pool) else make
    return lambda cohorts: training_of(make(), cohorts)


def until(events: Iterable[Event], kind: type, key: str | None = None) -> Event:
    return next(event for event in events if isinstance(event, kind) and key in (None, event.key))


def ends(events: Sequence[Event]) -> dict[str, Event]:
    found = [event for event in events if isinstance(event, Finished | Failed | Cancelled)]
    assert len({event.key for event in found}) == len(found)
    return {event.key: event for event in found}


def test_each_run_is_planned_started_under_way_and_finished(
    trained: Callable[[Cohorts], Training], mnist: Dataset
) -> None:
    cohorts = [[small(seed) for seed in range(3)], [small(5, hidden=())]]
    with trained(cohorts) as training:
        events = list(training)
    for specs in cohorts:
        for spec in specs:
            mine = [event for event in events if event.key == spec.key]
            kinds = [kind for kind, _ in groupby(mine, type)]
            assert kinds in ([Planned, Started, Progress, Finished], [Planned, Started, Finished])
            assert mine[0] == Planned(spec.key, spec, 0.25)
            assert isinstance(mine[-1], Finished)
            ((alone, _),) = train_cohort([spec], mnist)
            ours = mine[-1].result
            assert bits(ours) == bits(alone)
            reported = [event for event in mine if isinstance(event, Progress)]
            assert [event.step for event in reported] == sorted(event.step for event in reported)
            assert reported[-1].step == reported[-1].step_count == 40
            losses = tuple(point.training_loss for event in reported for point in event.points)
            assert losses == ours.curve.training_loss


def test_nothing_to_train_is_done_at_once(trained: Callable[[Cohorts], Training]) -> None:
    with trained([]) as training:
        assert list(training) == []


def test_progress_comes_while_a_run_trains(trained: Callable[[Cohorts], Training]) -> None:
    with trained([[endless(0), endless(1)]]) as training:
        steps, points = [], []
        for event in training:
            if isinstance(event, Progress) and event.key == endless(1).key:
                steps.append(event.step)
                points += [point.step for point in event.points]
            if len(steps) == 5:
                break
    assert steps == sorted(set(steps))
    assert points == list(range(1, points[-1] + 1))


def test_a_cancelled_run_stops_and_costs_the_others_no_bit(
    trained: Callable[[Cohorts], Training], mnist: Dataset
) -> None:
    """Of one cohort a run goes and another stays; of others, all: one that trains or will, and one that waits."""
    stays = small(1, epochs=400, evaluate_at=[1])
    goes = lab.make_spec(stays, seed=2)
    others = [[endless(3)], [endless(4)], [endless(5)]]
    with trained([[stays, goes], *others]) as training:
        events = iter(training)
        until(events, Progress, goes.key)
        training.cancel([goes.key, *(spec.key for (spec,) in others), "0" * 64])
        found = ends(list(events))
    assert {key for key, event in found.items() if isinstance(event, Cancelled)} == {
        goes.key,
        *(spec.key for (spec,) in others),
    }
    finished = found[stays.key]
    assert isinstance(finished, Finished)
    ((alone, _),) = train_cohort([stays], mnist)
    ours = finished.result
    assert bits(ours) == bits(alone)


def test_a_cancelled_run_may_train_later(trained: Callable[[Cohorts], Training]) -> None:
    """Those that trained beside it go on, and so does what trained it: it must not remember."""
    stay = [small(seed, epochs=100) for seed in (1, 2)]
    go = [small(seed, epochs=100) for seed in (3, 4)]
    with trained([list(pair) for pair in zip(stay, go, strict=True)]) as training:
        events = iter(training)
        until(events, Progress, go[0].key)
        training.cancel([spec.key for spec in go])
        found = ends(list(events))
    assert isinstance(found[go[0].key], Cancelled)
    with trained([[spec] for spec in go]) as training:
        assert {type(event) for event in ends(list(training)).values()} == {Finished}


def test_all_runs_are_cancelled_within_a_second(trained: Callable[[Cohorts], Training]) -> None:
    with trained(
        [[endless(seed) for seed in range(3)], *([endless(seed)] for seed in range(3, 9))]
    ) as training:
        events = iter(training)
        until(events, Progress)
        start = time.monotonic()
        training.cancel()
        found = ends(list(events))
        seconds = time.monotonic() - start
    assert len(found) == 9
    assert {type(event) for event in found.values()} == {Cancelled}
    assert seconds < 5 * SECONDS_TO_STOP  # it may share its processors with other programs


def test_a_run_that_has_ended_cannot_be_cancelled(trained: Callable[[Cohorts], Training]) -> None:
    with trained([[small(1)], [endless(2)]]) as training:
        events = iter(training)
        until(events, Finished)
        training.cancel([small(1).key])
        training.cancel()
        assert {type(event) for event in ends(list(events)).values()} == {Cancelled}


def test_another_thread_may_cancel(trained: Callable[[Cohorts], Training]) -> None:
    with trained([[endless(1)], [endless(2)]]) as training:
        canceller = threading.Timer(0.1, training.cancel)
        canceller.start()
        assert {type(event) for event in ends(list(training)).values()} == {Cancelled}


def test_leaving_ends_what_trains(trained: Callable[[Cohorts], Training]) -> None:
    before = threading.active_count()
    with trained([[endless(0)], [endless(1)]]) as training:
        until(training, Started)
    assert threading.active_count() == before


def test_a_run_that_cannot_be_trained_takes_no_other_with_it(trained: Callable[[Cohorts], Training]) -> None:
    """Its data set is not here; whoever trains sees that only when the cohort's turn comes."""
    data = small(0).data.model_copy(update={"name": "nowhere"})
    broken = small(0).model_copy(update={"data": data})
    with trained([[broken], [small(1)]]) as training:
        found = ends(list(training))
    failed = found[broken.key]
    assert isinstance(failed, Failed)
    assert "nowhere" in failed.failure.cause
    assert isinstance(found[small(1).key], Finished)


def test_a_cohort_that_fails_is_tried_in_halves_and_a_run_alone_twice() -> None:
    specs = [small(seed) for seed in range(5)]
    tried: list[list[int]] = []

    def train(cohort: Sequence[RunSpec], watch: Watch) -> list[tuple[RunResult, TrainedNetwork]]:
        tried.append([spec.seed for spec in cohort])
        if any(spec.seed == 3 for spec in cohort):
            raise RunError("seed 3 is bad")
        return train_here(cohort, watch)

    with training_of(InProcess(train), [specs]) as training:
        found = ends(list(training))
    assert tried == [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4], [2], [3, 4], [3], [4], [3]]
    failed = found.pop(specs[3].key)
    assert isinstance(failed, Failed)
    assert failed.failure.cause == "seed 3 is bad"
    assert {type(event) for event in found.values()} == {Finished}


def test_a_slow_reader_slows_no_training(trained: Callable[[Cohorts], Training]) -> None:
    """Whoever reads after the end finds it all: of the progress the latest, with all points of the curve."""
    spec = small(1, epochs=20, evaluate_at=range(1, 400))
    is_done = threading.Event()
    with trained([[spec]]) as training:
        close = training._mailbox.close

        def note_end() -> None:
            close()
            is_done.set()

        training._mailbox.close = note_end  # type: ignore[method-assign]
        is_done.wait()
        events = list(training)
    planned, started, progress, finished = events
    assert [type(event) for event in (planned, started)] == [Planned, Started]
    assert isinstance(progress, Progress)
    assert isinstance(finished, Finished)
    losses = tuple(point.training_loss for point in progress.points)
    assert losses == finished.result.curve.training_loss
    assert len(losses) == 400


def test_observed_runs_tell_their_parameters_and_train_to_the_same_bits(
    trained: Callable[[Cohorts], Training], mnist: Dataset
) -> None:
    specs = [small(seed, epochs=40) for seed in (50, 51)]
    seen: list[Progress] = []
    with trained([specs]) as training:
        training.observe([specs[0].key])
        events = list(training)
    seen = [event for event in events if isinstance(event, Progress) and event.snapshot is not None]
    results = {event.key: event.result for event in events if isinstance(event, Finished)}
    for spec, (alone, _) in zip(specs, train_cohort(specs, mnist), strict=True):
        assert bits(results[spec.key]) == bits(alone)
    assert {event.key for event in seen} == {specs[0].key}
    snapshot = seen[-1].snapshot
    assert snapshot is not None
    ((_, network),) = train_cohort([specs[0].until(snapshot.step)], mnist)  # a constant rate: the same way
    for layer, expected in zip(snapshot.layers, network.layers, strict=True):
        assert np.array_equal(layer.weight, expected.weight)
        assert np.array_equal(layer.bias, expected.bias)


def test_a_run_that_diverges_is_told_while_the_others_train(trained: Callable[[Cohorts], Training]) -> None:
    broken, others = small(60, learning_rate=1e18, epochs=400), small(61, epochs=400)
    with trained([[broken, others]]) as training:
        for event in training:
            if event.key == broken.key and isinstance(event, Progress):
                break
        else:
            raise AssertionError("it was not told")
        assert not math.isfinite(event.training_loss)
        assert event.points[-1].step == 3
        training.cancel()
        rest = ends(list(training))
    assert isinstance(rest[others.key], Cancelled | Finished)
