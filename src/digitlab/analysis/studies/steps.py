"""Steps to a target accuracy, by batch size: how far larger batches save steps (Shallue et al. 2018)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import Condition, spec_of
from digitlab.analysis.findings import Axis, Estimate, Finding, Line, Lines, Point, Table, three_figures
from digitlab.analysis.statistics.intervals import mean_interval, transformed
from digitlab.analysis.statistics.jackknife import of_statistic
from digitlab.analysis.statistics.scaling_laws import fit_laws
from digitlab.analysis.summary import point
from digitlab.result import RunResult

_FEWEST_SIZES = 3


@dataclass(frozen=True)
class StepsToTarget:
    """What there is to say of steps; empty where no target is set or too few batch sizes reach it."""

    findings: tuple[Finding, ...] = ()
    pictures: tuple[Lines, ...] = ()
    tables: tuple[Table, ...] = ()


def steps_of(run: RunResult, target: float) -> float:
    """Steps until the validation accuracy first reaches the target; infinity if never.

    Between two points of the curve the accuracy is taken to rise linearly in the logarithm of the steps; a
    target that the first point reaches is taken to be reached there.
    """
    before: tuple[float, float] | None = None
    for step, accuracy in zip(run.curve.step, run.curve.validation_accuracy, strict=False):
        if accuracy >= target:
            if before is None:
                return float(step)
            share = (target - before[1]) / (accuracy - before[1])
            return float(before[0] * (step / before[0]) ** share)
        before = (step, accuracy)
    return math.inf


def fewest_steps(conditions: Sequence[Condition], target: float) -> dict[int, Float64[np.ndarray, "seed"]]:
    """By batch size, pseudo-values of the log2 steps at the learning rate that takes the fewest.

    The fewest on the geometric mean over seeds, chosen anew without each, of the rates that all seeds were
    trained at: those around the best. A rate at which some seed misses
    the target is left out, and so is a batch size of which no other is left. Every budget counts, for the
    way to a target does not depend on how long the run is meant to be.
    """
    found: dict[int, list[Float64[np.ndarray, seed]]] = {}
    for condition in conditions:
        for runs in condition.judged if condition.is_tuned else ():
            steps = np.array([steps_of(run, target) for run in runs])
            if np.isfinite(steps).all():
                found.setdefault(spec_of(condition).batch_size, []).append(np.log2(steps))
    return {size: _of_least(np.stack(found[size], axis=1)) for size in sorted(found)}


def _of_least(logs: Float64[np.ndarray, "seed rate"]) -> Float64[np.ndarray, "seed"]:
    """Pseudo-values of the least mean."""
    return of_statistic(logs, lambda means: float(means.min()))


@dataclass(frozen=True)
class _Ways:
    """The ways to the target: batch sizes, steps with the interval over seeds, [batch] each.

    missing:  batch sizes at which no learning rate led every seed to the target
    critical: batch size at which twice the least steps are needed
    fitted:   steps of the fitted curve, [batch]
    """

    goal: str
    seeds: int
    sizes: tuple[int, ...]
    missing: tuple[int, ...]
    steps: tuple[Estimate, ...]
    critical: Estimate
    fitted: tuple[float, ...]

    @property
    def perfect(self) -> tuple[float, ...]:
        """Steps if twice the batch size took half the steps."""
        return tuple(self.steps[0].value * self.sizes[0] / size for size in self.sizes)


def steps_to_target(target: float | None, conditions: Sequence[Condition]) -> StepsToTarget:
    """How many steps and examples a target accuracy takes at each batch size."""
    found = fewest_steps(conditions, target) if target else {}
    if target is None or len(found) < _FEWEST_SIZES:
        return StepsToTarget()
    sizes = {spec_of(condition).batch_size for condition in conditions if condition.is_tuned}
    ways = _ways(f"{100 * target:g} % validation accuracy", found, tuple(sorted(sizes - found.keys())))
    return StepsToTarget((_finding(ways),), (_picture(ways),), (_table(ways),))


def _ways(goal: str, found: dict[int, Float64[np.ndarray, "seed"]], missing: tuple[int, ...]) -> _Ways:
    logs = np.stack(list(found.values()), axis=1)  # [seed, batch]
    # steps = least (1 + critical / B) is the saturating law of 1 / steps.
    fits = fit_laws(np.array(list(found), dtype=np.float64), -logs)
    fit = next(fit for fit in fits if fit.law == "saturating")
    return _Ways(
        goal=goal,
        seeds=len(logs),
        sizes=tuple(found),
        missing=missing,
        steps=tuple(transformed(mean_interval(log), np.exp2) for log in logs.T),
        critical=fit.parameters["B_noise"],
        fitted=tuple(1 / inverse for inverse in fit.predicted),
    )


def _finding(ways: _Ways) -> Finding:
    larger = ways.sizes[-1] / ways.sizes[0]
    saved = ways.steps[0].value / ways.steps[-1].value
    known = (
        "" if ways.critical.has_interval else "; these batch sizes and seeds do not show it more precisely"
    )
    return Finding(
        title="Critical batch size",
        estimate=ways.critical,
        unit="examples",
        n=ways.seeds,
        n_of="seeds",
        method="steps = least (1 + critical / B) fitted in the logarithm (McCandlish et al. 2018, arXiv "
        "1812.06162, section 2.2); jackknife over seeds",
        verdict=(
            f"From batch {ways.sizes[0]:,} to {ways.sizes[-1]:,}, {larger:g} times as large, "
            f"the steps to {ways.goal} are divided by {three_figures(saved)}, and the images seen "
            f"multiplied by {three_figures(larger / saved)}. By the fitted curve a batch of {ways.critical} "
            f"takes twice the least steps{known}.{_missing(ways)}"
        ),
    )


def _missing(ways: _Ways) -> str:
    if not ways.missing:
        return ""
    sizes = " and ".join(f"{size:,}" for size in ways.missing)
    return f" Batch {sizes} is missing: at no learning rate did every seed reach {ways.goal}."


def _picture(ways: _Ways) -> Lines:
    def points(steps: Sequence[float]) -> tuple[Point, ...]:
        return tuple(Point(float(size), value) for size, value in zip(ways.sizes, steps, strict=True))

    measured = (point(float(size), steps) for size, steps in zip(ways.sizes, ways.steps, strict=True))
    return Lines(
        name="steps",
        title=f"Steps to {ways.goal}",
        caption=(
            f"Geometric mean of {ways.seeds} seeds with its 95 % interval, at the learning rate that takes "
            f"the fewest steps.{_missing(ways)} Perfect scaling halves the steps when the batch size "
            "doubles; the fitted curve is steps = least (1 + critical / B)."
        ),
        x=Axis("batch size", "log"),
        y=Axis("steps", "log"),
        lines=(
            Line("measured", tuple(measured)),
            Line("fitted", points(ways.fitted), "fitted"),
            Line("perfect scaling", points(ways.perfect), "predicted"),
        ),
    )


def _table(ways: _Ways) -> Table:
    return Table(
        title=f"Steps to {ways.goal}",
        columns=("batch size", "steps", "from", "to", "examples", "steps if scaling were perfect"),
        rows=tuple(
            (size, steps.value, steps.low, steps.high, size * steps.value, perfect)
            for size, steps, perfect in zip(ways.sizes, ways.steps, ways.perfect, strict=True)
        ),
        note="Geometric means over seeds with 95 % intervals, at the learning rate, of every budget, that "
        "takes "
        f"the fewest steps.{_missing(ways)}",
    )
