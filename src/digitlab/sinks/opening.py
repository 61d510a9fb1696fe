"""From what a user writes, `tensorboard:runs` or `mlflow:http://…`, to a log that takes events."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from digitlab.errors import Fault, RunError, SpecError, with_extra
from digitlab.execution.events import Event
from digitlab.sinks.interface import Sink
from digitlab.sinks.subscriber import Subscriber

_FOLDER = "tensorboard-runs"
_NAMES = ("tensorboard", "mlflow")
"""Of the sinks, of the libraries that they need, and of the extras that bring these."""

See = Callable[[Iterable[Event]], None]


@contextmanager
def logged(wanted: str, on_fault: Callable[[str], None]) -> Iterator[See]:
    """What takes the events of an execution and logs them until the block ends.

    wanted:   `tensorboard`, `tensorboard:DIR`, `mlflow`, `mlflow:URI`
    on_fault: told in a sentence when the log ends early; the training goes on
    Raises SpecError when there is no such sink, RunError when its library is missing.
    """
    name, open_sink = sink_of(wanted)
    subscriber = Subscriber(name, open_sink, on_fault)
    try:
        yield subscriber.see
    finally:
        subscriber.close()


def sink_of(wanted: str) -> tuple[str, Callable[[], Sink]]:
    """A sink's name, and what makes it, slowly; see `logged`."""
    name, _, place = wanted.partition(":")
    if name not in _NAMES:
        problem = "is not known; use tensorboard, tensorboard:FOLDER, mlflow or mlflow:URI"
        raise SpecError([Fault("log", wanted, problem)])
    if find_spec(name) is None:  # without loading it, which takes a second
        raise RunError(f"log {name}: the library is missing; {with_extra(name)}")

    def open_tensorboard() -> Sink:
        from digitlab.sinks.tensorboard import TensorBoardSink

        return TensorBoardSink(Path(place or _FOLDER))

    def open_mlflow() -> Sink:
        from digitlab.sinks.mlflow import MLflowSink

        return MLflowSink(place or None)

    return name, {"tensorboard": open_tensorboard, "mlflow": open_mlflow}[name]
