"""Steps to a target accuracy, by batch size: how far larger batches save steps (Shallue et al. 2018)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import About, Condition, spec_of
from digitlab.analysis.findings import Axis, Estimate, Finding, Line, Lines, Point, Table
from digitlab.analysis.laws import fit_laws
from digitlab.result import RunResult


@dataclass(frozen=True)
class StepsToTarget:
    """What there is to say of steps; empty where no target is set or none is reached."""

    findings: tuple[Finding, ...] = ()
    pictures: tuple[Lines, ...] = ()
    tables: tuple[Table, ...] = ()


def steps_of(run: RunResult, target: float) -> float:
    """Steps until the validation accuracy first reaches the target; infinity if never.

    Between two points of the curve the accuracy is taken to rise linearly in the logarithm of the steps.
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
    """By batch size, the steps of each tuning seed at the rate whose median over seeds is the least.

    Every budget counts, for the way to a target does not depend on how long the run is meant to be. Batch
    sizes at which some seed does not reach the target at that rate are left out.
    """
    found: dict[int, list[Float64[np.ndarray, seed]]] = {}
    for condition in conditions:
        size = spec_of(condition).batch_size
        for at in range(len(condition.rates)):
            steps = np.array([steps_of(runs[at], target) for runs in condition.tunings])
            found.setdefault(size, []).append(steps)
    best = {size: min(rows, key=lambda steps: float(np.median(steps))) for size, rows in found.items()}
    return {size: best[size] for size in sorted(best) if np.isfinite(best[size]).all()}


def steps_to_target(about: About, conditions: Sequence[Condition]) -> StepsToTarget:
    """How many steps and examples a target accuracy takes at each batch size."""
    steps = fewest_steps(conditions, about.target) if about.target else {}
    if len(steps) < 3:
        return StepsToTarget()
    sizes, rows = (
        np.array(list(steps), dtype=np.float64),
        np.array(list(steps.values())),
    )  # [batch], [batch, seed]
    medians = np.median(rows, axis=1)
    # steps = least (1 + critical / B) is the saturating law of 1 / steps.
    fit = next(fit for fit in fit_laws(sizes, -np.log2(rows).T) if fit.law == "saturating")
    critical = list(fit.parameters.values())[-1]
    goal = f"{100 * (about.target or 0):.0f} % validation accuracy"
    return StepsToTarget(
        findings=(_finding(about, goal, critical, sizes, medians, rows.shape[1]),),
        pictures=(_picture(goal, sizes, rows, medians, [1 / value for value in fit.predicted]),),
        tables=(
            Table(
                title=f"Steps to {goal}",
                columns=("batch size", "steps, median", "examples, median", "steps if scaling were perfect"),
                rows=tuple(
                    (int(size), float(median), float(size * median), float(medians[0] * sizes[0] / size))
                    for size, median in zip(sizes, medians, strict=True)
                ),
                note="At the rate that takes the fewest steps, of every budget.",
            ),
        ),
    )


def _finding(
    about: About,
    goal: str,
    critical: Estimate,
    sizes: Float64[np.ndarray, "batch"],
    medians: Float64[np.ndarray, "batch"],
    seeds: int,
) -> Finding:
    saved = medians[0] / medians[-1]
    return Finding(
        title="Critical batch size",
        estimate=critical,
        unit="examples",
        n=seeds,
        n_of="tuning seeds",
        method="steps = least (1 + critical / B) fitted in the logarithm (McCandlish et al. 2018, arXiv "
        "1812.06162, section 2.2); interval over seeds",
        verdict=about.say(
            f"From batch {sizes[0]:,.0f} to {sizes[-1]:,.0f}, {sizes[-1] / sizes[0]:,.0f} times as large, "
            f"the steps "
            f"to {goal} become {saved:.1f} times as few, and the images seen "
            f"{sizes[-1] / sizes[0] / saved:.1f} times as many."
        ),
    )


def _picture(
    goal: str,
    sizes: Float64[np.ndarray, "batch"],
    rows: Float64[np.ndarray, "batch seed"],
    medians: Float64[np.ndarray, "batch"],
    fitted: Sequence[float],
) -> Lines:
    def points(values: Sequence[float]) -> tuple[Point, ...]:
        return tuple(Point(float(size), float(value)) for size, value in zip(sizes, values, strict=True))

    measured = tuple(
        Point(float(size), float(median), float(row.min()), float(row.max()))
        for size, median, row in zip(sizes, medians, rows, strict=True)
    )
    return Lines(
        name="steps",
        title=f"Steps to {goal}",
        caption=(
            f"Median over {rows.shape[1]} seeds at the rate that takes the fewest steps, bars from the least "
            f"to the "
            "largest. Perfect scaling halves the steps when the batch size doubles; the fitted curve is "
            "steps = "
            "least (1 + critical / B)."
        ),
        x=Axis("batch size", "log"),
        y=Axis("steps", "log"),
        lines=(
            Line("measured", measured),
            Line("fitted", points(fitted), "fitted"),
            Line("perfect scaling", points(list(medians[0] * sizes[0] / sizes)), "predicted"),
        ),
    )
