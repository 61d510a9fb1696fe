"""A network by its name: files, runs of a store, and what is kept of these."""

import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from digitlab import lab, networks, places
from digitlab.engine.progress import Progress
from digitlab.errors import StoreError, WeightsError
from digitlab.models.trained import TrainedNetwork, texts
from digitlab.networks import KeptNetwork, keep_network, kept_network, named_network, network_of_run
from digitlab.result import RunResult
from digitlab.store import open_store

Both = tuple[RunResult, TrainedNetwork]


@pytest.fixture(scope="module")
def both() -> Both:
    return lab.run(lab.make_spec(hidden=(8,), steps=30, train_size=500))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of weights, in a cache of the test's own."""
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "runs"


@pytest.fixture
def store(tmp_path: Path, both: Both) -> Path:
    with closing(open_store(tmp_path / "runs.db")) as opened:
        opened.add([both[0]])
    return tmp_path / "runs.db"


def same(a: TrainedNetwork, b: TrainedNetwork) -> bool:
    pairs = zip(a.layers, b.layers, strict=True)
    return all(np.array_equal(x.weight, y.weight) and np.array_equal(x.bias, y.bias) for x, y in pairs)


def test_a_run_is_trained_again_once(folder: Path, store: Path, both: Both) -> None:
    result, network = both
    told: list[str] = []
    steps: list[Progress] = []
    for prefix in (result.key[:1], result.key[:12], result.key):
        found = named_network(prefix, told.append, steps.append, store_file=store)
        assert found.spec == result.spec
        assert same(found, network)
    assert told == [f"{result.key[:12]}: 784-8-10 is trained again"]
    assert steps[-1].step == 30
    (file,) = folder.iterdir()
    assert file.name.startswith(f"{result.key}-")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_damaged_weights_are_made_again(folder: Path, store: Path, both: Both, place: float) -> None:
    result, network = both
    told: list[str] = []
    named_network(result.key, told.append, store_file=store)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    assert same(named_network(result.key, told.append, store_file=store), network)
    assert len(told) == 2
    assert kept_network(result.key) is not None
    assert list(folder.iterdir()) == [file]


def test_a_network_that_came_out_differently_is_told_so_each_time(folder: Path, both: Both) -> None:
    result, network = both
    metrics = result.metrics.model_copy(update={"test_loss": 1.25})
    changed = result.model_copy(update={"metrics": metrics})
    told: list[str] = []
    for _ in range(2):
        assert same(network_of_run(changed, told.append), network)
    note = f"{result.key[:12]}: trained again, it differs from the run in the store, and nothing explains it"
    assert told == [f"{result.key[:12]}: 784-8-10 is trained again", note, note]
    (file,) = folder.iterdir()
    assert texts(file)["digitlab_note"] == note


def test_where_nothing_can_be_kept_the_network_is_there_all_the_same(
    folder: Path, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, network = both
    folder.parent.mkdir()
    folder.write_text("in the way")
    told: list[str] = []
    assert same(network_of_run(result, told.append), network)
    assert told[1] == (
        f"the weights of run {result.key[:12]} are not kept for the next time ({folder}: cannot be written: "
        "File exists; name a file in a folder that you can write to)"
    )
    monkeypatch.setattr(places, "cache_folder", lambda: None)
    assert same(network_of_run(result, told.append), network)
    assert len(told) == 3
    assert kept_network(result.key) is None


def test_the_oldest_go(folder: Path, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "MOST_KEPT", 2)
    _, network = both
    specs = [lab.make_spec(network.spec, seed=seed) for seed in range(3)]
    for seconds, spec in enumerate(specs):
        keep_network(KeptNetwork(TrainedNetwork(spec, network.scale, network.layers)))
        (file,) = folder.glob(f"{spec.key}-*")
        os.utime(file, (seconds, seconds))
    assert [kept_network(spec.key) is not None for spec in specs] == [False, True, True]


def test_a_name_is_a_files_or_a_runs(
    store: Path, both: Both, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both[1].save("beef")  # a file may be called like a key
    assert named_network("beef", print, store_file=store).spec == both[0].spec
    with pytest.raises(StoreError, match="0000: no run's key begins with that"):
        named_network("0000", print, store_file=store)
    with pytest.raises(WeightsError, match="there is no such file"):
        named_network("none.safetensors", print, store_file=store)
    with pytest.raises(WeightsError, match="it is not a safetensors file"):
        texts(store)
    assert not folder.exists()
