"""Pictures and tables of batch size and learning rate."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from digitlab.analysis.conditions import Condition
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
from digitlab.analysis.summary import FIXED_RATE, accuracy, point
from digitlab.result import RunResult

BATCH, RATE = Axis("batch size", "log"), Axis("learning rate", "log")


def pictures(budgets: Sequence[BestRates]) -> list[Picture]:
    """A map of each budget, then what budgets are compared in, then accuracies of the first."""
    maps = [
        _heat_map(budget) for budget in budgets if any(condition.rates for condition in budget.conditions)
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
    seeds = max(len(condition.tunings) for condition in budget.conditions)
    return HeatMap(
        name=f"map-{budget.budget.replace(' ', '-')}",
        title=f"Validation loss by batch size and learning rate, {budget.budget}",
        caption=(
            f"Mean validation cross-entropy of {seeds} seeds a cell, {budget.budget}. × collapsed, ∞ "
            f"diverged, at one seed or more.{_explanation(lines)}"
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
    outcomes = {runs[at].outcome for runs in condition.tunings}
    if "diverged" in outcomes:
        return math.nan, "diverged"
    if "collapsed" in outcomes:
        return math.nan, "collapsed"
    is_best = condition.rates[at] == condition.chosen
    return float(condition.losses[:, at].mean()), "best" if is_best else "fine"


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
            f"Best rate at each batch size with its 95 % interval over the tuning seeds{fitted}. Both axes "
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
            "d log rate / d log batch size between neighbouring batch sizes, with the 95 % interval over the "
            "tuning seeds. 1 is the linear rule, 1/2 the square-root rule."
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
    def line(name: str, reports: Sequence[Sequence[RunResult]]) -> Line:
        pairs = zip(map(float, budget.batch_sizes), reports, strict=True)
        return Line(name, tuple(point(size, accuracy(runs)) for size, runs in pairs if runs))

    seeds = max(len(condition.reports) for condition in budget.conditions)
    lines = (
        line("best rate", [condition.reports for condition in budget.conditions]),
        line(f"rate {FIXED_RATE:g}", [condition.also.get(FIXED_RATE, ()) for condition in budget.conditions]),
    )
    return Lines(
        name="accuracy",
        title=f"Test accuracy at the best rate and at {FIXED_RATE:g}",
        caption=f"Mean test accuracy of {seeds} fresh seeds with its 95 % interval, {budget.budget}.",
        x=BATCH,
        y=Axis("test accuracy", is_share=True),
        lines=tuple(line for line in lines if line.points),
    )


# ---- Tables ----


def _table(budget: BestRates) -> Table:
    rows = []
    for size, condition, optimum in zip(budget.batch_sizes, budget.conditions, budget.optima, strict=True):
        tested, fixed = accuracy(condition.reports), accuracy(condition.also.get(FIXED_RATE, ()))
        rows.append(
            (
                int(size),
                optimum.rate.value,
                optimum.rate.low,
                optimum.rate.high,
                _where(condition, optimum),
                *edge_of(condition),
                condition.chosen,
                tested.value,
                tested.low,
                tested.high,
                sum(run.outcome != "completed" for run in condition.reports),
                fixed.value,
            )
        )
    return Table(
        title=f"Best rates, {budget.budget}",
        columns=(
            "batch size",
            "best rate",
            "from",
            "to",
            "edge of grid",
            "stable up to",
            "breaks from",
            "rate reported",
            "test accuracy",
            "accuracy from",
            "accuracy to",
            "fresh seeds that broke",
            f"at rate {FIXED_RATE:g}",
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval. The best rate lies between those of the grid; accuracies are "
        "those at the best of the grid. A best rate at the edge of the grid is no optimum; one whose "
        "interval is open lies at the edge for some seed. Neither takes part in exponents and laws.",
    )


def _where(condition: Condition, optimum: Optimum) -> str:
    """What is to be said of the best rate's place."""
    if condition.rates and condition.chosen is None:
        return "every rate broke"
    ends = {"": "", "low": "at the low end", "high": "at the high end"}
    return ends[optimum.edge]


def _laws_table(budget: BestRates) -> Table:
    rows = [
        (fit.law, fit.formula, _parameters(fit.parameters), 2**fit.residual, 2**fit.left_out_error)
        for fit in budget.laws
    ]
    return Table(
        title=f"Laws, {budget.budget}",
        columns=("law", "formula", "parameters", "typical factor off", "the same, left out"),
        rows=tuple(rows),
    )


def _parameters(parameters: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in parameters.items())
