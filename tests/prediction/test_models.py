"""Models: trained once and kept, read from files, of runs in a store; whatever befalls what is kept."""

import os
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitlab import lab, places
from digitlab.data import Dataset, LabelledImages, registry
from digitlab.prediction import choice, default_model, keeping
from digitlab.prediction.distortion import distorted
from digitlab.prediction.model import Model, model_of
from digitlab.prediction.typical import typical_of
from digitlab.rng import stream
from digitlab.store import open_store

SMALL = {"held_out": 300, "copies": 1, "hidden": [16], "epochs": 1, "warmup_steps": 10}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and a default model that takes a second."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(default_model, "RECIPE", {**default_model.RECIPE, **SMALL})
    monkeypatch.setattr(registry, "load", _few)
    return tmp_path / "cache" / "digitlab" / "networks"


_LOAD = registry.load


def _few(name: str) -> Any:
    found = _LOAD(name)
    return replace(found, train=LabelledImages(found.train.images[:3_000], found.train.labels[:3_000]))


def made(told: list[str]) -> Model:
    return default_model.default_model(lambda *_: None, told.append)


def test_the_default_model_is_trained_once_and_kept(cache: Path, mnist: Dataset) -> None:
    told: list[str] = []
    first = made(told)
    assert told == ["training the network that reads digits: once on this machine, in one or two minutes"]
    (file,) = cache.iterdir()
    again = made(told)
    assert len(told) == 1
    images = mnist.test.images[:500]
    np.testing.assert_array_equal(first.probabilities(images), again.probabilities(images))
    np.testing.assert_array_equal(first.is_strange(images), again.is_strange(images))
    assert (first.temperature, first.class_names) == (again.temperature, again.class_names)
    assert first.reliability == again.reliability
    assert sum(each.count for each in first.reliability) == 2 * SMALL["held_out"]  # type: ignore[operator]
    assert (first.probabilities(images).argmax(1) == mnist.test.labels[:500]).mean() > 0.7
    assert first.network.spec.data.name == "mnist-distorted"

    # Damaged in any byte, it is made again, to the same bits, in the same place.
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    mended = made(told)
    assert len(told) == 2
    np.testing.assert_array_equal(first.probabilities(images), mended.probabilities(images))
    (mended_file,) = cache.iterdir()  # in the place of the damaged one
    assert mended_file.name.startswith(file.name[:20])


def test_a_place_that_cannot_be_written_or_is_none_costs_a_sentence(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    told: list[str] = []
    made(told)
    assert told[1] == f"it cannot be kept in {cache} (File exists): name another place by XDG_CACHE_HOME"
    monkeypatch.setattr(places, "cache_folder", lambda: None)
    made(told)
    assert told[3] == "it cannot be kept, for there is no home folder: set HOME or XDG_CACHE_HOME"
    assert keeping.load(cache, "x") is None


def test_work_is_told_by_rising_shares(cache: Path) -> None:
    shares: list[float] = []
    default_model.trained_model(lambda _, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_networks_file_is_calibrated_on_what_its_run_held_out(tmp_path: Path, mnist: Dataset) -> None:
    spec = lab.make_spec(hidden=(64,), learning_rate=0.5, epochs=40, train_size=2_000, validation_size=2_000)
    _, network = lab.run(spec)
    network.save(tmp_path / "n.safetensors")
    model = choice.chosen_model(str(tmp_path / "n.safetensors"), lambda *_: None, print)
    assert model.temperature is not None
    assert 1 < model.temperature < 4  # trained to the end on little, it is too sure
    assert sum(each.count for each in model.reliability) == 2_000
    assert all(abs(each.accuracy - each.confidence) < 0.15 for each in model.reliability if each.count > 100)
    assert model.class_names == tuple("0123456789")
    assert not model.is_strange(mnist.test.images[:1_000]).mean() > 0.01
    unlike = np.zeros((1, 28, 28), np.uint8)
    unlike[0, ::2, ::2] = 255
    assert model.is_strange(unlike).all()


def test_without_held_out_images_it_is_not_calibrated() -> None:
    _, network = lab.run(lab.make_spec(steps=20, train_size=500))
    model = model_of(network)
    assert (model.temperature, model.reliability) == (None, ())


def test_a_run_of_the_store_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    result, network = lab.run(lab.make_spec(hidden=(8,), steps=30, train_size=500))
    with closing(open_store(tmp_path / "runs.db")) as store:
        store.add([result])
    told: list[str] = []
    shares: list[float] = []
    model = choice.chosen_model(
        result.key[:2], lambda _, share: shares.append(share), told.append, store_file=tmp_path / "runs.db"
    )
    assert told == [f"{result.key[:12]}: 784-8-10 is trained again"]
    assert shares[-1] == 1
    np.testing.assert_array_equal(model.network.layers[0].weight, network.layers[0].weight)


def test_copies_are_different_digits_of_the_same_kind(mnist: Dataset) -> None:
    images = mnist.train.images[:2_000]
    copies = distorted(images, stream(0, "copies"))
    np.testing.assert_array_equal(copies, distorted(images, stream(0, "copies")))
    assert not (copies == images).all((1, 2)).any()
    assert copies.mean() == pytest.approx(images.mean(), rel=0.1)
    # Nearest neighbours agree: still the same digits, for the most part.
    flat, others = (
        images.reshape(len(images), -1).astype(float),
        copies.reshape(len(images), -1).astype(float),
    )
    away = (others**2).sum(1)[:, None] + (flat**2).sum(1) - 2 * others @ flat.T
    labels = mnist.train.labels[:2_000]
    assert (labels[away.argmin(1)] == labels).mean() > 0.75


def test_copies_are_cut_out_and_centred_as_the_makers_did(mnist: Dataset) -> None:
    copies = distorted(mnist.train.images[:2_000], stream(0, "made")).astype(float)
    for axis in (1, 2):
        centre = (copies.sum(axis) * (np.arange(28) + 0.5)).sum(1) / copies.sum((1, 2))
        assert centre.mean() == pytest.approx(14.5, abs=0.1)  # MNIST's own are at 14.5 on the average
        assert centre.std() < 0.5
    is_ink = copies > 60
    longer = np.maximum(is_ink.any(1).sum(1), is_ink.any(2).sum(1))
    assert np.median(longer) == 20
    assert (abs(longer - 20) <= 2).mean() > 0.95
    # Ink is black somewhere, and its edges are neither all hard nor all soft.
    assert np.median(copies.max((1, 2))) == 255
    share = ((copies > 0) & (copies < 255)).mean((1, 2)) / (copies > 0).mean((1, 2))
    assert share.std() > 0.1


def test_what_lies_in_the_subspace_is_typical() -> None:
    random = stream(0, "typical")
    basis = random.normal(0, 1, (5, 784))
    images = (
        np.clip(128 + random.normal(0, 20, (400, 5)) @ basis, 0, 255).astype(np.uint8).reshape(-1, 28, 28)
    )
    typical = typical_of(images[:300], images[300:], 1.0)
    assert typical.strangeness(images).max() <= typical.limit + 0.05
    noise = random.integers(0, 255, (10, 28, 28)).astype(np.uint8)
    assert (typical.strangeness(noise) > typical.limit).all()


def test_files_that_are_kept_are_the_users_own(cache: Path) -> None:
    made([])
    (file,) = cache.iterdir()
    assert not stat.S_IMODE(file.stat().st_mode) & 0o022 & ~os.umask(os.umask(0))
