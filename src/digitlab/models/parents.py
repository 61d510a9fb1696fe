"""Parents: trained networks that runs go on from, kept so that whoever trains a child finds their weights.

A RunSpec holds no weights: it names its parent by the key of the run and by the digest of the parameters.
A file that is named as a parent is copied to a folder of digitlab's data, under that digest; there this
process, its workers, `store verify --recompute` and whoever repeats the run look for it. Where nothing can be
written the weights are known to this process alone.
"""

import logging
import os
from functools import lru_cache
from pathlib import Path

from digitlab import places
from digitlab.errors import Fault, SpecError, WeightsError
from digitlab.models.parameters import Layer, digest, initial_layers
from digitlab.models.trained import TrainedNetwork, load
from digitlab.spec import Parent, RunSpec

_SHOWN = 12
"""So many digits of a key or a digest are shown."""

_log = logging.getLogger(__name__)
_only_here: dict[str, TrainedNetwork] = {}
"""Parents that could not be written anywhere, by digest."""


def adopted(path: str | os.PathLike[str]) -> tuple[TrainedNetwork, Parent]:
    """The network in a file, as a parent of runs to come, which will find it without the file.

    Raises WeightsError when the file is not that of a trained network, or its weights are not finite.
    """
    network, sha256 = _read(Path(path))
    network.check_weights("way to go on")
    parent = Parent(key=network.spec.key, sha256=sha256)
    if not is_kept(parent):
        try:
            target = _place(sha256)
            target.parent.mkdir(parents=True, exist_ok=True)
            network.save(target)
        except (OSError, WeightsError):
            _only_here[sha256] = network
    return network, parent


def is_kept(parent: Parent) -> bool:
    """Whether other processes find the weights of a parent too."""
    return _kept(parent.sha256) is not None


def first_layers(spec: RunSpec) -> tuple[Layer, ...]:
    """The parameters that a run starts from: its parent's, or those that its initialisation draws.

    Raises WeightsError when the parent's are not at hand; SpecError when they are those of another network.
    """
    if spec.parent is None:
        return initial_layers(spec.layer_sizes, spec.initialisation, spec.seed, spec.precision)
    network = _kept(spec.parent.sha256) or _only_here.get(spec.parent.sha256)
    if network is None:
        raise WeightsError(
            f"parent: the weights of run {spec.parent.key[:_SHOWN]} (SHA-256 {spec.parent.sha256[:_SHOWN]}…) "
            "are not kept on this machine; name their file by --from FILE (parent= in Python). Where it is "
            "lost, train that run again with --save"
        )
    if faults := misfits(spec, network):
        raise SpecError(faults)
    return network.layers


def misfits(spec: RunSpec, parent: TrainedNetwork) -> list[Fault]:
    """What keeps a run from starting with the parameters of this network; nothing where they fit."""
    own, faults = parent.spec, []
    if spec.hidden != own.hidden:
        use = f"use {list(own.hidden)}, or leave hidden out"
        problem = f"are not the layers of the parent, {own.network_name}; {use}"
        faults.append(Fault("hidden", list(spec.hidden), problem))
    if spec.data.classes != own.data.classes:
        problem = (
            f"has {spec.data.classes} classes, and the parent knows {own.data.classes}; use a data set with "
            f"{own.data.classes}, such as {own.data.name}"
        )
        faults.append(Fault("data", spec.data.name, problem))
    if spec.precision != own.precision:
        problem = f"is not the precision of the parent; use {own.precision!r}, or leave precision out"
        faults.append(Fault("precision", spec.precision, problem))
    return faults


def tell_of_seen_images(spec: RunSpec, parent: RunSpec) -> None:
    """Say so, in a line on stderr, where the parent may have been trained on images that are held out now.

    Of images held out whoever wrote them, the fewer are among the more, in every run.
    """
    kind, size = parent.validation, parent.validation_size
    is_same = spec.validation == kind and (spec.validation_size == size or kind == "images")
    if spec.data != parent.data or not spec.validation_size or (is_same and spec.validation_size <= size):
        return
    remedy = f"hold out {size:,} {kind}, as it did" if size else "train it with --validation-size too"
    _tell(
        f"validation_size: the parent, {parent.network_name}, may have been trained on images that are held "
        f"out here, so what validation says is too good; {remedy}"
    )


@lru_cache(maxsize=64)  # once, however many runs of a study it is true of
def _tell(warning: str) -> None:
    _log.warning(warning)


def _kept(sha256: str) -> TrainedNetwork | None:
    """The network kept under a digest; None when there is none, or when it is not what it was."""
    try:
        network, found = _read(_place(sha256))
    except WeightsError:
        return None
    return network if found == sha256 else None


def _read(path: Path) -> tuple[TrainedNetwork, str]:
    """The network in a file and its digest. A file that many runs name is read once."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return _loaded(path, 0, 0)  # which tells what is wrong with it
    return _loaded(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int, _size: int) -> tuple[TrainedNetwork, str]:
    network = load(path)
    return network, digest(network.layers)


def _place(sha256: str) -> Path:
    """The file of the network whose parameters have this digest. Raises WeightsError without a home."""
    folder = places.data_folder()
    if folder is None:
        raise WeightsError(
            "there is no home folder to keep weights in; set HOME, or name one by DIGITLAB_DATA"
        )
    return folder / "weights" / f"{sha256}.safetensors"
