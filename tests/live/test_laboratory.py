"""The laboratory behind a page, with real workers and a real store."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.lockstep import train_cohort
from digitlab.errors import SpecError, WeightsError
from digitlab.execution.pool import Pool
from digitlab.execution.training import Training
from digitlab.live import BusyError, LabLimits, Laboratory, LiveRun, UnknownRunError, Visitor
from digitlab.live.networks import Preparing, Weights
from digitlab.networks import KeptNetwork, keep_network
from digitlab.options import make_spec
from digitlab.spec import RunSpec
from digitlab.store import Store, open_store
from tests.execution.trainings import small


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    found = open_store(tmp_path_factory.mktemp("live") / "runs.db")
    yield found
    found.close()


@pytest.fixture(scope="module")
def laboratory(store: Store) -> Iterator[Laboratory]:
    found = Laboratory(store, workers=2, limits=LabLimits(queued_runs=12, visitor_runs=2, address_runs=3))
    yield found
    found.close()


def endless(seed: int) -> RunSpec:
    return make_spec(hidden=(50,), epochs=2_000, evaluate_at=(1,), seed=seed)


def until(laboratory: Laboratory, is_so: Callable[[], bool]) -> None:
    """Wait for something in the laboratory, which tells its listeners of it."""
    changed = threading.Event()
    unsubscribe = laboratory.subscribe(changed.set)
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        changed.wait(0.5)
        changed.clear()
    unsubscribe()


def shown(laboratory: Laboratory, spec: RunSpec) -> LiveRun:
    run = laboratory.run(spec.key)
    assert run is not None
    return run


def ended(laboratory: Laboratory, *specs: RunSpec) -> list[LiveRun]:
    until(laboratory, lambda: all(shown(laboratory, spec).has_ended for spec in specs))
    return [shown(laboratory, spec) for spec in specs]


def weights(laboratory: Laboratory, spec: RunSpec) -> Weights:
    end = time.monotonic() + 120
    while isinstance(found := laboratory.weights(spec.key), Preparing):
        assert 0 <= found.share <= 1
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_race_is_trained_kept_and_explained(laboratory: Laboratory, store: Store, mnist: Dataset) -> None:
    specs = [small(0, learning_rate=rate, validation_size=1_000, epochs=4) for rate in (0.25, 1e4)]
    first = laboratory.submit(specs, title="rates")
    assert [run.key for run in first] == [spec.key for spec in specs]
    assert {run.race for run in first} == {first[0].race} != {None}
    good, broken = ended(laboratory, *specs)
    assert (good.status, good.race_title, good.says) == ("done", "rates", None)
    assert good.step == specs[0].step_count
    ((result, network),) = train_cohort(specs[:1], mnist)
    assert good.test_accuracy == result.metrics.test_accuracy
    assert [point.validation_loss for point in good.points] == list(result.curve.validation_loss)
    assert broken.status in ("diverged", "collapsed")
    assert broken.says is not None
    assert "the learning rate 10000 is too large for batches of 100; try 2500" in broken.says
    assert store.known([spec.key for spec in specs]) == {spec.key for spec in specs}
    found = weights(laboratory, specs[0])
    assert found.step == specs[0].step_count
    assert np.array_equal(found.network.layers[0].weight, network.layers[0].weight)


def test_a_run_of_the_store_has_ended_at_once_and_its_network_is_trained_again(
    laboratory: Laboratory, store: Store, mnist: Dataset
) -> None:
    spec = small(10)
    ((result, network),) = train_cohort([spec], mnist)
    store.add([result])
    (run,) = laboratory.submit([spec])
    assert (run.status, run.weights, len(run.points)) == ("done", 0, 2)
    assert isinstance(laboratory.weights(spec.key), Preparing)
    found = weights(laboratory, spec)
    assert np.array_equal(found.network.layers[1].weight, network.layers[1].weight)
    assert found.note == ""
    laboratory.clear([spec.key])
    assert laboratory.run(spec.key) is None
    assert weights(laboratory, spec).step == spec.step_count


def test_a_run_that_comes_out_differently_is_told_so(
    laboratory: Laboratory, store: Store, mnist: Dataset
) -> None:
    ((result, _),) = train_cohort([small(13)], mnist)
    ((elsewhere, _),) = train_cohort([small(14)], mnist)
    provenance = elsewhere.provenance.model_copy(update={"processor": "an abacus"})
    changed = [result, elsewhere.model_copy(update={"provenance": provenance})]
    for i, one in enumerate(changed):
        loss = np.nextafter(one.metrics.test_loss, 9.0)  # by one bit
        changed[i] = one.model_copy(update={"metrics": one.metrics.model_copy(update={"test_loss": loss})})
    store.add(changed)
    assert weights(laboratory, result.spec).note == (
        f"{result.key[:12]}: trained again, it differs from the run in the store, and nothing explains it"
    )
    note = weights(laboratory, elsewhere.spec).note
    assert "it differs from the run in the store: processor was an abacus, is " in note


def test_the_same_is_said_of_a_collapsed_run_when_it_comes_from_the_store(
    laboratory: Laboratory, store: Store
) -> None:
    spec = small(15, hidden=(20, 20), learning_rate=4.0)
    laboratory.submit([spec])
    (before,) = ended(laboratory, spec)
    assert before.status == "collapsed"
    assert before.says is not None
    assert "hidden units no longer answer to any image" in before.says
    after_restart = Laboratory(store, workers=1)
    (after,) = after_restart.submit([spec])
    assert after.says == before.says
    after_restart.close()


def test_what_took_long_is_not_trained_again(laboratory: Laboratory, store: Store, mnist: Dataset) -> None:
    ((result, _),) = train_cohort([small(11)], mnist)
    provenance = result.provenance.model_copy(update={"seconds": 10_000.0})
    store.add([result.model_copy(update={"provenance": provenance})])
    with pytest.raises(WeightsError, match=r"its training took 10,000 s, too long for the page; train it by"):
        laboratory.weights(result.key)


def test_a_network_that_a_command_has_kept_is_not_trained_again(
    laboratory: Laboratory,
    store: Store,
    mnist: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = small(12)
    ((result, network),) = train_cohort([spec], mnist)
    store.add([result])
    keep_network(KeptNetwork(network))
    found = laboratory.weights(spec.key)
    assert isinstance(found, Weights)
    assert np.array_equal(found.network.layers[1].weight, network.layers[1].weight)


def test_snapshots_come_while_it_trains(laboratory: Laboratory) -> None:
    spec = endless(20)
    laboratory.submit([spec])
    laboratory.observe("a page", [spec.key])
    until(laboratory, lambda: shown(laboratory, spec).weights >= 2)
    found = laboratory.weights(spec.key)
    assert isinstance(found, Weights)
    assert 0 < found.step < spec.step_count
    run = shown(laboratory, spec)
    assert run.status == "training"
    assert run.training_loss is not None
    assert math.isfinite(run.training_loss)
    until(laboratory, lambda: shown(laboratory, spec).seconds_left is not None)
    laboratory.observe("a page", [])
    laboratory.cancel([spec.key])
    (stopped,) = ended(laboratory, spec)
    assert (stopped.status, stopped.says) == ("cancelled", None)


def test_what_waits_has_a_place_and_can_be_stopped(laboratory: Laboratory, store: Store) -> None:
    specs = [endless(seed) for seed in range(30, 35)]
    for spec in specs:
        laboratory.submit([spec])
    until(laboratory, lambda: sum(run.status == "training" for run in laboratory.state()) == 2)
    waiting = [run for run in laboratory.state() if run.status == "waiting"]
    assert [run.position for run in waiting] == [1, 2, 3]
    laboratory.cancel([waiting[0].key])
    until(laboratory, lambda: shown(laboratory, waiting[0].spec).status == "cancelled")
    assert [run.position for run in laboratory.state() if run.status == "waiting"] == [1, 2]
    laboratory.cancel([spec.key for spec in specs])
    assert {run.status for run in ended(laboratory, *specs)} == {"cancelled"}
    again = small(36)
    laboratory.submit([again])
    assert ended(laboratory, again)[0].status == "done"
    assert store.known([specs[0].key]) == frozenset()


def test_limits_are_told_with_what_to_do(laboratory: Laboratory) -> None:
    for options, says in (
        ({"hidden": (4_000, 4_000)}, "too many for the page; use smaller layers"),
        ({"epochs": 10_000, "evaluate_at": (1,)}, "steps are too many for the page; train at most 2,000,000"),
        ({"steps": 5_000, "evaluate_at": range(1, 2_000)}, "points of a curve are too many for the page"),
    ):
        with pytest.raises(SpecError, match=says):
            laboratory.submit([make_spec(**options)])
    with pytest.raises(SpecError, match="runs: 33 are too many at once; give at most 32"):
        laboratory.submit([small(seed) for seed in range(33)])
    with pytest.raises(UnknownRunError, match="there is no such run"):
        laboratory.weights("0" * 64)
    heron = Visitor("blue heron", 5)
    with pytest.raises(BusyError, match="0 runs wait or train already; try again when some have ended"):
        laboratory.submit([endless(seed) for seed in range(40, 53)])
    runs = laboratory.submit([endless(60), endless(61)], visitor=heron)
    with pytest.raises(BusyError, match="2 of your runs wait or train; at most 2 may") as caught:
        laboratory.submit([endless(62)], visitor=heron)
    assert caught.value.position == 2
    with pytest.raises(
        BusyError, match="2 runs from your network wait or train; at most 3 may, of all who share"
    ):
        laboratory.submit([endless(63), endless(64)], visitor=Visitor("sky otter", 2))
    elsewhere = laboratory.submit([endless(63), endless(64)], visitor=Visitor("sky otter", 2, "192.0.2.1"))
    runs += elsewhere + laboratory.submit([endless(65), endless(66)])
    laboratory.cancel([run.key for run in runs])
    ended(laboratory, *(run.spec for run in runs))


def test_changes_are_told_once_and_only_what_changed(laboratory: Laboratory) -> None:
    version = laboratory.changes(0).version
    assert laboratory.changes(version).runs == ()
    laboratory.announce("depth")
    found = laboratory.changes(version)
    assert (found.studies, found.runs) == (("depth",), ())
    spec = small(70)
    laboratory.submit([spec])
    ended(laboratory, spec)
    assert [run.key for run in laboratory.changes(found.version).runs] == [spec.key]
    before = laboratory.changes(0).version
    laboratory.clear([spec.key])
    assert laboratory.changes(before).removed == (spec.key,)


def test_jobs_are_done_one_after_the_other_and_stopped(laboratory: Laboratory) -> None:
    begun, order = threading.Event(), []

    def long(stop: threading.Event) -> None:
        begun.set()
        assert stop.wait(60)
        order.append("long")

    def fails(_stop: threading.Event) -> None:
        order.append("fails")
        raise SpecError([])

    laboratory.submit_job("long", long)
    laboratory.submit_job("fails", fails)
    laboratory.submit_job("never", fails)
    assert begun.wait(60)
    laboratory.stop_job("never")
    laboratory.stop_job("long")
    until(laboratory, lambda: all(job.has_ended for job in laboratory.jobs()))
    assert order == ["long", "fails"]
    assert {job.name: job.status for job in laboratory.jobs()} == {
        "long": "stopped",
        "fails": "failed",
        "never": "stopped",
    }


def test_closing_ends_what_trains_and_leaves_no_folder(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs.db")
    laboratory = Laboratory(store, workers=1)
    spec = endless(80)
    laboratory.submit([spec])
    until(laboratory, lambda: shown(laboratory, spec).status == "training")
    folder = Path(laboratory._temporary.name)
    laboratory.close()
    laboratory.close()
    assert not folder.exists()
    assert shown(laboratory, spec).status in ("cancelled", "failed")
    with pytest.raises(BusyError, match="the server is ending"):
        laboratory.submit([small(81)])
    store.close()


def test_what_has_diverged_beside_others_is_cleared_when_they_have_ended(laboratory: Laboratory) -> None:
    rates = (0.1, 1e19, 1e19, 0.1)  # of two workers, each has one that diverges and one that goes on
    specs = [
        make_spec(hidden=(50,), epochs=2_000, evaluate_at=(1,), seed=90 + i, learning_rate=rate)
        for i, rate in enumerate(rates)
    ]
    good, broken = [specs[0], specs[3]], specs[1:3]
    laboratory.submit(specs)
    until(laboratory, lambda: all(shown(laboratory, spec).status == "diverged" for spec in broken))
    laboratory.clear([spec.key for spec in broken])
    steps = [shown(laboratory, spec).step for spec in good]
    until(laboratory, lambda: [shown(laboratory, spec).step for spec in good] > steps)
    laboratory.cancel([spec.key for spec in good])
    until(laboratory, lambda: not laboratory._trainings)
    assert [shown(laboratory, spec).status for spec in good] == ["cancelled"] * 2
    laboratory.clear([spec.key for spec in specs])
    assert all(laboratory.run(spec.key) is None for spec in specs)


def test_no_visitor_takes_away_what_another_has_asked_for(laboratory: Laboratory) -> None:
    heron, otter = Visitor("blue heron", 5), Visitor("sky otter", 2)
    spec, mine, done = endless(95), small(96), small(97)
    laboratory.submit([spec, done], title="the teacher's")
    ended(laboratory, done)
    before = shown(laboratory, spec), shown(laboratory, done)
    for _ in range(2):  # while mine trains, and when it is done
        laboratory.submit([spec, mine, done], title="mine", visitor=heron)
        ended(laboratory, mine)
    for run in before:
        found = shown(laboratory, run.spec)
        assert (found.race, found.race_title, found.visitor) == (run.race, "the teacher's", None)
    laboratory.submit([spec, mine], title="ours")
    assert shown(laboratory, spec).race_title == shown(laboratory, mine).race_title == "ours"
    laboratory.cancel([spec.key])
    ended(laboratory, spec)
    laboratory.submit([spec], visitor=otter)  # it has to be trained anew: now it is theirs
    assert shown(laboratory, spec).visitor == otter
    laboratory.cancel([spec.key])
    ended(laboratory, spec)


def test_closing_while_a_training_begins_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path / "runs.db")
    laboratory = Laboratory(store, workers=1)
    reached, closed, start = threading.Event(), threading.Event(), lab.start

    def slow(specs: list[RunSpec], *, pool: Pool) -> Training:
        reached.set()
        assert closed.wait(60)
        return start(specs, pool=pool)

    monkeypatch.setattr(lab, "start", slow)
    laboratory.submit([endless(98)])
    assert reached.wait(60)
    closing = threading.Thread(target=laboratory.close)
    closing.start()
    while laboratory._pool is None or any(
        worker._thread.is_alive() for worker in laboratory._pool._workers._workers
    ):
        time.sleep(0.05)
    closed.set()
    closing.join(60)
    assert not closing.is_alive()
    assert shown(laboratory, endless(98)).status in ("cancelled", "failed")
    store.close()
