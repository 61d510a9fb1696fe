"""Batch size and learning rate: the best rate at each batch size, the law it follows, and what it gains."""

import math
from collections.abc import Mapping, Sequence

from digitlab.analysis.conditions import Condition, Evidence, by_label, spec_of
from digitlab.analysis.findings import Estimate, Finding, Headline, StudyFindings, Table, three_figures
from digitlab.analysis.statistics.compare import is_close
from digitlab.analysis.statistics.intervals import geometric_interval
from digitlab.analysis.statistics.scaling_laws import best_law, exponent
from digitlab.analysis.studies.batch_pictures import pictures, tables
from digitlab.analysis.studies.best_rates import BestRates, best_rates
from digitlab.analysis.studies.steps import steps_to_target
from digitlab.analysis.summary import (
    FIXED_RATE,
    accuracy,
    accuracy_of,
    closeness_in_words,
    is_resolved,
    percent,
    study_findings,
    tuning_gain,
)
from digitlab.spec import RunSpec, geometric_steps

Noise = Mapping[int, Sequence[float]]
"""The simple gradient noise scale after so many steps, of each seed."""

_END_SHARE = 0.4
"""Of the batch sizes, those that an exponent at one end is taken over."""


_NOISE_BATCH = 128
"""The noise scale is measured at the batch size nearest to this one."""
_NOISE_POINTS = 6
_NOISE_SEEDS = 3
"""On so many of the seeds: their networks are trained again for it."""


def find(evidence: Evidence) -> StudyFindings:
    """What the study says. The first budget's findings are its answer."""
    about, conditions = evidence.about, evidence.conditions
    noise = _noise(evidence)
    budgets = [best_rates(name, same) for name, same in by_label(conditions, "budget").items()]
    by_budget = [[*_exponents(budget), *_law(budget), *_fixed_rate(budget)] for budget in budgets]
    steps = steps_to_target(about.target, conditions)
    found = [finding for findings in by_budget for finding in findings]
    return study_findings(
        about,
        conditions,
        answer=[finding.verdict for finding in by_budget[0]],
        headline=_headline(budgets[0]),
        findings=[*found, *steps.findings, *_noise_finding(noise)],
        pictures=[*pictures(budgets), *steps.pictures],
        tables=[*tables(budgets), *steps.tables, *_noise_table(noise)],
        methods=_methods(conditions),
    )


def _methods(conditions: Sequence[Condition]) -> list[str]:
    specs = [spec_of(condition) for condition in conditions]
    budget_notes = []
    if any(spec.budget.epochs is not None for spec in specs):
        budget_notes.append(
            "With equal epochs every batch size sees the same images equally often, and a larger batch makes "
            "fewer steps."
        )
    if any(spec.budget.steps is not None for spec in specs):
        budget_notes.append(
            "With equal steps every batch size makes the same number of steps, and a larger batch sees more "
            "images."
        )
    choice = (
        "The best learning rate of a batch size lies at the bottom of a parabola in log rate through the "
        f"mean validation cross-entropy ({specs[0].validation_size:,} images held out) near it; the test "
        "accuracy is read off there. A network that breaks counts as a guess. Intervals come from the "
        "jackknife over seeds, the choice of the learning rate made anew without each."
    )
    return [
        " ".join(budget_notes),
        *([choice] if any(condition.is_tuned for condition in conditions) else []),
    ]


# ---- Findings ----


def _exponents(budget: BestRates) -> list[Finding]:
    """How the best rate grows with the batch size, among the smallest and the largest batch sizes."""
    if not budget.laws:
        return []
    count = len(budget.inside)
    some = max(2, round(_END_SHARE * count))
    return [
        _exponent(budget, "smaller", slice(0, some)),
        _exponent(budget, "larger", slice(count - some, count)),
    ]


def _exponent(budget: BestRates, which: str, part: slice) -> Finding:
    sizes, rates = budget.inner_sizes[part], budget.log2_rates[:, part]
    slope = exponent(sizes, rates)
    span = f"from batch {sizes[0]:,.0f} to {sizes[-1]:,.0f}"
    return Finding(
        title=f"Exponent at the {which} batch sizes, {budget.budget}",
        estimate=slope,
        unit="",
        n=len(rates),
        n_of="seeds",
        method="slope of log best learning rate over log batch size; jackknife over seeds",
        verdict=f"With {budget.budget}, {span}, {_in_words(slope)}",
    )


def _headline(budget: BestRates) -> Headline | None:
    """How the best rate changes from the smallest batch on, and among the largest."""
    if not budget.laws:
        return None
    small, large = (finding.estimate for finding in _exponents(budget))
    sizes, rates = budget.inner_sizes, [budget.optima[i].rate.value for i in budget.inside]
    grows = (
        f"The larger the batch, the larger the best learning rate: {rates[0]:.2g} at batch {sizes[0]:,.0f}"
    )
    sentence = (
        f"{grows}, {max(rates):.2g} at batch {sizes[rates.index(max(rates))]:,.0f}."
        if small.low > 0
        else "These seeds do not show that the best learning rate grows with the batch size."
    )
    if small.low > 0 and not large.low > 0:
        sentence = f"{sentence.removesuffix('.')}; beyond, it does not clearly grow."
    return Headline(
        sentence,
        f"at small batches it grows as the batch size to the power {small.value:.2f}, 95 % interval "
        f"{small.low:.2f} to {small.high:.2f}; {len(budget.log2_rates)} seeds, {budget.budget}",
        "law",
    )


def _in_words(slope: Estimate) -> str:
    how = "grows" if slope.low > 0 else "falls" if slope.high < 0 else "changes"
    grows = f"the best learning rate {how} as the batch size to the power {slope}"
    if not slope.has_interval:
        return f"{grows}; one seed gives no interval, so no rule is excluded."
    rules = (("no growth", 0.0), ("the square-root rule", 0.5), ("the linear rule", 1.0))
    fits = [name for name, value in rules if slope.low <= value <= slope.high]
    out = [name for name, value in rules if not slope.low <= value <= slope.high]
    close = [name for name, value in rules if is_close(slope, value)]
    may = f" This is close: a repeat of the study may also agree with {' and '.join(close)}." if close else ""
    if not fits:
        return f"{grows}: none of the simple rules holds there.{may}"
    if not out:
        return f"{grows}: no simple rule is excluded."
    return f"{grows}. This agrees with {' and '.join(fits)}; {' and '.join(out)} {_is(out)} excluded.{may}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _law(budget: BestRates) -> list[Finding]:
    if not budget.laws:
        return []
    best = budget.laws[0]
    errors = ", ".join(f"{fit.law} {three_figures(2**fit.left_out_error)}" for fit in budget.laws)
    comparison = "clearly better than the others" if best_law(budget.laws) else "but not clearly"
    name, parameter = list(best.parameters.items())[-1]
    return [
        Finding(
            title=f"The law of the best learning rate, {budget.budget}: {name} of {best.formula}",
            estimate=parameter,
            unit="examples" if name == "B_noise" else "",
            n=len(budget.log2_rates),
            n_of="seeds",
            method="least squares in log rate, interval over seeds; laws compared, seed by seed, by leaving "
            "out one batch size at a time",
            verdict=(
                f"With {budget.budget}, of three laws the {best.law} one ({best.formula}) predicts held-out "
                f"batch sizes most accurately, {comparison} (typical error factor over {len(budget.inside)} "
                f"batch sizes: {errors})."
            ),
        )
    ]


def _fixed_rate(budget: BestRates) -> list[Finding]:
    """What a student sees who changes only the batch size."""
    last = budget.conditions[-1]
    fixed = last.at(FIXED_RATE)
    if not fixed or not last.reports or not last.is_tuned:
        return []
    size = f"{budget.batch_sizes[-1]:,.0f}"
    lost = tuning_gain(last, fixed)
    return [
        Finding(
            title=f"Accuracy lost by leaving the learning rate at {FIXED_RATE:g}, {budget.budget}",
            estimate=lost,
            unit="points",
            n=len(fixed),
            n_of="seeds",
            method=f"differences at batch {size}, seed by seed; the choice of the learning rate included",
            verdict=(
                f"With {budget.budget}, at batch {size} the learning rate {FIXED_RATE:g} reaches "
                f"{percent(accuracy_of(fixed).value)}, the best one {percent(accuracy(last).value)}"
                f"{_beside(budget.conditions[0])}: {_conclusion(lost)}{closeness_in_words(lost)}"
            ),
        )
    ]


def _conclusion(lost: Estimate) -> str:
    if not is_resolved(lost):
        return "no clear difference."
    if lost.value < 0:
        return "there the tuned learning rate is worse."
    return "if you change only the batch size, part of the effect comes from the learning rate."


def _beside(first: Condition) -> str:
    """What the smallest batch reaches: larger ones may lose for other reasons than the rate."""
    if not first.reports:
        return ""
    size, tested = spec_of(first).batch_size, percent(accuracy(first).value)
    return f" (and the best one at batch {size:,} {tested})"


# ---- The gradient noise scale ----


def networks_to_measure(conditions: Sequence[Condition]) -> list[RunSpec]:
    """The runs on whose networks the gradient noise scale is measured."""
    return [spec for specs in _noise_specs(conditions).values() for spec in specs]


def _noise_specs(conditions: Sequence[Condition]) -> dict[int, list[RunSpec]]:
    """The same, by how many steps they take.

    Those of the first budget, at the batch size nearest to 128 and its best rate, stopped on the way.
    """
    first = next(iter(by_label(conditions, "budget").values()))
    tuned = [condition for condition in first if condition.is_tuned and condition.chosen is not None]
    if not tuned:
        return {}
    nearest = min(tuned, key=lambda condition: abs(spec_of(condition).batch_size - _NOISE_BATCH))
    specs = [run.spec for run in nearest.judged[nearest.near.index(nearest.chosen or 0.0)][:_NOISE_SEEDS]]
    steps = geometric_steps(specs[0].step_count, _NOISE_POINTS)
    return {step: [spec.until(step) for spec in specs] for step in steps}


def _noise(evidence: Evidence) -> Noise:
    """What was measured, of each seed, where it was measured."""
    if not evidence.measurements:
        return {}
    found = {
        step: [
            evidence.measurements[spec.key]["noise_scale"]
            for spec in specs
            if spec.key in evidence.measurements
        ]
        for step, specs in _noise_specs(evidence.conditions).items()
    }
    return {step: values for step, values in found.items() if values}


def _positive(noise: Noise) -> Noise:
    """In order of steps, those at which every seed's gradient could be seen."""
    return {step: noise[step] for step in sorted(noise) if all(0 < value < math.inf for value in noise[step])}


def _noise_finding(noise: Noise) -> list[Finding]:
    whole = _positive(noise)
    if not whole:
        return []
    scales = {step: geometric_interval(values) for step, values in whole.items()}
    last = max(scales)
    ends = sorted({min(scales), last})
    scale_values = ", ".join(
        f"{three_figures(scales[step].value)} after {step:,} {'step' if step == 1 else 'steps'}"
        for step in ends
    )
    return [
        Finding(
            title="Simple gradient noise scale",
            estimate=scales[last],
            unit="examples",
            n=len(noise[last]),
            n_of="seeds",
            method="trace of the gradients' covariance over the squared gradient, on up to 10,000 of the "
            "images trained on (McCandlish et al. 2018, arXiv 1812.06162, section 2.2); geometric mean",
            verdict=f"The simple gradient noise scale, in examples, is {scale_values}: the gradient of a "
            "batch much smaller than that is mostly noise.",
        )
    ]


def _noise_table(noise: Noise) -> list[Table]:
    scales = [(step, geometric_interval(values), len(values)) for step, values in _positive(noise).items()]
    if not scales:
        return []
    return [
        Table(
            title="Simple gradient noise scale",
            columns=("after steps", "examples", "from", "to", "seeds"),
            rows=tuple((step, scale.value, scale.low, scale.high, seeds) for step, scale, seeds in scales),
        )
    ]
