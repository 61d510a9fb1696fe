"""A Ray cluster: three nodes on this machine, lost nodes and workers, refusals, authentication."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import ray
import safetensors.numpy
from ray import exceptions

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.lockstep import train_cohort
from digitlab.errors import DataError, RunError, SpecError
from digitlab.execution.events import Event, Failed, Finished, Progress, Started
from digitlab.execution.ray import cluster as cluster_module
from digitlab.execution.ray import connection, remote
from digitlab.execution.ray.carried import Carried, arrays_of, verify
from digitlab.execution.ray.causes import cause
from digitlab.execution.ray.cluster import Cluster, Node, refusal
from digitlab.execution.ray.connection import connected
from digitlab.execution.ray.executor import OnRay
from digitlab.execution.retry import Retry
from digitlab.models.trained import saved_in
from digitlab.spec import RunSpec
from tests.execution.trainings import bits, small, training_of
from tests.ray_nodes import Nodes


@pytest.fixture(scope="module")
def machines(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """A head without a worker, a plain node, and one that pretends to have a GPU."""
    monkeypatch_module.setenv("RAY_AUTH_MODE", "token")
    monkeypatch_module.setenv("RAY_AUTH_TOKEN", "t" * 64)
    monkeypatch_module.setenv("RAY_USAGE_STATS_ENABLED", "0")
    connection._refresh()
    found = Nodes()
    found.add()
    found.add(num_gpus=1)  # which it only pretends to have
    monkeypatch_module.setenv("RAY_ADDRESS", found.address)
    yield found
    found.close()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    connection._refresh()


def finished(events: list[Event]) -> dict[str, object]:
    assert not [event for event in events if isinstance(event, Failed)]
    return {event.key: bits(event.result) for event in events if isinstance(event, Finished)}


def alone(specs: list[RunSpec], dataset: Dataset) -> dict[str, object]:
    return {spec.key: bits(train_cohort([spec], dataset)[0][0]) for spec in specs}


def test_nodes_with_and_without_a_gpu_give_the_bits_of_this_process(machines: Nodes, mnist: Dataset) -> None:
    specs = [small(seed, hidden=(20,) * (seed % 3)) for seed in range(12)]
    with Cluster("auto", gpu=True) as cluster:
        assert cluster.slot_count == 2
        assert sum("is said to have a GPU, but torch finds none" in note for note in cluster.notes) == 1
        assert len({node.name for node in cluster.nodes.values()}) == 2
        with lab.start(specs, on=cluster) as training:
            found = finished(list(training))
        rates = cluster.rates()
    assert found == alone(specs, mnist)
    assert sum(rate.runs for rate in rates) == len(specs)
    assert all(rate.runs for rate in rates)


def test_the_work_of_a_killed_node_is_done_elsewhere(machines: Nodes, mnist: Dataset) -> None:
    victim = machines.add()
    lost = victim.node_id
    specs = [small(seed, epochs=60) for seed in range(9)]
    with Cluster("auto") as cluster:
        assert cluster.slot_count == 3
        with training_of(OnRay(cluster, [mnist]), [[spec] for spec in specs]) as training:
            events: list[Event] = []
            for event in training:
                events.append(event)
                there = {key for slot in cluster.slots if slot.node.id == lost for key in slot.runs}
                if victim is not None and isinstance(event, Progress) and event.key in there:
                    machines.kill(victim)
                    victim = None
    assert finished(events) == alone(specs, mnist)
    assert len([event for event in events if isinstance(event, Started)]) > len(specs)


def test_a_run_whose_workers_are_lost_three_times_has_failed(machines: Nodes, mnist: Dataset) -> None:
    """Its worker is killed each time, as the system does for want of memory; others go on."""
    endless, other = lab.make_spec(hidden=(50,), epochs=1_000_000, evaluate_at=[1]), small(2)
    with (
        Cluster("auto") as cluster,
        training_of(OnRay(cluster, [mnist]), [[endless], [other]]) as training,
    ):
        ends, starts = [], 0
        for event in training:
            if isinstance(event, Started) and event.key == endless.key:
                starts += 1
                (slot,) = [slot for slot in cluster.slots if endless.key in slot.runs]
                slot.kill()
            if isinstance(event, Finished | Failed):
                ends.append(event)
    assert starts == 3
    (failed,) = [event for event in ends if isinstance(event, Failed)]
    assert failed.key == endless.key
    assert failed.failure.cause.startswith("its worker on ")
    assert len(ends) == 2


def test_nobody_joins_without_the_token(machines: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "u" * 64)
    with pytest.raises(RunError, match="token"), connected("auto"):
        pass


@pytest.mark.parametrize("on", ["auto", "ray://127.0.0.1:{port}"])
def test_a_head_that_is_gone_is_said_at_once(on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray tries for a quarter of an hour to reach the address that it was given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    begun = time.monotonic()
    with pytest.raises(RunError) as caught, connected(on.format(port=port)):
        pass
    assert time.monotonic() - begun < 10
    assert f"nothing answers at {'' if on == 'auto' else 'ray://'}127.0.0.1:{port} (" in str(caught.value)
    assert ("RAY_ADDRESS" in str(caught.value)) == (on == "auto")


def test_closing_ends_remote_work_within_seconds(machines: Nodes, mnist: Dataset) -> None:
    with Cluster("auto") as cluster:
        with training_of(
            OnRay(cluster, [mnist]), [[lab.make_spec(epochs=1_000_000, evaluate_at=[1])]]
        ) as training:
            next(event for event in training if isinstance(event, Progress))
            start = time.monotonic()
        seconds = time.monotonic() - start
    assert seconds < 5


def test_a_cluster_whose_head_says_nothing_any_more_is_lost(
    machines: Nodes, mnist: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [lab.make_spec(epochs=1_000_000, evaluate_at=[1], seed=seed) for seed in range(3)]
    goes_on = threading.Event()
    with (
        Cluster("auto") as cluster,
        training_of(OnRay(cluster, [mnist]), [[spec] for spec in specs]) as training,
    ):
        failed = []
        for event in training:
            if isinstance(event, Progress):
                monkeypatch.setattr(cluster_module, "_SECONDS_OF_SILENCE", 0.5)
                monkeypatch.setattr(ray, "nodes", goes_on.wait)
            failed += [event] if isinstance(event, Failed) else []
        goes_on.set()
        monkeypatch.undo()
        assert cluster.lost == "the Ray cluster was lost: its head node has not answered for 0.5 seconds"
    assert {event.key for event in failed} == {spec.key for spec in specs}
    assert {event.failure.cause for event in failed} == {cluster.lost}


def test_a_worker_returns_networks_and_writes_nothing_on_its_node(
    mnist: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trainer, spec = remote.Trainer(), small(0)
    trainer._datasets[mnist.entry.sha256] = mnist  # what it else takes from the object store
    data = Carried(mnist.entry, None)
    for with_weights in (True, False):
        trainer.train(remote.Order(1, [spec.canonical_json], data, "cpu", with_weights, 1.0, frozenset()))
        while not isinstance(done := trainer.reply(), remote.Done):
            pass
        ((result, network),) = train_cohort([spec], mnist)
        assert [bits(found) for found in done.results] == [bits(result)]
        assert done.cause == ""
        assert list(done.weights) == [saved_in("", spec.key).name] * with_weights
        for content in done.weights.values():
            tensors = safetensors.numpy.load(content)
            assert np.array_equal(tensors["0.weight"], network.layers[0].weight)
            assert np.array_equal(tensors["2.bias"], network.layers[1].bias)
    assert not list(tmp_path.iterdir())


def test_what_is_left_fails_when_the_cluster_is_lost(mnist: Dataset) -> None:
    class Lost:
        nodes = MappingProxyType[str, Node]({})
        slots: tuple[object, ...] = ()
        slot_count, lost = 1, "the Ray cluster was lost"

        def carry(self, datasets: object) -> dict[str, object]:
            return {}

        def look(self) -> None:
            pass

    specs = [small(seed) for seed in range(3)]
    executor = OnRay(Lost(), [mnist])  # type: ignore[arg-type]
    with training_of(executor, [[spec] for spec in specs]) as training:
        events = list(training)
    causes = [event.failure.cause for event in events if isinstance(event, Failed)]
    assert causes == ["the Ray cluster was lost"] * 3


def test_a_question_that_nobody_answers_ends() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        cluster_module._within(0.05, never.wait)
    never.set()
    assert cluster_module._within(10, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        cluster_module._within(10, lambda: 1 // 0)


def test_places_that_are_none_are_refused() -> None:
    with pytest.raises(
        SpecError, match=r"on: 'moon' is not known; use `ray` .*, `auto` .* or ray://HOST:10001"
    ):
        lab.joined("moon")
    with pytest.raises(SpecError, match="device: 'mps' is no device of a cluster's nodes"):
        lab.joined("ray", device="mps")


def test_other_versions_are_refused() -> None:
    ours = remote.versions()
    assert set(ours) == {"digitlab", "numerics", "torch", "numpy"}
    assert refusal(ours, ours) == ""
    assert refusal(ours, ours | {"torch": "1.0", "numerics": "0"}) == (
        f"numerics is 0 there and {ours['numerics']} here, torch is 1.0 there and {ours['torch']} here; "
        "install the same versions on all nodes"
    )


def test_data_that_has_changed_on_its_way_is_refused(mnist: Dataset) -> None:
    arrays = arrays_of(mnist)
    verify(mnist.entry, arrays, "node 1")
    changed = np.array(arrays["test_labels"])
    changed[17] ^= 1
    with pytest.raises(
        DataError, match=r"mnist, test_labels on node 1: found an array with SHA-256 .* run it again"
    ):
        verify(mnist.entry, {**arrays, "test_labels": changed}, "node 1")


def test_what_ray_raises_is_said_in_words() -> None:
    raised: Any = exceptions  # whose classes have no types
    memory = cause(raised.OutOfMemoryError("Task was killed due to the node running low on memory."), "a")
    assert memory.text.startswith("its node a ran out of memory, and its worker was ended")
    assert memory.is_lost
    assert cause(raised.NodeDiedError("x"), "a").text == "its node a was lost"
    nowhere = raised.ActorUnschedulableError("The node specified doesn't exist any more or is infeasible")
    assert cause(nowhere, "a").text == "its node a was lost"
    crashed = cause(exceptions.WorkerCrashedError(), "a")
    assert crashed.text.startswith("its worker on a was lost (")
    assert not cause(ValueError("no"), "a").is_lost


def test_a_lost_cohort_is_tried_whole_then_alone_then_not_at_all() -> None:
    runs = {spec.key: spec for spec in map(small, range(3))}
    retry = Retry(2)
    assert retry.after(runs, began=True, is_lost=True) == [runs]
    assert retry.after(runs, began=True, is_lost=True) == [{key: spec} for key, spec in runs.items()]
    first = dict([next(iter(runs.items()))])
    assert retry.after(first, began=True, is_lost=True) == []


def test_a_gpu_takes_several_cohorts_in_one(mnist: Dataset) -> None:
    class Nowhere:
        nodes = MappingProxyType[str, Node]({})
        slot_count = 1

        def carry(self, datasets: object) -> dict[str, object]:
            return {}

    facts = remote.Facts("a", {}, "x", "y", None, gpu_bytes=10**9)
    node = Node("1", "a", 1, 0, facts)
    executor = OnRay(Nowhere(), [mnist])  # type: ignore[arg-type]
    cohorts = [[small(0), small(1)], [small(2, hidden=(30,))], [small(3)], [small(4)]]
    for specs in cohorts:
        executor._orders.put({spec.key: spec for spec in specs})
    taken = [executor._taken(node), executor._taken(node), executor._taken(node)]
    assert [len(runs or ()) for runs in taken] == [4, 1, 0]
    few = Node("1", "a", 1, 0, remote.Facts("a", {}, "x", "y", None, gpu_bytes=1))
    for specs in cohorts:
        executor._orders.put({spec.key: spec for spec in specs})
    assert len(executor._taken(few) or ()) == 2


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = dict(os.environ), dict[str, str]()

    def join(on: str) -> None:
        seen.update(os.environ)
        raise RunError("no")

    monkeypatch.setattr(connection, "_join", join)
    with pytest.raises(RunError, match="no"), connected("ray://nowhere:1"):
        pass
    assert dict(os.environ) == before
    assert {name: seen[name] for name in ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED")} == {
        "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token"),
        "RAY_USAGE_STATS_ENABLED": os.environ.get("RAY_USAGE_STATS_ENABLED", "0"),
    }
