"""TrainedNetwork: parameters together with the RunSpec that made them, and its safetensors file.

The tensors carry the names that nn.Sequential gives them (`0.weight`, `0.bias`, `2.weight`, …), so that
plain PyTorch reads the file too. The header's metadata holds the RunSpec and the scale of the inputs.
Nothing is ever unpickled.
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from digitlab.data.arrays import InputScale, is_scale_of
from digitlab.errors import Fault, SpecError, WeightsError
from digitlab.files import write_whole
from digitlab.models import forward
from digitlab.models.parameters import Layer
from digitlab.result import RunResult
from digitlab.spec import RunSpec, Scaling

_PICKLE_STARTS = {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"}
_HEADER_LIMIT_BYTES = 1 << 20
_NOT_OURS = "use a file that `digitlab train --save FILE` wrote"
_CHUNK = 10_000
_MIDDLE_GREY = 127.5


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network that was trained, as plain arrays.

    spec:   what made it
    scale:  how pixels become its inputs
    layers: its parameters
    """

    spec: RunSpec
    scale: InputScale
    layers: tuple[Layer, ...]

    def predict(
        self, images: UInt8[np.ndarray, "*n 28 28"] | Sequence[UInt8[np.ndarray, "28 28"]]
    ) -> Float[np.ndarray, "*n classes"]:
        """The probability of each class for each image, [n, classes]; for one image [classes].

        images: white digits on black, bytes 0 … 255: [n, 28, 28], a list of [28, 28], or one image [28, 28]
        Warns when a network of MNIST is given pictures that are mostly white.
        Raises SpecError when they are something else, WeightsError when the weights are not finite or
        numbers overflow.
        """
        try:
            given = np.asarray(images)
        except ValueError:  # images of several sizes
            problem = "are images of several sizes; give each as bytes (uint8) of shape [28, 28]"
            raise SpecError([Fault("images", f"a list of {len(images)}", problem)]) from None
        if given.dtype != np.uint8 or given.shape not in {(28, 28), (*given.shape[:1], 28, 28)}:
            problem = "are not images; give bytes (uint8) of shape [n, 28, 28], or [28, 28] for one image"
            raise SpecError([Fault("images", f"{given.dtype} {list(given.shape)}", problem)])
        if self.spec.data.name == "mnist" and given.size and given.mean() > _MIDDLE_GREY:
            warnings.warn(
                "these pictures are mostly white; MNIST's digits are white on black: give 255 - images",
                stacklevel=2,
            )
        found = self.probabilities(given.reshape(-1, 28, 28))  # [n, classes]
        return found[0] if given.ndim == 2 else found

    def probabilities(self, images: UInt8[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n classes"]:
        """The same for images that are what they should be. Raises WeightsError as `predict` does."""
        self.check_weights("probabilities")
        chunks = [
            forward.probabilities(self.layers, self.scale.apply(images[i : i + _CHUNK], self.spec.precision))
            for i in range(0, max(len(images), 1), _CHUNK)
        ]
        probabilities = np.concatenate(chunks)
        if unknown := int(np.isnan(probabilities).any(1).sum()):
            raise WeightsError(
                f"{self.spec.network_name}: its numbers overflow on {unknown:,} of {len(images):,} images, "
                "so these have no probabilities; train it again with a smaller learning rate"
            )
        return probabilities

    def check_weights(self, what: str) -> None:
        """Raise WeightsError when a weight is not finite, so that the network has no `what`."""
        arrays = (array for layer in self.layers for array in (layer.weight, layer.bias))
        if not all(np.isfinite(array).all() for array in arrays):
            raise WeightsError(
                f"{self.spec.network_name}: its weights are not finite, so it has no {what}; train it again "
                "with a smaller learning rate"
            )

    def save(self, path: str | os.PathLike[str], more: Mapping[str, str] | None = None) -> None:
        """Write the network as a safetensors file, whole or not at all.

        more: texts for the metadata in its header, besides those that `load` needs
        Raises WeightsError when the place cannot be written.
        """
        target = writable_target(path)
        try:
            write_whole(target, self.to_bytes(more))
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from None

    def to_bytes(self, more: Mapping[str, str] | None = None, *, layer_count: int | None = None) -> bytes:
        """What `save` writes.

        layer_count: only so many layers, the first ones; then it is none that `load` reads
        """
        metadata = {
            **(more or {}),
            "digitlab_spec": self.spec.canonical_json,
            "digitlab_input_scale": json.dumps([self.scale.offset, self.scale.divisor]),
        }
        return to_safetensors(_tensors(self.layers[:layer_count]), metadata)


def save_all(
    trained: Sequence[tuple[RunResult, TrainedNetwork]], folder: str | os.PathLike[str] | None
) -> None:
    """Write each network into a folder, if there is one; see `saved_in`."""
    if folder is not None:
        for result, network in trained:
            network.save(saved_in(folder, result.key))


def saved_in(folder: str | os.PathLike[str], key: str) -> Path:
    """Where `save_all` puts the network of a run: KEY.safetensors, with 12 digits of the key."""
    return Path(folder) / f"{key[:12]}.safetensors"


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """The folder of this path, made where there is none.

    Raises WeightsError when no files can be written into it.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise unwritable(path, getattr(error, "strerror", None) or str(error)) from None
    writable_target(Path(path) / "x.safetensors")
    return Path(path).resolve()


def writable_target(path: str | os.PathLike[str]) -> Path:
    """The place where a network saved to `path` goes, behind links.

    Raises WeightsError when it could not be written there: better before a training than after it.
    """
    try:
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            raise unwritable(path, "there is something that is not a file")
        if not target.parent.is_dir():
            raise unwritable(path, "there is no such folder")
        if not os.access(target.parent, os.W_OK):
            raise unwritable(path, "its folder is not yours to write to")
    except (OSError, RuntimeError, ValueError) as error:  # too long; a circle of links; a NUL
        raise unwritable(path, str(error)) from None
    return target


def unwritable(path: object, reason: str) -> WeightsError:
    """That a network cannot be written to `path`, and what to do."""
    return WeightsError(f"{path}: cannot be written: {reason}; name a file in a folder that you can write to")


def _tensors(layers: tuple[Layer, ...]) -> dict[str, np.ndarray]:
    return {
        f"{2 * i}.{name}": np.ascontiguousarray(array)
        for i, layer in enumerate(layers)
        for name, array in (("weight", layer.weight), ("bias", layer.bias))
    }


def load(path: str | os.PathLike[str]) -> TrainedNetwork:
    """The network in a safetensors file that `save` wrote; the file is not trusted.

    Raises WeightsError when it is anything else: another format, metadata that is missing or at fault,
    tensors that are not exactly those of its RunSpec.
    """
    _check_header(Path(path))
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            spec = _read_spec(path, metadata)
            scale = _read_scale(path, metadata, spec.scaling)
            expected = {
                name: shape
                for i, (inputs, outputs) in enumerate(pairwise(spec.layer_sizes))
                for name, shape in ((f"{2 * i}.weight", [outputs, inputs]), (f"{2 * i}.bias", [outputs]))
            }
            # Names, shapes and types first, from the header: no tensor is read that is not the spec's.
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            types = {file.get_slice(name).get_dtype() for name in found}
            if found != expected or types != {_TYPE_NAMES[spec.precision]}:
                raise _refused(path, "its tensors are not those of the RunSpec in its metadata")
            tensors = {name: file.get_tensor(name) for name in found}
    except SafetensorError as error:
        raise _refused(path, f"it is not a valid safetensors file ({error})") from None
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror or error}); name a file that can"
        ) from None
    return TrainedNetwork(
        spec,
        scale,
        tuple(
            Layer(tensors[f"{2 * i}.weight"], tensors[f"{2 * i}.bias"])
            for i in range(len(spec.layer_sizes) - 1)
        ),
    )


def texts(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts in the header of a safetensors file, by name. Raises WeightsError when it is none."""
    _check_header(Path(path))
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _refused(path, f"it is not a valid safetensors file ({error})") from None


_TYPE_NAMES = {"float32": "F32", "float64": "F64"}


def _refused(path: object, reason: str) -> WeightsError:
    return WeightsError(f"{path}: {reason}; {_NOT_OURS}")


def _check_header(path: Path) -> None:
    """Refuse what cannot be ours before any library reads it: by its first bytes and its header's length."""
    try:
        if not path.is_file():
            raise WeightsError(f"{path}: there is no such file; {_NOT_OURS}")
        with path.open("rb") as file:
            start = file.read(16)
        size = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); name a file that can") from None
    header_bytes = int.from_bytes(start[:8], "little")
    if len(start) == 16 and start[8:9] == b"{" and header_bytes <= min(_HEADER_LIMIT_BYTES, size - 8):
        return
    if start[:2] in _PICKLE_STARTS:
        raise _refused(
            path, "it looks like a pickle, which could run any program when read; digitlab never unpickles"
        )
    raise _refused(path, "it is not a safetensors file")


def _read_spec(path: object, metadata: dict[str, str]) -> RunSpec:
    try:
        return RunSpec.from_json(metadata["digitlab_spec"])
    except KeyError:
        raise _refused(path, "its metadata has no RunSpec") from None
    except SpecError as error:
        raise _refused(path, f"the RunSpec in its metadata is at fault ({error})") from None


def _read_scale(path: object, metadata: dict[str, str], scaling: Scaling) -> InputScale:
    try:
        offset, divisor = json.loads(metadata["digitlab_input_scale"])
        scale = InputScale(float(offset), float(divisor))
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        raise _refused(path, "its metadata has no scale of the inputs") from None
    if not is_scale_of(scaling, scale):
        found = f"offset {scale.offset:g}, divisor {scale.divisor:g}"
        raise _refused(path, f"the scale of the inputs in its metadata ({found}) is none of {scaling!r}")
    return scale
