"""Pictures and tables of batch size and learning rate."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from digitlab.analysis.conditions import Condition, how_broken, most_broke, seed_count, validation_losses
from digitlab.analysis.findings import (
    Axis,
    Estimate,
    HeatMap,
    Line,
    Lines,
    Picture,
    Point,
    Square,
    State,
    Table,
)
from digitlab.analysis.statistics.optimum import Optimum
from digitlab.analysis.statistics.scaling_laws import LawFit, local_exponents
from digitlab.analysis.studies.best_rates import BestRates, edge_of
from digitlab.analysis.summary import FIXED_RATE, accuracy, accuracy_of, fewer_at_fixed, point

BATCH, RATE = Axis("batch size", "log"), Axis("learning rate", "log")


def pictures(budgets: Sequence[BestRates]) -> list[Picture]:
    """A map of each budget, then what budgets are compared in, then accuracies of the first."""
    maps = [
        _heat_map(budget) for budget in budgets if any(condition.is_tuned for condition in budget.conditions)
    ]
    return [*maps, _rates_picture(budgets), _exponent_picture(budgets), _accuracy_picture(budgets[0])]


def tables(budgets: Sequence[BestRates]) -> list[Table]:
    """The best rates of each budget, then the laws fitted to them."""
    return [*map(_table, budgets), *(_laws_table(budget) for budget in budgets if budget.laws)]


# ---- Pictures ----


def _heat_map(budget: BestRates) -> HeatMap:
    squares = tuple(
        Square(f"{size:.0f}", rate, *_cell(condition, at))
        for size, condition in zip(budget.batch_sizes, budget.conditions, strict=True)
        for at, rate in enumerate(condition.rates)
    )
    best = [Point(f"{budget.batch_sizes[i]:.0f}", budget.optima[i].rate.value) for i in budget.inside]
    broke = [
        Point(f"{size:.0f}", limit / math.sqrt(2))
        for size, condition in zip(budget.batch_sizes, budget.conditions, strict=True)
        if math.isfinite(limit := edge_of(condition)[1])
    ]
    lines = [Line("best rate", tuple(best), "fitted"), Line("edge of stability", tuple(broke), "predicted")]
    seeds = seed_count(budget.conditions)
    return HeatMap(
        name=f"map-{budget.budget.replace(' ', '-')}",
        title=f"Validation loss by batch size and learning rate, {budget.budget}",
        caption=(
            f"Mean validation cross-entropy of {seeds} seeds near the best learning rate, of fewer "
            f"elsewhere, {budget.budget}. × most networks collapsed, ∞ most diverged.{_explanation(lines)}"
        ),
        x=Axis("batch size", "category"),
        y=RATE,
        value=Axis("validation cross-entropy", "log"),
        squares=squares,
        lines=tuple(line for line in lines if line.points),
    )


def _explanation(lines: Sequence[Line]) -> str:
    best, broke = lines
    explanation = " The line joins best rates, found between the cells." if best.points else ""
    return explanation + (
        " The dashed line runs just below the least rates that broke." if broke.points else ""
    )


def _cell(condition: Condition, at: int) -> tuple[float, State]:
    runs = condition.trials[at]
    if most_broke(runs):
        return math.nan, how_broken(runs)
    intact = [run for run in runs if run.outcome == "completed"]
    is_best = condition.rates[at] == condition.chosen
    losses = validation_losses([intact], best=condition.is_best)
    return float(losses.mean()), "best" if is_best else "fine"


def _rates_picture(budgets: Sequence[BestRates]) -> Lines:
    first = budgets[0]
    lines = [
        Line(
            f"best rate, {budget.budget}",
            tuple(point(float(budget.batch_sizes[i]), budget.optima[i].rate) for i in budget.inside),
        )
        for budget in budgets
    ]
    lines += [_law_line(fit, first) for fit in first.laws]
    fitted = f", and the laws fitted to those with {first.budget}" if first.laws else ""
    return Lines(
        name="law",
        title="The best learning rate against the batch size",
        caption=(
            f"Best learning rate at each batch size with its 95 % interval over seeds{fitted}. Both axes "
            "are logarithmic: a straight line of slope 1 is the linear rule, of 1/2 the square-root rule."
        ),
        x=BATCH,
        y=RATE,
        lines=tuple(line for line in lines if line.points),
    )


def _law_line(fit: LawFit, budget: BestRates) -> Line:
    points = zip(budget.inner_sizes, fit.predicted, strict=True)
    return Line(f"{fit.law} law", tuple(Point(float(size), rate) for size, rate in points), "fitted")


def _exponent_picture(budgets: Sequence[BestRates]) -> Lines:
    ends = [float(size) for size in budgets[0].batch_sizes[[0, -1]]]
    rules = (("linear rule", 1.0), ("square-root rule", 0.5), ("no growth", 0.0))
    return Lines(
        name="exponent",
        title="Local exponent of the best rate",
        caption=(
            "d log rate / d log batch size between neighbouring batch sizes, with the 95 % interval over "
            "seeds. 1 is the linear rule, 1/2 the square-root rule."
        ),
        x=BATCH,
        y=Axis("local exponent"),
        lines=(
            *(_exponent_line(budget) for budget in budgets if len(budget.inside) > 1),
            *(Line(name, tuple(Point(end, value) for end in ends), "reference") for name, value in rules),
        ),
    )


def _exponent_line(budget: BestRates) -> Line:
    sizes = budget.inner_sizes
    middles = np.sqrt(sizes[1:] * sizes[:-1])
    slopes = zip(middles, local_exponents(sizes, budget.log2_rates), strict=True)
    return Line(budget.budget, tuple(point(float(middle), slope) for middle, slope in slopes))


def _accuracy_picture(budget: BestRates) -> Lines:
    sizes = list(zip(map(float, budget.batch_sizes), budget.conditions, strict=True))
    best = [point(size, accuracy(condition)) for size, condition in sizes if condition.reports]
    fixed = [
        point(size, accuracy_of(condition.at(FIXED_RATE)))
        for size, condition in sizes
        if condition.at(FIXED_RATE)
    ]
    lines = (Line("best learning rate", tuple(best)), Line(f"learning rate {FIXED_RATE:g}", tuple(fixed)))
    return Lines(
        name="accuracy",
        title=f"Test accuracy at the best learning rate and at {FIXED_RATE:g}",
        caption=f"Mean test accuracy of {seed_count(budget.conditions)} seeds"
        f"{fewer_at_fixed(budget.conditions)} with its 95 % interval, {budget.budget}.",
        x=BATCH,
        y=Axis("test accuracy", is_share=True),
        lines=tuple(line for line in lines if line.points),
    )


# ---- Tables ----


def _table(budget: BestRates) -> Table:
    rows = []
    for size, condition, optimum in zip(budget.batch_sizes, budget.conditions, budget.optima, strict=True):
        tested = accuracy(condition)
        rows.append(
            (
                int(size),
                optimum.rate.value,
                optimum.rate.low,
                optimum.rate.high,
                _where(condition, optimum),
                *edge_of(condition),
                tested.value,
                tested.low,
                tested.high,
                sum(run.outcome != "completed" for run in condition.reports),
                accuracy_of(condition.at(FIXED_RATE)).value,
            )
        )
    return Table(
        title=f"Best learning rates, {budget.budget}",
        columns=(
            "batch size",
            "best learning rate",
            "from",
            "to",
            "edge of range",
            "stable up to",
            "breaks from",
            "test accuracy",
            "accuracy from",
            "accuracy to",
            "failed runs",
            f"at rate {FIXED_RATE:g}",
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval. A best learning rate at the edge of the range is no optimum and "
        "takes "
        "no part in exponents and laws. Failed runs: at the rate next to the best one.",
    )


def _where(condition: Condition, optimum: Optimum) -> str:
    """What is to be said of the best rate's place."""
    if condition.is_tuned and condition.chosen is None:
        return "every rate broke most networks"
    return {"": "", "low": "at the low end", "high": "at the high end"}[optimum.edge]


def _laws_table(budget: BestRates) -> Table:
    rows = [
        (fit.law, fit.formula, _parameters(fit.parameters), 2**fit.residual, 2**fit.left_out_error)
        for fit in budget.laws
    ]
    return Table(
        title=f"Laws, {budget.budget}",
        columns=("law", "formula", "parameters", "typical error factor", "the same, held-out batch sizes"),
        rows=tuple(rows),
    )


def _parameters(parameters: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in parameters.items())
