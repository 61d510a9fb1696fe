"""Models kept as files: a safetensors file of weights and calibration, whose name holds its digest."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from digitlab.data.arrays import InputScale
from digitlab.errors import SpecError
from digitlab.files import write_whole
from digitlab.models.parameters import Layer
from digitlab.models.trained import TrainedNetwork
from digitlab.prediction.calibration import Bin
from digitlab.prediction.model import Model
from digitlab.prediction.typical import Typical
from digitlab.spec import RunSpec

_DIGEST_DIGITS = 32
_LIMIT_BYTES = 256 << 20


def save(model: Model, folder: Path, name: str) -> None:
    """Keep a model under a name; an earlier one of this name goes.

    Raises OSError when it cannot be written.
    """
    network = model.network
    tensors = {
        f"{2 * i}.{part}": np.ascontiguousarray(array)
        for i, layer in enumerate(network.layers)
        for part, array in (("weight", layer.weight), ("bias", layer.bias))
    }
    about = {
        "scale": [network.scale.offset, network.scale.divisor],
        "class_names": list(model.class_names),
        "temperature": model.temperature,
        "reliability": [[each.count, each.confidence, each.accuracy] for each in model.reliability],
        "limit": None if model.typical is None else model.typical.limit,
    }
    if model.typical is not None:
        tensors |= {"typical.mean": model.typical.mean, "typical.axes": model.typical.axes}
    metadata = {"digitlab_spec": network.spec.canonical_json, "digitlab_model": json.dumps(about)}
    content = to_safetensors(tensors, metadata)
    folder.mkdir(parents=True, exist_ok=True)
    earlier = _files(folder, name)
    path = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]}.safetensors"
    write_whole(path, content)
    for other in earlier:
        if other != path:
            with suppress(OSError):
                other.unlink()


def load(folder: Path, name: str) -> Model | None:
    """The model of this name; None where there is none that is whole."""
    for path in _files(folder, name):
        with suppress(OSError, SafetensorError, SpecError, KeyError, ValueError, TypeError):
            if path.stat().st_size <= _LIMIT_BYTES:
                content = path.read_bytes()
                if path.stem.endswith(hashlib.sha256(content).hexdigest()[:_DIGEST_DIGITS]):
                    return _read(path)
    return None


def _files(folder: Path, name: str) -> list[Path]:
    try:
        return sorted(folder.glob(f"{name}-*.safetensors"))
    except OSError:
        return []


def _read(path: Path) -> Model:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    spec = RunSpec.from_json(metadata["digitlab_spec"])
    about = json.loads(metadata["digitlab_model"])
    layers = tuple(
        Layer(tensors[f"{2 * i}.weight"], tensors[f"{2 * i}.bias"]) for i in range(len(spec.layer_sizes) - 1)
    )
    typical = None
    if about["limit"] is not None:
        typical = Typical(tensors["typical.mean"], tensors["typical.axes"], float(about["limit"]))
    network = TrainedNetwork(spec, InputScale(*map(float, about["scale"])), layers)
    bins = tuple(Bin(*each) for each in about["reliability"])
    return Model(network, tuple(about["class_names"]), about["temperature"], typical, bins)
