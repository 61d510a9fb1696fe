"""Going on from a trained network: which weights, found where, and what does not fit."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import digitlab as dl
from digitlab import lab, places
from digitlab.data import Dataset
from digitlab.engine import reference
from digitlab.engine.inputs import run_split
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.sampling import epoch_order
from digitlab.errors import SpecError, WeightsError
from digitlab.execution.workers import Workers
from digitlab.models import parents
from digitlab.models.parameters import Layer, digest
from digitlab.models.trained import TrainedNetwork
from digitlab.recomputation import recomputed
from digitlab.result import RunResult
from digitlab.spec import Parent, RunSpec
from digitlab.store import open_store
from tests.engine.test_lockstep import bits, flat, one
from tests.execution.trainings import training_of

OPTIONS: dict[str, Any] = {
    "hidden": (12,),
    "learning_rate": 0.5,
    "train_size": 500,
    "validation_size": 300,
    "batch_size": 50,
    "steps": 60,
    "seed": 3,
    "scaling": "standard",
    "initialisation": "he",
    "precision": "float64",
}


@pytest.fixture(scope="module")
def network(mnist: Dataset) -> TrainedNetwork:
    return one(lab.make_spec(**OPTIONS), mnist)[1]


@pytest.fixture
def file(network: TrainedNetwork, empty_data_directory: Path, tmp_path: Path) -> Path:
    """A parent's file, and a data directory of the test's own, without it."""
    network.save(tmp_path / "parent.safetensors")
    return tmp_path / "parent.safetensors"


def without_weights(data_directory: Path) -> None:
    for path in (data_directory / "weights").iterdir():
        path.unlink()


def test_the_digest_is_over_the_numbers_alone() -> None:
    weight, bias = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.array([7, 8], np.float32)
    by_hand = hashlib.sha256(
        b"float32 2 3\n"
        + b"".join(np.float32(i).tobytes() for i in range(1, 7))
        + b"float32 2\n"
        + np.float32(7).tobytes()
        + np.float32(8).tobytes()
    ).hexdigest()
    assert digest([Layer(weight, bias)]) == by_hand
    assert digest([Layer(np.asfortranarray(weight), bias)]) == by_hand
    assert digest([Layer(weight.astype(">f4"), bias)]) == by_hand
    assert digest([Layer(weight.astype(np.float64), bias)]) != by_hand


def test_a_child_goes_on_from_the_parents_weights_in_its_own_order(
    network: TrainedNetwork, file: Path, mnist: Dataset, arithmetic: str
) -> None:
    spec = lab.make_spec(parent=file, steps=20, seed=8, evaluate_at=range(1, 21))
    assert spec.parent == Parent(key=network.spec.key, sha256=digest(network.layers))
    (theirs, their_network), (ours, our_network) = reference.train(spec, mnist), one(spec, mnist)
    batch = run_split(spec, mnist).train[epoch_order(8, 0, 500)[:50]]
    probabilities = network.predict(mnist.train.images[batch])
    by_hand = -np.log(probabilities[np.arange(50), mnist.train.labels[batch]]).mean()
    for result in (ours, theirs):
        assert result.curve.training_loss[0] == pytest.approx(by_hand, rel=1e-10)
    np.testing.assert_allclose(ours.curve.training_loss, theirs.curve.training_loss, rtol=1e-10)
    np.testing.assert_allclose(flat(our_network.layers), flat(their_network.layers), rtol=1e-9, atol=1e-11)


def test_children_of_one_parent_train_together_to_the_same_bits(
    file: Path, mnist: Dataset, arithmetic: str
) -> None:
    specs = [lab.make_spec(parent=file, seed=seed, learning_rate=0.1 * (1 + seed)) for seed in range(3)]
    assert [bits(*both) for both in train_cohort(specs, mnist)] == [bits(*one(spec, mnist)) for spec in specs]


def test_what_is_not_said_is_the_parents(network: TrainedNetwork, file: Path) -> None:
    own = network.spec
    child = lab.make_spec(parent=file)
    assert child.model_dump(exclude={"parent", "initialisation"}) == own.model_dump(
        exclude={"initialisation"}
    )
    assert child.initialisation == "torch"
    assert child.key != own.key
    assert lab.make_spec(parent=str(file), epochs=2, optimiser="adam").optimiser.kind == "adam"
    # A document comes before the parent, and options before both.
    document = {"parent": str(file), "batch_size": 20, "optimiser": {"learning_rate": 0.25}}
    said = lab.make_spec(document, batch_size=10)
    assert (said.batch_size, said.optimiser.learning_rate, said.hidden) == (10, 0.25, (12,))
    # The child's own JSON names it without a file.
    assert lab.make_spec(lab.make_spec(document).model_dump()) == lab.make_spec(document)


def test_a_parent_that_trained_on_all_images_hands_on_all(mnist: Dataset, tmp_path: Path) -> None:
    lab.train(steps=1, save=tmp_path / "a.safetensors")
    spec = lab.make_spec(parent=tmp_path / "a.safetensors", validation_size=10_000)
    assert spec.train_size == 50_000


def test_the_key_holds_the_parent_and_its_weights(file: Path) -> None:
    spec = lab.make_spec(parent=file)
    assert spec.parent is not None
    for changes in ({"key": "0" * 64}, {"sha256": "0" * 64}):
        other = lab.make_spec(spec, parent=spec.parent.model_copy(update=changes))
        assert other.key != spec.key
    none: Any = None
    without = lab.make_spec(spec, parent=none)
    assert without.key not in {spec.key, lab.make_spec(**OPTIONS).key}
    assert RunSpec.from_json(spec.canonical_json) == spec


def test_a_grandchild_names_its_own_parent_alone(file: Path, tmp_path: Path) -> None:
    child = lab.train(parent=file, steps=5, save=tmp_path / "child.safetensors")
    grandchild = lab.make_spec(parent=tmp_path / "child.safetensors")
    assert grandchild.parent is not None
    assert grandchild.parent.key == child.key


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            {"hidden": (50,)},
            "hidden: [50] are not the layers of the parent, 784-12-10; use [12], or leave hidden out",
        ),
        (
            {"precision": "float32"},
            "precision: 'float32' is not the precision of the parent; use 'float64', or leave precision out",
        ),
        (
            {"initialisation": "he"},
            "initialisation: 'he' has no effect on a run that goes on from a trained network; leave "
            "initialisation out",
        ),
    ],
)
def test_what_does_not_fit_is_told(file: Path, options: Any, fault: str) -> None:
    with pytest.raises(SpecError) as caught:
        lab.make_spec(parent=file, **options)
    assert str(caught.value) == fault


def test_a_data_set_of_other_classes_is_told(network: TrainedNetwork) -> None:
    data = network.spec.data.model_copy(update={"classes": 11, "name": "letters"})
    (fault,) = parents.misfits(network.spec.model_copy(update={"data": data}), network)
    assert str(fault) == (
        "data: 'letters' has 11 classes, and the parent knows 10; use a data set with 10, such as mnist"
    )


def test_weights_of_another_network_are_refused_before_the_training(file: Path, mnist: Dataset) -> None:
    spec = lab.make_spec(parent=file)
    wider = lab.make_spec({**spec.model_dump(), "hidden": (13,)})
    for start in (lambda: lab.run(wider), lambda: next(lab.run_many([spec, wider]))):
        with pytest.raises(SpecError, match=r"hidden: \[13\] are not the layers of the parent"):
            start()


def test_a_file_that_is_none_is_told(tmp_path: Path, file: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"no\.safetensors: there is no such file; use a file that `digitlab"
    ):
        lab.make_spec(parent=tmp_path / "no.safetensors")
    with pytest.raises(WeightsError, match="there is no such file"):
        lab.make_spec(parent="\0")
    network = dl.load(file)
    network.layers[0].bias[0] = np.nan
    network.save(tmp_path / "nan.safetensors")
    with pytest.raises(
        WeightsError, match="its weights are not finite, so it has no way to go on; train it again"
    ):
        lab.make_spec(parent=tmp_path / "nan.safetensors")


def test_weights_that_are_not_at_hand_are_told_with_the_remedy(
    file: Path, empty_data_directory: Path, network: TrainedNetwork
) -> None:
    spec = lab.make_spec(parent=file)
    without_weights(empty_data_directory)
    assert spec.parent is not None
    message = (
        f"parent: the weights of run {network.spec.key[:12]} (SHA-256 {spec.parent.sha256[:12]}…) are not kept on "
        "this machine; name their file by --from FILE (parent= in Python). Where it is lost, train that run again "
        "with --save"
    )
    for start in (
        lambda: lab.run(spec),
        lambda: lab.run(spec, engine="reference"),
        lambda: lab.start([spec]),
    ):
        with pytest.raises(WeightsError) as caught:
            start()
        assert str(caught.value) == message
    assert lab.make_spec(spec, parent=file) == spec  # the remedy
    assert lab.run(spec)[0].key == spec.key


def test_a_kept_file_that_was_changed_counts_as_lost(file: Path, empty_data_directory: Path) -> None:
    spec = lab.make_spec(parent=file)
    (kept,) = (empty_data_directory / "weights").iterdir()
    other = dl.load(file)
    other.layers[0].bias[0] += 1
    other.save(kept)
    with pytest.raises(WeightsError, match="are not kept on this machine"):
        lab.run(spec)
    lab.make_spec(parent=file)  # which mends it
    assert lab.run(spec)[0].outcome == "completed"


def test_a_parent_trained_again_is_the_same_parent(file: Path, tmp_path: Path) -> None:
    again = dl.load(file).spec
    lab.train(again, save=tmp_path / "again.safetensors")
    assert lab.make_spec(parent=tmp_path / "again.safetensors") == lab.make_spec(parent=file)


def test_workers_find_the_weights(file: Path, mnist: Dataset) -> None:
    specs = [lab.make_spec(parent=file, seed=seed, steps=5) for seed in range(2)]
    with training_of(Workers(2, ["float64"]), [[spec] for spec in specs]) as training:
        found = {event.key: event.result for event in training if isinstance(event, dl.events.Finished)}
    for spec in specs:
        alone, _ = one(spec, mnist)
        assert found[spec.key].model_dump_json(exclude={"provenance"}) == alone.model_dump_json(
            exclude={"provenance"}
        )


def test_where_nothing_can_be_written_this_process_trains(
    network: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = TrainedNetwork(
        network.spec,
        network.scale,
        (network.layers[0], Layer(network.layers[1].weight, network.layers[1].bias + 0.5)),
    )
    changed.save(tmp_path / "parent.safetensors")
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(places, "data_folder", lambda: tmp_path / "file" / "data")
    spec = lab.make_spec(parent=tmp_path / "parent.safetensors")
    assert spec.parent is not None
    assert not parents.is_kept(spec.parent)
    (first, _) = parents.first_layers(spec)
    assert first.weight.tobytes() == network.layers[0].weight.tobytes()


def test_a_child_can_be_computed_again_and_where_it_cannot_that_is_told(
    file: Path, empty_data_directory: Path, tmp_path: Path
) -> None:
    result = lab.train(parent=file, steps=5, keep=tmp_path / "runs.db")
    store = open_store(tmp_path / "runs.db")
    (found,) = recomputed(store, 1)
    assert found.verdict == "the same to the last bit"
    without_weights(empty_data_directory)
    (found,) = recomputed(store, 1)
    assert not found.differs
    assert found.verdict.startswith("not compared: parent: the weights of run")
    store.close()
    assert isinstance(result, RunResult)


def test_images_that_the_parent_saw_are_told(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        lab.make_spec(parent=file, validation_size=300)
        lab.make_spec(parent=file, validation_size=200)
        lab.make_spec(parent=file, validation_size=0)
        assert caplog.messages == []
        for seed in range(3):
            lab.make_spec(parent=file, validation_size=400, seed=seed)
    assert caplog.messages == [
        "validation_size: the parent, 784-12-10, may have been trained on images that are held out here, so what "
        "validation says is too good; hold out 300 images, as it did"
    ]
