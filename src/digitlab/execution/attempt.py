"""One attempt at a cohort, the same in this process and in a worker: its results, or why there are none."""

from collections.abc import Callable
from pathlib import Path

from digitlab.errors import cause_of
from digitlab.models.trained import TrainedNetwork, save_all
from digitlab.result import RunResult

Trained = list[tuple[RunResult, TrainedNetwork]]


def attempted(train: Callable[[], Trained], save: str | Path | None) -> tuple[list[RunResult], str]:
    """Results of a cohort and no cause; or none, and the cause.

    save: a folder into which the trained networks are written
    """
    try:
        trained = train()
        save_all(trained, save)
        return [result for result, _ in trained], ""
    except Exception as error:  # noqa: BLE001  # whatever it is, it is this cohort's failure and is told
        return [], cause_of(error)
