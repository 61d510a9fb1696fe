"""The contract of sinks: what they are told of runs. One suite of tests holds every sink to it."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from digitlab.option_fields import option_fields
from digitlab.result import Outcome
from digitlab.spec import RunSpec

Ending = Outcome | Literal["failed", "cancelled"]
"""How a run ended: by an outcome that is a result, or without one."""


class Sink(Protocol):
    """Where runs are logged. Called from one thread, of each run in the order start, log …, end.

    It may be slow, hang, and raise whatever it likes: that costs the log, and nothing else.
    """

    def start(self, spec: RunSpec) -> None:
        """A run begins."""
        ...

    def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
        """What was measured of a run after so many steps, by name; steps never fall."""
        ...

    def end(self, key: str, ending: Ending, cause: str) -> None:
        """A run has ended. cause: why it has no result; empty where it has one."""
        ...

    def close(self) -> None:
        """No more is told."""
        ...


def run_name(spec: RunSpec) -> str:
    """A run's name, for people and for folders; the digits of its key make it unlike all others."""
    rate = f"{spec.optimiser.learning_rate:g}"
    return f"{spec.network_name}-batch{spec.batch_size}-rate{rate}-seed{spec.seed}-{spec.key[:12]}"


def options_of(spec: RunSpec) -> dict[str, str]:
    """All that decides a run, by the names of the options of `digitlab.train`."""
    values: dict[str, object] = {
        name: _inside(spec, option.path) for name, option in option_fields(RunSpec).items() if name != "data"
    }
    told = {"data": spec.data.name, **values}
    return {name: str(value) for name, value in told.items() if value is not None}


def _inside(part: object, path: Sequence[str]) -> object:
    """What lies there in a spec; None where its part has no such field."""
    for name in path:
        part = getattr(part, name, None)
    return part
