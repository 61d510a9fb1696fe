"""A sink in memory, the twin of the real ones; and a training whose events are fed to a sink."""

from collections.abc import Callable, Mapping

from digitlab import lab
from digitlab.result import RunResult
from digitlab.sinks.interface import Ending, Sink
from digitlab.sinks.subscriber import Subscriber
from digitlab.spec import RunSpec

SPEC = lab.make_spec(hidden=(8,), train_size=300, validation_size=100, steps=30, evaluate_at=[10, 20])


class MemorySink:
    """See `Sink`: what it was told, run by run."""

    def __init__(self) -> None:
        self.specs: dict[str, RunSpec] = {}
        self.figures: dict[str, list[tuple[int, dict[str, float]]]] = {}
        self.endings: dict[str, tuple[Ending, str]] = {}
        self.is_closed = False

    def start(self, spec: RunSpec) -> None:
        self.specs[spec.key] = spec
        self.figures[spec.key] = []

    def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
        self.figures[key].append((step, dict(figures)))

    def end(self, key: str, ending: Ending, cause: str) -> None:
        self.endings[key] = (ending, cause)

    def close(self) -> None:
        self.is_closed = True


def trained_into(
    open_sink: Callable[[], Sink],
    spec: RunSpec = SPEC,
    *,
    patience_seconds: float = 20.0,
    opening_seconds: float = 60.0,
) -> tuple[RunResult, list[str]]:
    """Train a network while a sink is fed; its result, and the faults that were told."""
    faults: list[str] = []
    subscriber = Subscriber("a sink", open_sink, faults.append, patience_seconds, opening_seconds)
    try:
        result, _ = lab.run(spec, on_event=lambda event: subscriber.see([event]))
    finally:
        subscriber.close()
    return result, faults


def expected_figures(result: RunResult) -> list[tuple[int, str, float]]:
    """What every sink holds of a run: step, name, value."""
    curve, metrics = result.curve, result.metrics
    columns = {
        "training_loss": curve.training_loss,
        "validation_loss": curve.validation_loss,
        "validation_accuracy": curve.validation_accuracy,
    }
    found = [
        (step, name, value)
        for name, column in columns.items()
        for step, value in zip(curve.step, column, strict=True)
    ]
    names = ("training_set_loss", "training_set_accuracy", "test_loss", "test_accuracy")
    return sorted([*found, *((metrics.steps, name, getattr(metrics, name)) for name in names)])
