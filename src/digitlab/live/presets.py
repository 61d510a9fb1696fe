"""Presets: a set-up for each of the exercise's questions, with what to watch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from digitlab.spec import RunSpec

Axis = Literal["learning_rate", "batch_size", "train_size", "depth", "width"]
_HELD_OUT = 10_000
_USUAL_WIDTH = 100


@dataclass(frozen=True)
class Race:
    """One thing that differs between runs which are trained together.

    axis: an option; or `depth`, the number of hidden layers, or `width`, the units of each
    """

    axis: Axis
    values: tuple[float, ...]


@dataclass(frozen=True)
class Preset:
    """A question, and the runs that answer it.

    watch: what to look at, in a sentence
    setup: options as `digitlab.train` takes them
    race:  what differs; None: it is one run
    """

    name: str
    title: str
    question: str
    watch: str
    setup: Mapping[str, Any] = field(default_factory=dict)
    race: Race | None = None

    def runs(self) -> list[dict[str, Any]]:
        """The options of each of its runs."""
        if self.race is None:
            return [dict(self.setup)]
        return [with_value(self.setup, self.race.axis, value) for value in self.race.values]


def with_value(setup: Mapping[str, Any], axis: Axis, value: float) -> dict[str, Any]:
    """A set-up with one value of an axis."""
    hidden: Sequence[int] = setup.get("hidden", ())
    if axis == "depth":
        return {**setup, "hidden": [hidden[0] if hidden else _USUAL_WIDTH] * int(value)}
    if axis == "width":
        return {**setup, "hidden": [int(value)] * max(len(hidden), 1)}
    return {**setup, axis: value if axis == "learning_rate" else int(value)}


_ONE_LAYER = {"hidden": [100], "validation_size": _HELD_OUT}

PRESETS = (
    Preset(
        "learning-rate",
        "Learning rate",
        "Which learning rate learns best, and what happens beyond it?",
        "Small rates crawl, larger ones sink faster, until one blows up: the best lies just below that edge.",
        {**_ONE_LAYER, "batch_size": 100, "epochs": 2},
        Race("learning_rate", tuple(2.0**exponent for exponent in (-8, -6, -4, -2, -1, 0, 2, 4))),
    ),
    Preset(
        "batch-size",
        "Batch size",
        "With the same number of epochs, do small or large batches learn more?",
        "Small batches make more steps and sink further; their curves are rougher and take longer.",
        {**_ONE_LAYER, "learning_rate": 0.25, "epochs": 2},
        Race("batch_size", (16, 32, 64, 128, 256, 512, 1024, 2048)),
    ),
    Preset(
        "more-data",
        "More data",
        "What do ten times as many training images gain?",
        "Training losses end close together, validation accuracies do not: that gap is what data buy.",
        {**_ONE_LAYER, "learning_rate": 0.25, "batch_size": 100, "steps": 1_500},
        Race("train_size", (100, 300, 1_000, 3_000, 10_000, 30_000, 50_000)),
    ),
    Preset(
        "deeper",
        "Deeper",
        "Does a second hidden layer help, and a third?",
        "The first hidden layer gains most; each further one gains little, and asks for another rate.",
        {**_ONE_LAYER, "learning_rate": 0.25, "batch_size": 100, "epochs": 2},
        Race("depth", (0, 1, 2, 3, 4)),
    ),
    Preset(
        "wider",
        "Wider",
        "How many hidden units are enough?",
        "Few units cannot tell the digits apart; beyond about a hundred each doubling gains less.",
        {**_ONE_LAYER, "learning_rate": 0.25, "batch_size": 100, "epochs": 2},
        Race("width", (3, 10, 30, 100, 300, 1_000)),
    ),
    Preset(
        "blank",
        "Blank",
        "What do you want to know?",
        "No hidden layer: the ten images are what the network looks for. Add a layer and train again.",
        {"hidden": [], "validation_size": _HELD_OUT, "learning_rate": 0.125, "batch_size": 100, "epochs": 2},
    ),
)


def preset(name: str) -> Preset | None:
    """The preset of this name."""
    return next((preset for preset in PRESETS if preset.name == name), None)


@lru_cache(maxsize=2_000)
def without_seed(spec: RunSpec) -> str:
    """What runs of one experiment share: all but the seed, and when their curves have points."""
    return spec.model_copy(update={"seed": 0, "evaluate_at": "epoch"}).canonical_json
