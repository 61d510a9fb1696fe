"""Why a run ended as it did: one plain sentence with a remedy, where there is something to say."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8

from digitlab.live.live_run import rate_in_words
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import Store

_SMALLER = 4
_LARGE_MOMENTUM = 0.9
_HARDLY_LEARNED = 1.5
"""Times chance: an accuracy below that is next to nothing."""

DeadUnits = tuple[int, int]
"""Hidden units of a layer that answer to no image, and how many it has."""
_MEASUREMENT = "dead-units"


def diverged(spec: RunSpec, step: int) -> str:
    """Of a run whose loss was not finite at a step."""
    return f"the loss blew up at step {step:,}: {_too_large(spec)}; {_smaller(spec)}"


def explained(result: RunResult, dead: DeadUnits | None = None) -> str | None:
    """Of a run that has ended: why it broke; None where there is nothing to say.

    dead: of a collapsed one, those of the first layer that has some; None: not known
    """
    spec, metrics = result.spec, result.metrics
    if result.outcome == "diverged":
        return diverged(spec, metrics.steps)
    if result.outcome == "collapsed":
        units = ""
        if dead is not None and dead[0]:
            units = f", and {dead[0]:,} of {dead[1]:,} hidden units no longer answer to any image"
        return f"the network blew up and ended at chance{units}: {_too_large(spec)}; {_smaller(spec)}"
    found = metrics.validation_accuracy
    accuracy = metrics.test_accuracy if found is None else found
    if accuracy < _HARDLY_LEARNED / spec.data.classes and spec.step_count > 1:
        rate = rate_in_words(_SMALLER * spec.optimiser.learning_rate)
        return (
            f"it has hardly learned in {metrics.steps:,} steps: the learning rate "
            f"{rate_in_words(spec.optimiser.learning_rate)} is small for so few; try {rate}, or more epochs"
        )
    return None


def _too_large(spec: RunSpec) -> str:
    optimiser = spec.optimiser
    momentum = getattr(optimiser, "momentum", 0.0)
    beside = f" with momentum {momentum:g}" if momentum >= _LARGE_MOMENTUM else ""
    if optimiser.kind != "sgd":
        beside = f" for {optimiser.kind}"
    rate = rate_in_words(optimiser.learning_rate)
    return f"the learning rate {rate} is too large{beside} for batches of {spec.batch_size:,}"


def _smaller(spec: RunSpec) -> str:
    rate = spec.optimiser.learning_rate
    if rate == 0:
        return "try other options"
    return f"try {rate_in_words(rate / _SMALLER)}"


def dead_units(network: TrainedNetwork, images: UInt8[np.ndarray, "n 28 28"]) -> DeadUnits | None:
    """Of the first hidden layer that has units which answer to none of the images: how many, of how many.

    None where no unit is dead, or where there is no hidden layer.
    """
    values = network.scale.apply(images, network.spec.precision)
    with np.errstate(all="ignore"):
        for layer in network.layers[:-1]:
            values = np.maximum(values @ layer.weight.T + layer.bias, 0)  # [image, unit]
            if dead := int((~(values > 0).any(0)).sum()):
                return dead, len(layer.bias)
    return None


def keep_dead_units(store: Store, key: str, dead: DeadUnits) -> None:
    """Let the store know them, so that the same is said when the network is gone. Raises StoreError."""
    store.add_measurement(key, _MEASUREMENT, {"dead": dead[0], "units": dead[1]})


def known_dead_units(store: Store, results: Iterable[RunResult]) -> dict[str, DeadUnits]:
    """Those of collapsed runs that the store knows, by key. Raises StoreError."""
    keys = [result.key for result in results if result.outcome == "collapsed"]
    found = store.measurements(keys, _MEASUREMENT) if keys else {}
    return {key: (int(values["dead"]), int(values["units"])) for key, values in found.items()}
