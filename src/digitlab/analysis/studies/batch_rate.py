"""Batch size and learning rate: the best rate at each batch size, the law it follows, and what it gains."""

import math
from collections.abc import Mapping, Sequence

from digitlab.analysis.conditions import About, Condition, Evidence, by_label, spec_of
from digitlab.analysis.findings import Estimate, Finding, StudyFindings, Table, three_figures
from digitlab.analysis.statistics.intervals import geometric_interval
from digitlab.analysis.statistics.scaling_laws import best_law, exponent
from digitlab.analysis.studies.batch_pictures import pictures, tables
from digitlab.analysis.studies.best_rates import BestRates, best_rates
from digitlab.analysis.studies.steps import steps_to_target
from digitlab.analysis.summary import FIXED_RATE, accuracy, gain, is_resolved, percent, study_findings
from digitlab.spec import RunSpec, geometric_steps

Noise = Mapping[int, Sequence[float]]
"""The simple gradient noise scale after so many steps, of each seed."""

_END_SHARE = 0.4
"""Of the batch sizes, those that an exponent at one end is taken over."""


_NOISE_BATCH = 128
"""The noise scale is measured at the batch size nearest to this one."""
_NOISE_POINTS = 6


def find(evidence: Evidence) -> StudyFindings:
    """What the study says. The first budget's findings are its answer."""
    about, conditions = evidence.about, evidence.conditions
    noise = _noise(evidence)
    budgets = [best_rates(name, same) for name, same in by_label(conditions, "budget").items()]
    by_budget = [
        [*_exponents(about, budget), *_law(about, budget), *_fixed_rate(about, budget)] for budget in budgets
    ]
    steps = steps_to_target(about, conditions)
    found = [finding for findings in by_budget for finding in findings]
    return study_findings(
        about,
        conditions,
        answer=[finding.verdict for finding in by_budget[0]],
        findings=[*found, *steps.findings, *_noise_finding(about, noise)],
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
    selection = (
        "The rate that is reported has the smallest mean validation cross-entropy "
        f"({specs[0].validation_size:,} images held out) over the tuning seeds; a rate at which any of them "
        "diverged or collapsed is out. Its accuracy is that of fresh seeds on the test set, which took no "
        "part in any choice."
    )
    interpolation = (
        "Exponents and laws rest on best rates between those of the grid: for each tuning seed the bottom of "
        "a cubic in log2 rate through the losses near it."
    )
    return [
        " ".join(budget_notes),
        *([selection, interpolation] if any(condition.rates for condition in conditions) else []),
    ]


# ---- Findings ----


def _exponents(about: About, budget: BestRates) -> list[Finding]:
    """How the best rate grows with the batch size, among the smallest and the largest batch sizes."""
    if not budget.laws:
        return []
    count = len(budget.inside)
    some = max(2, round(_END_SHARE * count))
    return [
        _exponent(about, budget, "smaller", slice(0, some)),
        _exponent(about, budget, "larger", slice(count - some, count)),
    ]


def _exponent(about: About, budget: BestRates, which: str, part: slice) -> Finding:
    sizes, rates = budget.inner_sizes[part], budget.log2_rates[:, part]
    slope = exponent(sizes, rates)
    span = f"from batch {sizes[0]:,.0f} to {sizes[-1]:,.0f}"
    return Finding(
        title=f"Exponent at the {which} batch sizes, {budget.budget}",
        estimate=slope,
        unit="",
        n=len(rates),
        n_of="tuning seeds",
        method="slope of log best rate over log batch size, mean of seeds; Student's interval",
        verdict=about.say(f"With {budget.budget}, {span}, {_in_words(slope)}"),
    )


def _in_words(slope: Estimate) -> str:
    goes = f"the best rate goes as the batch size to the power {slope}"
    if not slope.has_interval:
        return f"{goes}; one seed gives no interval, so no rule is resolved."
    rules = (("no growth", 0.0), ("the square-root rule", 0.5), ("the linear rule", 1.0))
    fits = [name for name, value in rules if slope.low <= value <= slope.high]
    if not fits:
        return f"{goes}: none of the simple rules holds there."
    if len(fits) == 1:
        return f"{goes}: that agrees with {fits[0]} and with no other of the simple rules."
    return f"{goes}: {' and '.join(fits)} are not resolved from each other."


def _law(about: About, budget: BestRates) -> list[Finding]:
    if not budget.laws:
        return []
    best = budget.laws[0]
    errors = ", ".join(f"{fit.law} {three_figures(2**fit.left_out_error)}" for fit in budget.laws)
    comparison = (
        "better than each other law"
        if best_law(budget.laws)
        else "but that it beats the others is not resolved"
    )
    name, parameter = list(best.parameters.items())[-1]
    return [
        Finding(
            title=f"The law of the best rate, {budget.budget}: {name} of {best.formula}",
            estimate=parameter,
            unit="examples" if name == "B_noise" else "",
            n=len(budget.log2_rates),
            n_of="tuning seeds",
            method="least squares in log rate, interval over seeds; laws compared, seed by seed, by leaving "
            "out one batch size at a time",
            verdict=about.say(
                f"With {budget.budget}, of three laws the {best.law} one ({best.formula}) predicts the best "
                f"rate of a batch size that was left out best, {comparison} (over {len(budget.inside)} batch "
                f"sizes off by a typical factor of: {errors})."
            ),
        )
    ]


def _fixed_rate(about: About, budget: BestRates) -> list[Finding]:
    """What a student sees who changes only the batch size."""
    last = budget.conditions[-1]
    if FIXED_RATE not in last.also or not last.reports:
        return []
    fixed, size = last.also[FIXED_RATE], f"{budget.batch_sizes[-1]:,.0f}"
    first = budget.conditions[0]
    lost = gain(last.reports, fixed)
    return [
        Finding(
            title=f"Accuracy lost by leaving the rate at {FIXED_RATE:g}, {budget.budget}",
            estimate=lost,
            unit="points",
            n=len(last.reports),
            n_of="fresh seeds",
            method=f"paired differences at batch {size}, Student's interval",
            verdict=about.say(
                f"With {budget.budget}, at batch {size} the rate {FIXED_RATE:g} reaches "
                f"{percent(accuracy(fixed).value)}, the best rate {percent(accuracy(last.reports).value)}"
                f"{_beside(first)}: {_conclusion(lost)}"
            ),
        )
    ]


def _conclusion(lost: Estimate) -> str:
    if not is_resolved(lost):
        return "the difference is not resolved."
    if lost.value < 0:
        return "there the tuned rate is worse."
    return "who changes the batch size alone blames it for what the rate does too."


def _beside(first: Condition) -> str:
    """What the smallest batch reaches: larger ones may lose for other reasons than the rate."""
    if not first.reports:
        return ""
    size, reached = spec_of(first).batch_size, percent(accuracy(first.reports).value)
    return f" (and the best rate at batch {size:,} {reached})"


# ---- The gradient noise scale ----


def networks_to_measure(conditions: Sequence[Condition]) -> list[RunSpec]:
    """The runs on whose networks the gradient noise scale is measured."""
    return [spec for specs in _noise_specs(conditions).values() for spec in specs]


def _noise_specs(conditions: Sequence[Condition]) -> dict[int, list[RunSpec]]:
    """The same, by how many steps they take.

    Those of the first budget, at the batch size nearest to 128 and its best rate, stopped on the way.
    """
    first = next(iter(by_label(conditions, "budget").values()))
    tuned = [condition for condition in first if condition.chosen is not None]
    if not tuned:
        return {}
    near = min(tuned, key=lambda condition: abs(condition.tunings[0][0].spec.batch_size - _NOISE_BATCH))
    index = near.rates.index(near.chosen) if near.chosen is not None else 0
    specs = [runs[index].spec for runs in near.tunings]
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


def _noise_finding(about: About, noise: Noise) -> list[Finding]:
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
            n_of="tuning seeds",
            method="trace of the gradients' covariance over the squared gradient, on up to 10,000 of the "
            "images trained on (McCandlish et al. 2018, arXiv 1812.06162, section 2.2); geometric mean",
            verdict=about.say(
                f"The simple gradient noise scale, in examples, is {scale_values}: the gradient of a batch "
                "much smaller than that is mostly noise."
            ),
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
