"""A study's cells: what is known at each condition and learning rate, also while the study is half done."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from digitlab.analysis.conditions import how_broken, most_broke, validation_losses
from digitlab.analysis.findings import State
from digitlab.analysis.statistics.choice import mean_loss
from digitlab.result import Outcome
from digitlab.studies.stages import Asked


@dataclass(frozen=True)
class Cell:
    """What is known at one learning rate of one condition.

    labels, groups: of the condition, by axis
    state:    what most of its networks did; best: the least loss of the condition so far; None: none is known
    seeds:    how many runs are asked for so far, a seed each
    validation_loss, validation_accuracy: means over the known networks that did not break, judged as the study
              judges them; NaN without one
    outcomes: how many of the known runs ended how
    keys:     of the known runs, in the order of their seeds
    """

    labels: Mapping[str, str]
    groups: Mapping[str, str]
    rate: float
    state: State | None
    seeds: int
    validation_loss: float
    validation_accuracy: float
    outcomes: Mapping[Outcome, int]
    keys: tuple[str, ...]


def cells(asked: Sequence[Asked]) -> tuple[Cell, ...]:
    """The cells of a study, in the order in which its strategy tells of them."""
    best: dict[tuple[tuple[str, str], ...], tuple[float, int]] = {}
    found = []
    for place, one in enumerate(asked):
        found.append(_cell(one))
        if found[-1].state == "fine":
            condition = tuple(one.labels.items())
            # As rates are chosen: by the mean logarithm, in which a broken network counts as one that guesses.
            loss = float(mean_loss(validation_losses([one.runs], best=one.is_best))[0])
            best[condition] = min(best.get(condition, (math.inf, place)), (loss, place))
    for _, place in best.values():
        found[place] = replace(found[place], state="best")
    return tuple(found)


def _cell(asked: Asked) -> Cell:
    outcomes = Counter(run.outcome for run in asked.runs)
    whole = [run for run in asked.runs if run.outcome == "completed"]
    losses = validation_losses([whole], best=asked.is_best)[:, 0] if whole else np.array([])
    accuracies = [
        (max if asked.is_best else _last)(run.curve.validation_accuracy)
        for run in whole
        if run.curve.validation_accuracy
    ]
    return Cell(
        labels=asked.labels,
        groups=asked.groups,
        rate=asked.rate,
        state=_state(asked),
        seeds=len(asked.keys),
        validation_loss=float(losses.mean()) if len(losses) else math.nan,
        validation_accuracy=float(np.mean(accuracies)) if accuracies else math.nan,
        outcomes=outcomes,
        keys=tuple(run.key for run in asked.runs),
    )


def _last(values: Sequence[float]) -> float:
    return values[-1]


def _state(asked: Asked) -> State | None:
    if not asked.runs:
        return None
    if not most_broke(asked.runs):
        return "fine"
    return how_broken(asked.runs)
