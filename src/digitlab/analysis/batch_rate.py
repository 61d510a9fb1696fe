"""Batch size and learning rate: the best rate at each batch size, the law it follows, and where training "
"breaks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import (
    About,
    Condition,
    by_label,
    run_count,
    seeds_in_words,
    spec_of,
    test_accuracies,
)
from digitlab.analysis.findings import (
    Axis,
    Estimate,
    Finding,
    HeatMap,
    Line,
    Lines,
    Picture,
    Point,
    Square,
    State,
    StudyFindings,
    Table,
)
from digitlab.analysis.intervals import mean_interval, paired_interval
from digitlab.analysis.laws import LawFit, best_law, exponent, fit_laws, local_exponents
from digitlab.analysis.optimum import Optimum, find_optimum, stability_edge
from digitlab.analysis.steps import steps_to_target

Noise = Mapping[int, Sequence[float]]
"""The simple gradient noise scale after so many steps, of each seed."""

BATCH, RATE = Axis("batch size", "log"), Axis("learning rate", "log")
_FIXED = 0.01
"""The exercise's rate."""
_METHOD_OPTIMUM = (
    "vertex of a quadratic in log2 rate through the losses near each tuning seed's minimum, broken networks "
    "left "
    "out; Student's interval over those seeds"
)


@dataclass(frozen=True)
class _Budget:
    """One budget's conditions in order of batch size, and what follows from them."""

    name: str
    conditions: tuple[Condition, ...]
    batch_sizes: Float64[np.ndarray, "batch"]
    optima: tuple[Optimum, ...]

    @property
    def inside(self) -> list[int]:
        """Places of the batch sizes whose best rate lies inside the grid for every seed."""
        return [i for i, one in enumerate(self.optima) if not one.edge and np.isfinite(one.seed_optima).all()]

    @property
    def log2_rates(self) -> Float64[np.ndarray, "seed batch"]:
        """Best rates inside the grid."""
        return np.array([self.optima[i].seed_optima for i in self.inside]).T

    @property
    def inner_sizes(self) -> Float64[np.ndarray, "batch"]:
        """Their batch sizes."""
        return self.batch_sizes[self.inside]


def find(about: About, conditions: Sequence[Condition], noise: Noise | None = None) -> StudyFindings:
    """What the study says.

    noise: the gradient noise scale, where it was measured
    """
    budgets = [_budget(name, same) for name, same in by_label(conditions, "budget").items()]
    findings: list[Finding] = []
    pictures: list[Picture] = []
    tables: list[Table] = []
    for budget in budgets:
        findings += [*_exponents(about, budget), *_law(about, budget), *_fixed_rate(about, budget)]
        pictures.append(_heat_map(budget))
        tables.append(_table(budget))
    steps = steps_to_target(about, conditions)
    findings += [*steps.findings, *_noise_finding(about, noise or {})]
    pictures += [
        _rates_picture(budgets),
        _exponent_picture(budgets),
        _accuracy_picture(budgets[0]),
        *steps.pictures,
    ]
    tables += [_laws_table(budget) for budget in budgets if len(budget.inside) > 2]
    tables += [*steps.tables, *_noise_table(noise or {})]
    return StudyFindings(
        name=about.name,
        title=about.title,
        question=about.question,
        scale=about.scale,
        answer=tuple(finding.verdict for finding in findings if finding.title.startswith(_ANSWERS)),
        findings=tuple(findings),
        pictures=tuple(pictures),
        tables=tuple(tables),
        methods=(
            "Two budgets answer two questions. Equal epochs: every batch size sees the same images equally "
            "often, "
            "and a larger batch makes fewer steps. Equal steps: each makes the same number of steps, and a "
            "larger "
            "batch sees more images.",
            "The best rate is the one of the smallest mean validation cross-entropy (10,000 images held out) "
            "over "
            "the tuning seeds; a rate at which any of them diverged or collapsed is out. Its accuracy is "
            "that of "
            "fresh seeds on the test set, which took no part in any choice.",
            *about.notes,
        ),
        run_count=run_count(conditions),
        seeds=seeds_in_words(conditions),
    )


def _budget(name: str, conditions: Sequence[Condition]) -> _Budget:
    ordered = sorted(conditions, key=lambda one: spec_of(one).batch_size)
    return _Budget(
        name,
        tuple(ordered),
        np.array([spec_of(one).batch_size for one in ordered], dtype=np.float64),
        tuple(find_optimum(np.array(one.rates), one.losses) for one in ordered),
    )


# ---- Findings ----

_SMALL, _LARGE = "Exponent at the smaller batch sizes", "Exponent at the larger batch sizes"
_LAW, _LEFT = "The law of the best rate", "Accuracy lost by leaving the rate at 0.01"
_ANSWERS = tuple(f"{title}, equal epochs" for title in (_SMALL, _LARGE, _LAW, _LEFT))


def _exponents(about: About, budget: _Budget) -> list[Finding]:
    """How the best rate grows with the batch size, among the smallest and the largest two fifths of them."""
    sizes, rates = budget.inner_sizes, budget.log2_rates
    if len(sizes) < 4:
        return []
    some = max(2, round(0.4 * len(sizes)))
    found = []
    for title, part in ((_SMALL, slice(0, some)), (_LARGE, slice(-some, None))):
        slope = exponent(sizes[part], rates[:, part])
        span = f"from batch {sizes[part][0]:.0f} to {sizes[part][-1]:.0f}"
        found.append(
            Finding(
                title=f"{title}, {budget.name}",
                estimate=slope,
                unit="",
                n=len(rates),
                n_of="tuning seeds",
                method="slope of log best rate over log batch size, mean of seeds; Student's interval",
                verdict=about.say(f"With {budget.name}, {span}, {_in_words(slope)}"),
            )
        )
    return found


def _in_words(slope: Estimate) -> str:
    grows = f"the best rate grows as the batch size to the power {slope}"
    if not slope.has_interval:
        return f"{grows}; one seed gives no interval."
    fits = [
        name
        for name, value in (("no growth", 0.0), ("the square-root rule", 0.5), ("the linear rule", 1.0))
        if slope.low <= value <= slope.high
    ]
    if not fits:
        return f"{grows}: neither the linear nor the square-root rule holds there."
    if len(fits) == 1:
        return f"{grows}: that agrees with {fits[0]} and with no other of the simple rules."
    return f"{grows}: too wide to tell between {' and '.join(fits)}."


def _law(about: About, budget: _Budget) -> list[Finding]:
    if len(budget.inside) < 4:
        return []
    fits = fit_laws(budget.inner_sizes, budget.log2_rates)
    best, resolved = fits[0], best_law(fits)
    errors = ", ".join(f"{fit.law} {2**fit.left_out_error:.2f}" for fit in fits)
    told = "better than any other, seed by seed" if resolved else "though the others cannot be ruled out"
    sentence = (
        f"With {budget.name}, the {best.law} law ({best.formula}) predicts the best rate of a batch size "
        f"that was "
        f"left out best, {told} (off by a typical factor of: {errors})."
    )
    name, parameter = list(best.parameters.items())[-1]
    return [
        Finding(
            title=f"{_LAW}, {budget.name}: {name} of {best.formula}",
            estimate=parameter,
            unit="examples" if name == "B_noise" else "",
            n=len(budget.inside),
            n_of="batch sizes",
            method="least squares in log rate; laws compared by leaving out one batch size at a time",
            verdict=about.say(sentence),
        )
    ]


def _fixed_rate(about: About, budget: _Budget) -> list[Finding]:
    """What a student sees who changes only the batch size."""
    last = budget.conditions[-1]
    if _FIXED not in last.also or not last.reports:
        return []
    best, fixed = test_accuracies(last.reports), test_accuracies(last.also[_FIXED])
    lost, size = paired_interval(best, fixed), f"{budget.batch_sizes[-1]:,.0f}"
    sentence = (
        f"With {budget.name}, at batch {size} the rate 0.01 reaches {_percent(fixed.mean())}, the best rate "
        f"{_percent(best.mean())}: "
        + (
            "who changes the batch size alone blames it for what the rate does."
            if lost.low > 0
            else f"these {len(best)} seeds scatter too much to resolve the difference."
        )
    )
    return [
        Finding(
            title=f"{_LEFT}, {budget.name}",
            estimate=Estimate(100 * lost.value, 100 * lost.low, 100 * lost.high),
            unit="points",
            n=len(last.reports),
            n_of="fresh seeds",
            method=f"paired differences at batch {size}, Student's interval",
            verdict=about.say(sentence),
        )
    ]


def _noise_finding(about: About, noise: Noise) -> list[Finding]:
    if not noise:
        return []
    last = max(noise)
    scale = mean_interval(list(noise[last]))
    early = mean_interval(list(noise[min(noise)]))
    return [
        Finding(
            title="Simple gradient noise scale",
            estimate=scale,
            unit="examples",
            n=len(noise[last]),
            n_of="tuning seeds",
            method="trace of the gradients' covariance over the squared gradient, on 10,000 training images "
            "(McCandlish et al. 2018, arXiv 1812.06162, appendix A)",
            verdict=about.say(
                f"The simple gradient noise scale rises from {early.value:,.0f} examples after "
                f"{min(noise):,} "
                f"steps to {scale.value:,.0f} after {last:,}: batches much smaller than that are mostly "
                f"noise."
            ),
        )
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


# ---- Pictures and tables ----


def _heat_map(budget: _Budget) -> HeatMap:
    rates = sorted({rate for one in budget.conditions for rate in one.rates})
    squares = [
        Square(f"{size:.0f}", rate, *_cell(one, rate))
        for size, one in zip(budget.batch_sizes, budget.conditions, strict=True)
        for rate in one.rates
    ]
    ridge = [Point(f"{budget.batch_sizes[i]:.0f}", budget.optima[i].rate.value) for i in budget.inside]
    edges = [stability_edge(np.array(one.rates), one.broken)[1] for one in budget.conditions]
    edge = [
        Point(f"{size:.0f}", limit / math.sqrt(2))
        for size, limit in zip(budget.batch_sizes, edges, strict=True)
        if math.isfinite(limit)
    ]
    lines = [Line("best rate", tuple(ridge), "fitted"), Line("edge of stability", tuple(edge), "predicted")]
    return HeatMap(
        name=f"map-{budget.name.replace(' ', '-')}",
        title=f"Validation loss by batch size and learning rate, {budget.name}",
        caption=(
            f"Mean validation cross-entropy of {len(budget.conditions[0].tunings)} seeds a cell, "
            f"{budget.name}; "
            f"{len(rates)} rates. × collapsed, ∞ diverged, at one seed or more. Above the dashed line "
            f"training "
            "broke; the ridge of best rates rises with the batch size until it meets that edge."
        ),
        x=Axis("batch size", "category"),
        y=RATE,
        value=Axis("validation cross-entropy", "log"),
        squares=tuple(squares),
        lines=tuple(line for line in lines if line.points),
    )


def _cell(one: Condition, rate: float) -> tuple[float, State]:
    runs = [run for runs, at in ((runs, one.rates.index(rate)) for runs in one.tunings) for run in [runs[at]]]
    outcomes = {run.outcome for run in runs}
    if "diverged" in outcomes:
        return math.nan, "diverged"
    if "collapsed" in outcomes:
        return math.nan, "collapsed"
    loss = float(one.losses[:, one.rates.index(rate)].mean())
    return loss, "best" if rate == one.chosen else "fine"


def _rates_picture(budgets: Sequence[_Budget]) -> Lines:
    lines = []
    for budget in budgets:
        points = [
            Point(float(budget.batch_sizes[i]), one.rate.value, *_finite(one.rate))
            for i, one in enumerate(budget.optima)
            if i in budget.inside
        ]
        lines.append(Line(f"best rate, {budget.name}", tuple(points)))
    first = budgets[0]
    if len(first.inside) > 3:
        fits = fit_laws(first.inner_sizes, first.log2_rates)
        lines += [_law_line(fit, first) for fit in fits]
    return Lines(
        name="law",
        title="The best learning rate against the batch size",
        caption=(
            "Best rate at each batch size with its 95 % interval over the tuning seeds, and the three laws "
            "fitted to "
            f"those with {first.name}. Both axes are logarithmic: a straight line of slope 1 is the linear "
            f"rule, of "
            "slope 1/2 the square-root rule."
        ),
        x=BATCH,
        y=RATE,
        lines=tuple(line for line in lines if line.points),
    )


def _law_line(fit: LawFit, budget: _Budget) -> Line:
    points = zip(budget.inner_sizes, fit.predicted, strict=True)
    return Line(f"{fit.law} law", tuple(Point(float(size), rate) for size, rate in points), "fitted")


def _finite(estimate: Estimate) -> tuple[float, float]:
    inside = estimate.has_interval and estimate.low > 0
    return (estimate.low, estimate.high) if inside else (math.nan, math.nan)


def _exponent_picture(budgets: Sequence[_Budget]) -> Lines:
    lines = []
    for budget in budgets:
        if len(budget.inside) < 2:
            continue
        sizes = budget.inner_sizes
        middles = np.sqrt(sizes[1:] * sizes[:-1])
        found = local_exponents(sizes, budget.log2_rates)
        points = [
            Point(float(at), slope.value, slope.low, slope.high)
            for at, slope in zip(middles, found, strict=True)
        ]
        lines.append(Line(budget.name, tuple(points)))
    ends = [float(size) for size in budgets[0].batch_sizes[[0, -1]]]
    for name, value in (("linear rule", 1.0), ("square-root rule", 0.5), ("no growth", 0.0)):
        lines.append(Line(name, tuple(Point(end, value) for end in ends), "reference"))
    return Lines(
        name="exponent",
        title="Local exponent of the best rate",
        caption=(
            "d log rate / d log batch size between neighbouring batch sizes, with the 95 % interval over the "
            "tuning "
            "seeds. 1 is the linear rule, 1/2 the square-root rule."
        ),
        x=BATCH,
        y=Axis("local exponent"),
        lines=tuple(lines),
    )


def _accuracy_picture(budget: _Budget) -> Lines:
    def line(name: str, chosen: Sequence[tuple[float, Sequence[float]]]) -> Line:
        points = []
        for size, values in chosen:
            at = mean_interval(list(values))
            points.append(Point(size, at.value, at.low, at.high))
        return Line(name, tuple(points))

    pairs = list(zip(map(float, budget.batch_sizes), budget.conditions, strict=True))
    best = [(size, list(test_accuracies(one.reports))) for size, one in pairs if one.reports]
    fixed = [(size, list(test_accuracies(one.also[_FIXED]))) for size, one in pairs if _FIXED in one.also]
    return Lines(
        name="accuracy",
        title="Test accuracy at the best rate and at 0.01",
        caption=(
            f"Mean test accuracy of {len(budget.conditions[0].reports)} fresh seeds with its 95 % interval, "
            f"{budget.name}. With the rate left at 0.01 a larger batch looks worse than it is."
        ),
        x=BATCH,
        y=Axis("test accuracy", is_share=True),
        lines=tuple(line for line in (line("best rate", best), line("rate 0.01", fixed)) if line.points),
    )


def _table(budget: _Budget) -> Table:
    rows = []
    for size, one, optimum in zip(budget.batch_sizes, budget.conditions, budget.optima, strict=True):
        stable, broke = stability_edge(np.array(one.rates), one.broken)
        best = mean_interval(list(test_accuracies(one.reports)))
        fixed = mean_interval(list(test_accuracies(one.also.get(_FIXED, ()))))
        rows.append(
            (
                int(size),
                optimum.rate.value,
                optimum.rate.low,
                optimum.rate.high,
                {"": "", "low": "at the low end", "high": "at the high end"}[optimum.edge],
                stable,
                broke,
                best.value,
                sum(run.outcome != "completed" for run in one.reports),
                fixed.value,
            )
        )
    return Table(
        title=f"Best rates, {budget.name}",
        columns=(
            "batch size",
            "best rate",
            "from",
            "to",
            "edge of grid",
            "stable up to",
            "breaks from",
            "test accuracy",
            "fresh seeds that broke",
            "at rate 0.01",
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval. A best rate at the edge of the grid is no optimum.",
    )


def _laws_table(budget: _Budget) -> Table:
    rows = [
        (
            fit.law,
            fit.formula,
            ", ".join(f"{name} = {value}" for name, value in fit.parameters.items()),
            2**fit.residual,
            2**fit.left_out_error,
        )
        for fit in fit_laws(budget.inner_sizes, budget.log2_rates)
    ]
    return Table(
        title=f"Laws, {budget.name}",
        columns=("law", "formula", "parameters", "typical factor off", "the same, left out"),
        rows=tuple(rows),
    )


def _noise_table(noise: Noise) -> list[Table]:
    if not noise:
        return []
    rows = []
    for step in sorted(noise):
        at = mean_interval(list(noise[step]))
        rows.append((step, at.value, at.low, at.high, len(noise[step])))
    return [
        Table("Simple gradient noise scale", ("after steps", "examples", "from", "to", "seeds"), tuple(rows))
    ]
