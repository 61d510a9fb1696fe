"""The default model: trained once on this machine, on MNIST's training images and distorted copies of them,
and kept.

What is kept is made again wherever it is missing, damaged or of another recipe; where nothing can be kept it
is made each time.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from digitlab import places
from digitlab.data import Dataset, LabelledImages, registry
from digitlab.data.catalog import FILE_NAMES, DatasetEntry
from digitlab.data.splits import split
from digitlab.engine.device import usable_cores
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.progress import Progress, watched_by
from digitlab.errors import RunError
from digitlab.networks import OnNote
from digitlab.prediction import keeping
from digitlab.prediction.distortion import distorted
from digitlab.prediction.model import Model, OnWork, calibrated
from digitlab.prediction.typical import typical_of
from digitlab.rng import stream
from digitlab.spec import NUMERICS_VERSION, SGD, Budget, RunSpec, WarmupCosine

RECIPE: dict[str, Any] = {
    "version": 3,
    "held_out": 5_000,
    "copies": 8,
    "seed": 0,
    "hidden": [400, 150],
    "learning_rate": 0.4,
    "warmup_steps": 200,
    "batch_size": 64,
    "epochs": 4,
    "usual_share": 0.999,
}
"""All that decides the default model. A change of it, or of how copies are distorted, is a new version."""

_NAME = "mnist-distorted"
_DRAWING_SHARE = 0.3
"""Of the time, about, goes into drawing the copies."""


def default_model(on_work: OnWork, on_note: OnNote) -> Model:
    """The default model: the one that is kept, or a new one, which is then kept where that can be.

    on_work: told while it is trained
    on_note: told in sentences that it has to be, and when it cannot be kept
    Raises RunError when memory does not suffice.
    """
    folder, name = _folder(), _recipe_name()
    if folder is not None and (kept := keeping.load(folder, name)) is not None:
        return kept
    on_note("training the network that reads digits: once on this machine, in one or two minutes")
    model = trained_model(on_work)
    if folder is None:
        on_note("it cannot be kept, for there is no home folder: set HOME or XDG_CACHE_HOME")
        return model
    try:
        keeping.save(model, folder, name)
    except OSError as error:
        reason = error.strerror or str(error)
        on_note(f"it cannot be kept in {folder} ({reason}): name another place by XDG_CACHE_HOME")
    return model


def trained_model(on_work: OnWork, recipe: Mapping[str, Any] | None = None) -> Model:
    """Train it, calibrate it on held-out images and on distorted copies of these.

    recipe: another than the default model's
    """
    recipe = RECIPE if recipe is None else recipe
    dataset, held_out = distorted_data(on_work, recipe)
    spec = RunSpec(
        data=dataset.entry.data_spec,
        hidden=tuple(recipe["hidden"]),
        initialisation="he",
        optimiser=SGD(learning_rate=recipe["learning_rate"]),
        batch_size=recipe["batch_size"],
        budget=Budget(epochs=recipe["epochs"]),
        schedule=WarmupCosine(warmup_steps=recipe["warmup_steps"], final_fraction=0.01),
        seed=recipe["seed"],
    )

    def tell(progress: Progress) -> None:
        share = _DRAWING_SHARE + (1 - _DRAWING_SHARE) * progress.step / progress.step_count
        on_work(f"accuracy {progress.accuracy:.4f}", share)

    ((result, network),) = train_cohort([spec], dataset, threads=None, watch=watched_by(tell))
    if result.outcome != "completed":
        raise RunError(f"the network that reads digits {result.outcome}; this machine computes wrongly")
    images, labels = held_out.images, held_out.labels.astype(np.int64)
    temperature, bins = calibrated(network, images, labels)
    typical = typical_of(dataset.train.images[:: recipe["copies"] + 1], images, recipe["usual_share"])
    return Model(network, dataset.entry.class_names, temperature, typical, bins)


def distorted_data(on_work: OnWork, recipe: Mapping[str, Any]) -> tuple[Dataset, LabelledImages]:
    """MNIST's training images, less those held out, each with its distorted copies; and those held out,
    likewise.

    The former are a data set whose test images are the latter, so that no test image of MNIST takes part.
    """
    mnist = registry.load("mnist")
    images, labels = mnist.train.images, mnist.train.labels
    size = recipe["held_out"]
    parts = split(labels, train_size=len(labels) - size, validation_size=size, seed=recipe["seed"])
    seed, copies = recipe["seed"], recipe["copies"]
    train = _with_copies(images[parts.train], labels[parts.train], copies, seed, "train", on_work)
    test = _with_copies(
        images[parts.validation], labels[parts.validation], 1, seed, "held out", lambda *_: None
    )
    digests = {
        role: hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
        for role, array in zip(
            FILE_NAMES, (train.images, train.labels, test.images, test.labels), strict=True
        )
    }
    entry = DatasetEntry(
        name=_NAME,
        title="MNIST's training images and distorted copies",
        class_names=mnist.entry.class_names,
        train_images=len(train),
        test_images=len(test),
        payload_sha256=digests,
        licence=mnist.entry.licence,
        citation=mnist.entry.citation,
    )
    return Dataset(entry, train, test), test


def _with_copies(
    images: UInt8[np.ndarray, "n 28 28"],
    labels: UInt8[np.ndarray, "n"],
    copies: int,
    seed: int,
    name: str,
    on_work: OnWork,
) -> LabelledImages:
    # Copies of one image beside each other: any stretch of the array holds as many of each kind.
    found = np.empty((len(images), copies + 1, 28, 28), np.uint8)
    found[:, 0] = images
    shares, telling = [0.0] * copies, threading.Lock()

    def draw(i: int) -> None:
        def on_share(share: float) -> None:
            with telling:
                shares[i] = share
                on_work("distorting digits", _DRAWING_SHARE * sum(shares) / copies)

        found[:, i + 1] = distorted(images, stream(seed, f"distorted/{name}/{i}"), on_share)

    with ThreadPoolExecutor(usable_cores()) as pool:  # NumPy's work on arrays runs in threads side by side
        list(pool.map(draw, range(copies)))
    return LabelledImages(found.reshape(-1, 28, 28), np.repeat(labels, copies + 1))


def _recipe_name() -> str:
    recipe = json.dumps([RECIPE, NUMERICS_VERSION], sort_keys=True)
    return f"digits-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def _folder() -> Path | None:
    with suppress(OSError):
        cache = places.cache_folder()
        return None if cache is None else cache / "networks"
    return None
