"""What an engine tells while it trains."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    step:          steps taken so far, of step_count
    training_loss: mean loss (nats) of the batches since the curve's last point
    accuracy:      of the latest evaluation on the validation split; without one, of the latest batch
    """

    step: int
    step_count: int
    training_loss: float
    accuracy: float


OnProgress = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """Tell nobody."""
