"""Saved networks: what is written, what is read back, and what is refused."""

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from torch import nn

from digitlab.data import Dataset
from digitlab.data.arrays import InputScale, is_scale_of
from digitlab.engine import reference
from digitlab.engine.confusion import confusion_of
from digitlab.errors import SpecError, WeightsError
from digitlab.models import trained
from digitlab.models.parameters import Layer, initial_layers
from digitlab.models.trained import TrainedNetwork
from digitlab.spec import DataSpec, RunSpec


@pytest.fixture(scope="module")
def network(mnist: Dataset, mnist_spec: DataSpec) -> TrainedNetwork:
    spec = RunSpec.model_validate(
        {
            "data": mnist_spec,
            "hidden": (12,),
            "scaling": "standard",
            "budget": {"steps": 200},
            "train_size": 5_000,
        }
    )
    return reference.train(spec, mnist)[1]


@pytest.fixture
def file(network: TrainedNetwork, tmp_path: Path) -> Path:
    network.save(tmp_path / "network.safetensors")
    return tmp_path / "network.safetensors"


def test_a_network_comes_back_bit_for_bit(network: TrainedNetwork, file: Path, mnist: Dataset) -> None:
    reloaded = trained.load(file)
    assert reloaded.spec == network.spec
    assert reloaded.scale == network.scale
    for layer, reloaded_layer in zip(network.layers, reloaded.layers, strict=True):
        assert layer.weight.tobytes() == reloaded_layer.weight.tobytes()
        assert layer.bias.tobytes() == reloaded_layer.bias.tobytes()
    images = mnist.test.images[:50]
    assert reloaded.predict(images).tobytes() == network.predict(images).tobytes()
    assert [path.name for path in file.parent.iterdir()] == ["network.safetensors"]


def test_plain_pytorch_reads_it_too(network: TrainedNetwork, file: Path, mnist: Dataset) -> None:
    model = nn.Sequential(nn.Linear(784, 12), nn.ReLU(), nn.Linear(12, 10))
    model.load_state_dict(safetensors.torch.load_file(file))
    inputs = (
        torch.tensor(mnist.test.images[:50]).reshape(-1, 784) - network.scale.offset
    ) / network.scale.divisor
    with torch.no_grad():
        by_hand = model(inputs.float()).softmax(1).numpy()
    np.testing.assert_allclose(network.predict(mnist.test.images[:50]), by_hand, atol=1e-5)


def test_predictions_are_probabilities(network: TrainedNetwork, mnist: Dataset) -> None:
    probabilities = network.predict(mnist.test.images)
    assert probabilities.shape == (10_000, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == mnist.test.labels).mean() > 0.5


_SCALE = "the scale of the inputs in its metadata (offset "


def header(start: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(start) if length is None else length) + start


def rewritten(file: Path, **changes: str | None) -> dict[str, str]:
    """The file's metadata, changed; None: left out."""
    content = file.read_bytes()
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    return {name: value for name, value in (metadata | changes).items() if value is not None}


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("harmed", "w")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not a safetensors file"),
        (b"hello", "it is not a safetensors file"),
        (
            pickle.dumps(_Harmful()),
            "it looks like a pickle, which could run any program when read; digitlab never",
        ),
        (pickle.dumps({"a": 1}, 2), "it looks like a pickle"),
        (b"PK\3\4" + bytes(100), "it looks like a pickle"),
        (header(b"{}", 2**63), "it is not a safetensors file"),
        (header(b"{}", 2**40), "it is not a safetensors file"),
        (header(b"{" + b" " * 20, 500), "it is not a safetensors file"),
        (header(b"{" + b" " * (1 << 20) + b"}"), "it is not a safetensors file"),
        (header(b"[1, 2, 3]" + b" " * 20), "it is not a safetensors file"),
        (header(b"{not json" + b" " * 20), "it is not a valid safetensors file"),
        (
            header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}') + bytes(4),
            "not a valid safetensors file",
        ),
        (
            header(b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}')
            + bytes(4),
            "it is not a valid safetensors file",
        ),
        (
            header(b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}') + bytes(4),
            "not a valid safetensors",
        ),
        (header(b"{}" + b" " * 20), "its metadata has no RunSpec"),
    ],
)
def test_hostile_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        trained.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert str(caught.value).endswith("; use a file that `digitlab train --save FILE` wrote")
    assert not (tmp_path / "harmed").exists()


def test_files_of_torch_save_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "model.pt")
    assert zipfile.is_zipfile(tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="it looks like a pickle"):
        trained.load(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digitlab_spec": None}, "its metadata has no RunSpec"),
        ({"digitlab_spec": "{"}, "the RunSpec in its metadata is at fault (the text: '{' is not valid JSON"),
        ({"digitlab_spec": '{"seed": -1}'}, "the RunSpec in its metadata is at fault (data: "),
        ({"digitlab_input_scale": None}, "its metadata has no scale of the inputs"),
        ({"digitlab_input_scale": "[1]"}, "its metadata has no scale of the inputs"),
        ({"digitlab_input_scale": "[0, 1e400]"}, _SCALE),
        ({"digitlab_input_scale": "[0, NaN]"}, _SCALE),
        ({"digitlab_input_scale": "[0, 0]"}, _SCALE),
        ({"digitlab_input_scale": "[0, 1e-320]"}, _SCALE),
        ({"digitlab_input_scale": "[0, 1e-9]"}, _SCALE),
        ({"digitlab_input_scale": "[0, 255]"}, _SCALE),
        ({"digitlab_input_scale": "[-1, 70]"}, _SCALE),
        ({"digitlab_input_scale": "[1e300, 70]"}, _SCALE),
    ],
)
def test_metadata_that_is_at_fault_is_refused(
    file: Path, changes: dict[str, str | None], message: str
) -> None:
    tensors = safetensors.numpy.load_file(file)
    safetensors.numpy.save_file(tensors, file, rewritten(file, **changes))
    with pytest.raises(WeightsError) as caught:
        trained.load(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("change", ["missing", "more", "shape", "type"])
def test_tensors_that_are_not_the_specs_are_refused(file: Path, change: str) -> None:
    tensors, metadata = safetensors.numpy.load_file(file), rewritten(file)
    if change == "missing":
        del tensors["2.bias"]
    elif change == "more":
        tensors["4.weight"] = np.zeros((1, 1), np.float32)
    elif change == "shape":
        tensors["0.weight"] = np.zeros((784, 12), np.float32)
    else:
        tensors["0.weight"] = tensors["0.weight"].astype(np.float64)
    safetensors.numpy.save_file(tensors, file, metadata)
    with pytest.raises(WeightsError, match="its tensors are not those of the RunSpec in its metadata"):
        trained.load(file)


@pytest.mark.parametrize("length", [0x380, 0x480, 0x580, 0x4B50])
def test_a_header_whose_length_looks_like_a_pickle_is_none(
    mnist_spec: DataSpec, tmp_path: Path, length: int
) -> None:
    # The header's length comes first in the file, and 0x380 is 80 03, as a pickle begins.
    spec = RunSpec(data=mnist_spec)
    layers = initial_layers(spec.layer_sizes, "torch", 0, "float32")
    file = tmp_path / "network.safetensors"
    TrainedNetwork(spec, InputScale(0.0, 255.0), layers).save(file)
    content = file.read_bytes()
    padded_length = int.from_bytes(content[:8], "little")
    head = content[8 : 8 + padded_length].rstrip()
    assert len(head) <= length
    file.write_bytes(struct.pack("<Q", length) + head.ljust(length) + content[8 + padded_length :])
    assert file.read_bytes()[:2] in {b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"}
    assert trained.load(file).spec == spec


def test_what_is_not_there_is_told(tmp_path: Path, network: TrainedNetwork) -> None:
    with pytest.raises(WeightsError, match="there is no such file"):
        trained.load(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="there is no such file"):
        trained.load(tmp_path)
    for path, reason in (
        (tmp_path / "no" / "folder", "there is no such folder"),
        (tmp_path, "there is something that is not a file"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "x\0", "embedded null"),
    ):
        with pytest.raises(
            WeightsError, match=rf"cannot be written: .*{reason}.*; name a file in a folder that"
        ):
            network.save(path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_file_is_never_replaced(network: TrainedNetwork, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="there is something that is not a file"):
        network.save(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    network.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert trained.load(tmp_path / "file").spec == network.spec
    network.save(tmp_path / ("x" * 250))
    assert trained.load(tmp_path / ("x" * 250)).spec == network.spec


@pytest.mark.parametrize("shape", [(28,), (3, 784), (3, 28, 27)])
def test_what_are_not_images_is_refused(network: TrainedNetwork, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        SpecError, match=r"images: 'uint8 \[.*\]' are not images; give bytes .* of shape \[n, 28, 28\]"
    ):
        network.predict(np.zeros(shape, np.uint8))
    with pytest.raises(SpecError, match="float64"):
        network.predict(np.zeros((3, 28, 28)))


def test_a_scale_of_another_kind_is_refused() -> None:
    for scaling, scale in (("unit", (0, 255)), ("symmetric", (127.5, 127.5)), ("standard", (33.3, 78.6))):
        for kind in ("unit", "symmetric", "standard"):
            is_its_own = scaling == kind or (kind == "standard" and scaling == "symmetric")
            assert is_scale_of(kind, InputScale(*scale)) == is_its_own


def broken(network: TrainedNetwork, number: float, layer: int = 0) -> TrainedNetwork:
    """The network with one weight that is another number."""
    layers = [Layer(layer.weight.copy(), layer.bias.copy()) for layer in network.layers]
    layers[layer].weight[3, 5] = number
    return TrainedNetwork(network.spec, network.scale, tuple(layers))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layer", [0, 1])
def test_weights_that_are_not_finite_give_neither_accuracy_nor_probabilities(
    network: TrainedNetwork, mnist: Dataset, tmp_path: Path, number: float, layer: int
) -> None:
    broken(network, number, layer).save(tmp_path / "diverged")
    reloaded = trained.load(tmp_path / "diverged")  # such networks exist, and can be looked at
    with pytest.raises(
        WeightsError, match=r"^784-12-10: its weights are not finite, so it has no accuracy; train it again"
    ):
        confusion_of(reloaded, mnist)
    with pytest.raises(WeightsError, match="its weights are not finite, so it has no probabilities"):
        reloaded.predict(mnist.test.images)


def test_numbers_that_overflow_have_no_probabilities(network: TrainedNetwork, mnist: Dataset) -> None:
    large = TrainedNetwork(
        network.spec, network.scale, tuple(Layer(layer.weight * 1e30, layer.bias) for layer in network.layers)
    )
    with pytest.raises(WeightsError, match=r"784-12-10: its numbers overflow on [\d,]+ of 10,000 images"):
        large.predict(mnist.test.images)


def test_no_images_have_no_predictions(network: TrainedNetwork) -> None:
    assert network.predict(np.zeros((0, 28, 28), np.uint8)).shape == (0, 10)


def test_predict_takes_one_image_or_a_list(network: TrainedNetwork, mnist: Dataset) -> None:
    images = mnist.test.images[:3]
    all_of_them = network.predict(images)
    assert all_of_them.shape == (3, 10)
    np.testing.assert_array_equal(network.predict(list(images)), all_of_them)
    probabilities = network.predict(images[1])
    assert probabilities.shape == (10,)
    np.testing.assert_allclose(probabilities, all_of_them[1], rtol=1e-5)
    wrong: Any
    for wrong in (images[0, 0], images[None], [images[0], images[0, :9]], [], images.astype(float)):
        with pytest.raises(SpecError, match=r"bytes \(uint8\) of shape"):
            network.predict(wrong)


def test_predict_warns_when_pictures_are_mostly_white(network: TrainedNetwork, mnist: Dataset) -> None:
    network.predict(mnist.test.images)  # and no warning, which would be an error here
    for pictures in (255 - mnist.test.images[:5], 255 - mnist.test.images[0]):
        with pytest.warns(UserWarning, match=r"these pictures are mostly white; .*: give 255 - images"):
            network.predict(pictures)
