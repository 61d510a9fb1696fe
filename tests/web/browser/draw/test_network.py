"""Networks in the page against the same in Python: what they answer, and files that are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from digitlab import lab
from digitlab.data import Dataset
from digitlab.models import trained
from digitlab.spec import DataSpec, RunSpec

ANSWER = """async ([name, count]) => {
  const { forward, readNetwork } = await import("/static/lib/network.js");
  const bytes = async (name) => (await fetch(`/files/${name}`)).arrayBuffer();
  const network = readNetwork(await bytes(name));
  const images = new Uint8Array(await bytes("images"));
  const found = [];
  for (let i = 0; i < count; i++) {
    const { inputs, hidden, logits, probabilities } = forward(network, images.subarray(784 * i, 784 * (i + 1)));
    const layers = i ? null : [inputs, ...hidden, logits].map((layer) => [...layer]);
    found.push([[...probabilities], layers]);
  }
  return { name: network.name, found };
}"""
READ = """async (name) => {
  const { readNetwork } = await import("/static/lib/network.js");
  try {
    readNetwork(await (await fetch(`/files/${name}`)).arrayBuffer());
    return "read";
  } catch (error) {
    return `${error.name}: ${error.reason}`;
  }
}"""
COUNT = 500


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden": (100,), "scaling": "standard"},
        {"hidden": (100, 100), "scaling": "symmetric"},
        {"hidden": (30,), "precision": "float64"},
    ],
)
def test_probabilities_are_pythons(
    options: dict[str, Any], mnist: Dataset, mnist_spec: DataSpec, modules: Page, files: Path
) -> None:
    spec = RunSpec(data=mnist_spec, budget={"steps": 300}, **options)  # type: ignore[arg-type]
    _, network = lab.run(spec)
    images = mnist.test.images[:COUNT]
    network.save(files / "network")
    (files / "images").write_bytes(images.tobytes())
    answer = modules.evaluate(ANSWER, ["network", COUNT])
    assert answer["name"] == spec.network_name
    found = np.array([probabilities for probabilities, _ in answer["found"]])
    np.testing.assert_allclose(found, network.probabilities(images), rtol=0, atol=1e-5)

    # Every layer of the first, in float64.
    layers = [np.array(layer) for layer in answer["found"][0][1]]
    values = network.scale.apply(images[:1], "float64")[0]
    np.testing.assert_allclose(layers[0], values, rtol=1e-5, atol=1e-6)
    for i, layer in enumerate(network.layers):
        values = layer.weight.astype(np.float64) @ values + layer.bias
        if i < len(network.layers) - 1:
            values = np.maximum(values, 0)
        np.testing.assert_allclose(layers[i + 1], values, rtol=1e-4, atol=1e-4)


def test_a_unit_that_is_cut_gives_on_nothing(
    mnist_spec: DataSpec, mnist: Dataset, modules: Page, files: Path
) -> None:
    _, network = lab.run(RunSpec(data=mnist_spec, hidden=(20,), budget={"steps": 50}))  # type: ignore[arg-type]
    network.save(files / "network")
    (files / "images").write_bytes(mnist.test.images[0].tobytes())
    found = modules.evaluate(
        """async () => {
          const { forward, readNetwork } = await import("/static/lib/network.js");
          const { broken } = await import("/static/draw/breaking.js");
          const bytes = async (name) => (await fetch(`/files/${name}`)).arrayBuffer();
          const network = readNetwork(await bytes("network"));
          const image = new Uint8Array(await bytes("images"));
          const cut = [new Set([3, 7])];
          const noisy = broken(network, { zeroBiases: false, noise: 0.1, draw: 1 });
          const again = broken(network, { zeroBiases: false, noise: 0.1, draw: 1 });
          return {
            cut: [...forward(network, image, cut).logits],
            hidden: [...forward(network, image, cut).hidden[0]],
            unbiased: [...forward(broken(network, { zeroBiases: true, noise: 0, draw: 1 }), image).logits],
            whole: broken(network, { zeroBiases: false, noise: 0, draw: 1 }) === network,
            spread: [0, 1].map((i) => {
              const away = noisy.layers[i].weight.map((w, j) => w - network.layers[i].weight[j]);
              return Math.sqrt(away.reduce((sum, x) => sum + x * x, 0) / away.length);
            }),
            same: noisy.layers[0].weight.every((w, i) => w === again.layers[0].weight[i]),
          };
        }"""
    )
    first, last = network.layers
    x = network.scale.apply(mnist.test.images[:1], "float64")[0]
    hidden = np.maximum(first.weight.astype(float) @ x + first.bias, 0)
    hidden[[3, 7]] = 0
    np.testing.assert_allclose(found["hidden"], hidden, atol=1e-5)
    np.testing.assert_allclose(found["cut"], last.weight.astype(float) @ hidden + last.bias, atol=1e-4)
    unbiased = last.weight.astype(float) @ np.maximum(first.weight.astype(float) @ x, 0)
    np.testing.assert_allclose(found["unbiased"], unbiased, atol=1e-4)
    assert found["whole"]
    assert found["same"]
    # Noise is told in standard deviations of each layer's own weights.
    deviations = [float(layer.weight.std()) for layer in (first, last)]
    assert found["spread"][0] == pytest.approx(0.1 * deviations[0], rel=0.05)
    assert found["spread"][1] == pytest.approx(0.1 * deviations[1], rel=0.25)


def packed(header: object, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "file"),
    "a pickle": (b"\x80\x04" + bytes(30), "header"),
    "a header longer than the file": ((10**9).to_bytes(8, "little") + b"{}", "header"),
    "a header of 2^63 bytes": ((2**63).to_bytes(8, "little") + b"{}", "header"),
    "no JSON": (packed(b"{nothing"), "header"),
    "a list": (packed([1, 2]), "header"),
    "no UTF-8": (packed(b'{"\xff\xfe": 1}'), "header"),
    "metadata that is no text": (packed({"__metadata__": {"a": 1}}), "header"),
    "another type": (packed({"0.weight": entry(0, 4, [1, 2], "F16")}, bytes(4)), "type"),
    "a type of every object": (packed({"0.weight": entry(0, 4, [1], "constructor")}, bytes(4)), "type"),
    "a negative side": (packed({"0.weight": entry(0, 4, [-1])}, bytes(4)), "header"),
    "sides that overflow": (packed({"0.weight": entry(0, 4, [2**40, 2**40])}, bytes(4)), "tensors"),
    "offsets behind the end": (packed({"0.weight": entry(0, 400, [100])}, bytes(4)), "tensors"),
    "a gap": (packed({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)), "tensors"),
    "an overlap": (packed({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12)), "tensors"),
    "bytes left over": (packed({"a": entry(0, 4, [1])}, bytes(8)), "tensors"),
    "no metadata": (packed({"0.weight": entry(0, 4, [1])}, bytes(4)), "metadata"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_file_of_a_network_is_refused(name: str, modules: Page, files: Path) -> None:
    content, reason = HOSTILE[name]
    (files / "hostile").write_bytes(content)
    assert modules.evaluate(READ, "hostile") == f"WeightsError: {reason}"


def changed(
    network: trained.TrainedNetwork, place: Path, change: Callable[[dict[str, Any]], object]
) -> bytes:
    """The file of a network whose header was changed."""
    network.save(place)
    content = place.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    return packed(header, content[8 + length :])


def _other_scale(header: dict[str, Any]) -> None:
    header["__metadata__"]["digitlab_input_scale"] = "[0, 0]"


def _other_activation(header: dict[str, Any]) -> None:
    header["__metadata__"]["digitlab_spec"] = '{"activation": "constructor"}'


def _other_layers(header: dict[str, Any]) -> None:
    spec = json.loads(header["__metadata__"]["digitlab_spec"])
    header["__metadata__"]["digitlab_spec"] = json.dumps(spec | {"hidden": [5]})


def _other_shape(header: dict[str, Any]) -> None:
    header["0.weight"]["shape"].reverse()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_other_scale, "scale"),
        (_other_activation, "activation"),
        (_other_layers, "layers"),
        (_other_shape, "layers"),
    ],
)
def test_what_is_no_network_of_ours_is_refused(
    change: Callable[[dict[str, Any]], object], reason: str, default_spec: RunSpec, modules: Page, files: Path
) -> None:
    _, network = lab.run(default_spec.until(1))
    (files / "changed").write_bytes(changed(network, files / "network", change))
    assert modules.evaluate(READ, "changed") == f"WeightsError: {reason}"
    (files / "same").write_bytes(changed(network, files / "network", dict.copy))
    assert modules.evaluate(READ, "same") == "read"
