"""Curves as pictures: of one run its losses and accuracies, of several runs each quantity for all of them."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from digitlab.analysis.findings import Axis, Line, Lines, Point
from digitlab.result import RunResult

T = TypeVar("T")
_MOST_POINTS = 400
"""Of a line: more of them lie closer than a pixel."""

_STEPS, _EPOCHS = Axis("steps"), Axis("epochs")
_LOSS = Axis("mean cross-entropy (nats)")
_ACCURACY = Axis("share classified rightly", is_share=True)

QUANTITIES = {
    "training_loss": ("Training loss", "Of the batches since the point before.", _LOSS),
    "validation_loss": ("Validation loss", "Of the network at each point, on the images held out.", _LOSS),
    "validation_accuracy": ("Validation accuracy", "Of the same networks on the same images.", _ACCURACY),
}
"""What a curve holds, by its name there: title and caption of its picture, and the axis of its values."""


def pictures_of(result: RunResult) -> tuple[Lines, ...]:
    """The curve of one run: its losses, and below them the validation accuracy, where there is one."""
    kept = result.metrics.kept_step
    caption = f"{result.spec.network_name}, test accuracy {result.metrics.test_accuracy:.4f}."
    caption += f" The network of step {kept:,} is kept." if kept is not None else ""
    names = {"training": "training_loss", "validation": "validation_loss"}
    losses = tuple(
        _line(name, result, quantity, in_epochs=False)
        for name, quantity in names.items()
        if getattr(result.curve, quantity)
    )
    pictures = [Lines("loss", "Loss", caption, _STEPS, _LOSS, losses)]
    if result.curve.validation_accuracy:
        title, text, axis = QUANTITIES["validation_accuracy"]
        line = _line("validation", result, "validation_accuracy", in_epochs=False)
        pictures.append(Lines("accuracy", title, text, _STEPS, axis, (line,)))
    return tuple(pictures)


def overlaid(results: Mapping[str, RunResult]) -> tuple[Lines, ...]:
    """A picture of each quantity that any of the runs has, with a line for each that has it.

    Over steps, where all runs have as many an epoch; else over epochs.

    results: by the name of its line
    """
    in_epochs = are_over_epochs(list(results.values()))
    pictures = []
    for quantity, (title, caption, axis) in QUANTITIES.items():
        lines = tuple(
            _line(name, result, quantity, in_epochs=in_epochs)
            for name, result in results.items()
            if getattr(result.curve, quantity)
        )
        if lines:
            x = _EPOCHS if in_epochs else _STEPS
            pictures.append(Lines(quantity.replace("_", "-"), title, caption, x, axis, lines))
    return tuple(pictures)


def are_over_epochs(results: Sequence[RunResult]) -> bool:
    """Whether these runs' curves can be compared by epochs alone: a step of one is not that of another."""
    return len({result.spec.steps_per_epoch for result in results}) > 1


def places_of(result: RunResult, *, in_epochs: bool) -> list[float]:
    """Where the points of a run's curve lie, in steps or in epochs, [point]."""
    per_unit = result.spec.steps_per_epoch if in_epochs else 1
    return [step / per_unit for step in result.curve.step]


def _line(name: str, result: RunResult, quantity: str, *, in_epochs: bool) -> Line:
    values = getattr(result.curve, quantity)
    points = [Point(x, y) for x, y in zip(places_of(result, in_epochs=in_epochs), values, strict=True)]
    return Line(name, tuple(thinned(points, _MOST_POINTS)))


def thinned(points: Sequence[T], most: int) -> list[T]:
    """At most so many of the points, evenly, the last among them."""
    stride = -(-len(points) // most)
    return list(points[(len(points) - 1) % stride :: stride]) if points else []
