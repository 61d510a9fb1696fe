"""A study's cells: what is known at each condition and learning rate, also while the study is half done."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from digitlab.analysis.conditions import how_broken, most_broke, validation_losses
from digitlab.analysis.findings import State
from digitlab.analysis.statistics.choice import mean_loss
from digitlab.result import Outcome, RunResult
from digitlab.studies.stages import Asked


@dataclass(frozen=True)
class CellRun:
    """A known run of a cell; loss and accuracy on the validation images as the study judges it, NaN where it
    broke.
    """

    key: str
    seed: int
    outcome: Outcome
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Cell:
    """What is known at one learning rate of one condition.

    labels, groups: of the condition, by axis
    state:    what most of its networks did; best: the least loss of the condition so far; None: none is known
    seeds:    how many runs are asked for so far, a seed each
    validation_loss, validation_accuracy: means over the known networks that did not break, judged as the
              study judges them; NaN without one
    outcomes: how many of the known runs ended how
    runs:     that are known, in the order of their seeds
    """

    labels: Mapping[str, str]
    groups: Mapping[str, str]
    rate: float
    state: State | None
    seeds: int
    validation_loss: float
    validation_accuracy: float
    outcomes: Mapping[Outcome, int]
    runs: tuple[CellRun, ...]


def cells(asked: Sequence[Asked]) -> tuple[Cell, ...]:
    """The cells of a study, in the order in which its strategy tells of them."""
    best: dict[tuple[tuple[str, str], ...], tuple[float, int]] = {}
    found = []
    for place, one in enumerate(asked):
        found.append(_cell(one))
        if found[-1].state == "fine":
            condition = tuple(one.labels.items())
            # As rates are chosen: by the mean logarithm; a broken network counts as one that guesses.
            loss = float(mean_loss(validation_losses([one.runs], best=one.is_best))[0])
            best[condition] = min(best.get(condition, (math.inf, place)), (loss, place))
    for _, place in best.values():
        found[place] = replace(found[place], state="best")
    return tuple(found)


def _cell(asked: Asked) -> Cell:
    runs = tuple(_run(run, is_best=asked.is_best) for run in asked.runs)
    whole = [run for run in runs if run.outcome == "completed"]
    return Cell(
        labels=asked.labels,
        groups=asked.groups,
        rate=asked.rate,
        state=_state(asked),
        seeds=len(asked.keys),
        validation_loss=_mean([run.validation_loss for run in whole]),
        validation_accuracy=_mean([run.validation_accuracy for run in whole]),
        outcomes=Counter(run.outcome for run in runs),
        runs=runs,
    )


def _run(run: RunResult, *, is_best: bool) -> CellRun:
    is_known = run.outcome == "completed" and bool(run.curve.validation_loss)
    loss = float(validation_losses([[run]], best=is_best)[0, 0]) if is_known else math.nan
    accuracies = run.curve.validation_accuracy if is_known else (math.nan,)
    accuracy = max(accuracies) if is_best else accuracies[-1]
    return CellRun(run.key, run.spec.seed, run.outcome, loss, accuracy)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _state(asked: Asked) -> State | None:
    if not asked.runs:
        return None
    if not most_broke(asked.runs):
        return "fine"
    return how_broken(asked.runs)
