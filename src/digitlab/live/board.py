"""The board of a class: everyone's runs of one preset, and how sure their mean is by now."""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import SHARE
from digitlab.analysis.statistics.jackknife import mean_on
from digitlab.live.live_run import LiveRun
from digitlab.live.presets import Preset, without_seed
from digitlab.spec import RunSpec


@dataclass(frozen=True)
class BoardRow:
    """The class's runs of one value of the preset's race; or all, where it is no race.

    value:    of the race's axis; None: there is none
    runs:     that have ended, one a seed and visitor
    count:    of different seeds, without those that diverged
    accuracy: mean test accuracy over these, with Student's interval of 95 %, which keeps within 0 and 1
    broken:   how many diverged or collapsed
    """

    value: float | None
    runs: tuple[LiveRun, ...]
    count: int
    accuracy: Estimate
    broken: int


def board_rows(
    preset: Preset, runs: Sequence[LiveRun], spec_of: Callable[[dict[str, Any]], RunSpec]
) -> list[BoardRow]:
    """The rows of a preset, in the order of its values.

    spec_of: makes a RunSpec of options
    """
    values: tuple[float | None, ...] = preset.race.values if preset.race else (None,)
    rows = []
    for value, options in zip(values, preset.runs(), strict=True):
        wanted = without_seed(spec_of(options))
        theirs = tuple(run for run in runs if _counts(run) and without_seed(run.spec) == wanted)
        # The same seed is the same run, whoever asked for it: it counts once.
        of_seed = {run.spec.seed: run for run in theirs}
        found = [
            run.test_accuracy
            for run in of_seed.values()
            if run.test_accuracy is not None and math.isfinite(run.test_accuracy)
        ]
        broken = sum(run.status != "done" for run in of_seed.values())
        rows.append(BoardRow(value, theirs, len(found), mean_on(np.array(found), SHARE), broken))
    return rows


def _counts(run: LiveRun) -> bool:
    return run.status in ("done", "diverged", "collapsed")


@dataclass(frozen=True)
class Lesson:
    """What the teacher has set: the preset that the class is at, and whether it may train."""

    preset: str | None = None
    is_frozen: bool = False


class Classroom:
    """What the teacher has set, changed from any thread."""

    def __init__(self) -> None:
        self._lesson, self._changed = Lesson(), threading.Lock()

    @property
    def lesson(self) -> Lesson:
        """As it is now."""
        with self._changed:
            return self._lesson

    def set(self, lesson: Lesson) -> None:
        """Set it."""
        with self._changed:
            self._lesson = lesson
