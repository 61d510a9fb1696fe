"""Training-set size: how the error falls with the number of training images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import About, Condition, Evidence, by_label, spec_of, test_accuracies
from digitlab.analysis.findings import (
    Axis,
    Estimate,
    Finding,
    Line,
    Lines,
    Picture,
    Point,
    StudyFindings,
    Table,
    three_figures,
)
from digitlab.analysis.statistics.intervals import mean_interval
from digitlab.analysis.statistics.power_law import PowerLaw, fit_power_law, local_slopes, predict_left_out
from digitlab.analysis.summary import (
    FIXED_RATE,
    accuracy,
    gain,
    in_points,
    is_resolved,
    percent,
    point,
    study_findings,
)
from digitlab.result import RunResult

SIZE, ERROR = Axis("training images", "log"), Axis("test error", "log", is_share=True)
_FEWEST_SIZES = 4
"""A law of three parameters is fitted to no fewer."""


@dataclass(frozen=True)
class _Budget:
    """One budget's conditions in order of training-set size.

    sizes:  those that were reported
    errors: of their fresh seeds; each seed draws its own subsets
    law:    None where there are too few sizes, or errors of 0
    """

    name: str
    conditions: tuple[Condition, ...]
    sizes: Float64[np.ndarray, "size"]
    errors: Float64[np.ndarray, "draw size"]
    law: PowerLaw | None

    @property
    def reported(self) -> list[Condition]:
        """Conditions that have reports, [size]."""
        return [condition for condition in self.conditions if condition.reports]


def find(evidence: Evidence) -> StudyFindings:
    """What the study says. The first budget is the primary one."""
    about, conditions = evidence.about, evidence.conditions
    budgets = [_budget(name, same) for name, same in by_label(conditions, "budget").items()]
    primary, *others = budgets
    findings = [
        *_law(about, primary),
        *_held_out(about, primary),
        *(finding for other in others for finding in _under_training(about, other, primary)),
    ]
    pictures: list[Picture] = [_error_picture(budgets), _slope_picture(budgets)]
    if primary.reported:
        pictures.append(_gap_picture(primary))
    return study_findings(
        about,
        conditions,
        answer=[finding.verdict for finding in findings],
        findings=findings,
        pictures=pictures,
        tables=[_table(budget) for budget in budgets],
        methods=_methods(primary),
    )


def _budget(name: str, conditions: Sequence[Condition]) -> _Budget:
    ordered = sorted(conditions, key=lambda condition: spec_of(condition).train_size)
    whole = [condition for condition in ordered if condition.reports]
    sizes = np.array([spec_of(condition).train_size for condition in whole], dtype=np.float64)
    rows = [1 - test_accuracies(condition.reports) for condition in whole]
    errors = np.stack(rows, axis=1) if rows else np.empty((0, 0))  # [draw, size]
    law = fit_power_law(sizes, errors) if len(sizes) >= _FEWEST_SIZES else None
    return _Budget(name, tuple(ordered), sizes, errors, law if law and np.isfinite(law.beta.value) else None)


def _methods(primary: _Budget) -> list[str]:
    first = primary.conditions[0]
    spec = spec_of(first)
    drawn = "Subsets are stratified and nested, and each seed draws its own. "
    if first.is_best:
        drawn += (
            f"With {primary.name}, the network of the best validation loss of its run counts: what the data "
            "can teach. "
        )
    if spec.budget.epochs is not None:
        drawn += f"With {primary.name}, a small set also makes few steps. "
    tuned = (
        "The learning rate is tuned anew for each size on tuning seeds, by validation cross-entropy "
        f"({spec.validation_size:,} images held out). "
        if first.rates
        else ""
    )
    return [drawn.strip(), f"{tuned}Errors are those of fresh seeds on the test set."]


# ---- Findings ----


def _law(about: About, budget: _Budget) -> list[Finding]:
    if budget.law is None:
        return []
    beta = budget.law.beta
    span = f"With {budget.name}, from {budget.sizes[0]:,.0f} to {budget.sizes[-1]:,.0f} images"
    sentence = (
        f"{span} the test error falls as a power of their number, with exponent {beta}; {_floor(budget.law)}."
        f" Ten times the images leave {10**-beta.value:.2f} of the error that data can take away."
        if beta.low > 0
        else f"{span} how the test error falls with their number is not resolved: its exponent is {beta}."
    )
    return [
        Finding(
            title="Exponent of the error",
            estimate=beta,
            unit="",
            n=len(budget.errors),
            n_of="draws",
            method="error = alpha n^-beta + gamma, gamma >= 0 (Hestness et al. 2017, arXiv 1712.00409), "
            "least squares in log error; interval over whole draws",
            verdict=about.say(sentence),
        )
    ]


def _floor(law: PowerLaw) -> str:
    if not law.has_floor:
        return "no floor is resolved: gamma may be 0"
    return f"above a floor of {in_points(law.gamma)} %"


def _held_out(about: About, budget: _Budget) -> list[Finding]:
    predicted, measured = predict_left_out(budget.sizes, budget.errors)
    if not np.isfinite(predicted.value):
        return []
    size = f"{budget.sizes[-1]:,.0f}"
    sentence = (
        f"With {budget.name}, at {size} images the error is {percent(measured, 2)}; the law of the smaller "
        f"sizes predicts {in_points(predicted)} %: {_agreement(predicted, measured)}"
    )
    return [
        Finding(
            title=f"Error at {size} images, predicted from the smaller sizes",
            estimate=in_points(predicted),
            unit="%",
            n=len(budget.errors),
            n_of="draws",
            method="the law fitted without the largest size; interval of prediction less measurement",
            verdict=about.say(sentence),
        )
    ]


def _agreement(predicted: Estimate, measured: float) -> str:
    if not predicted.has_interval:
        return "whether they differ is not resolved."
    if predicted.low <= measured <= predicted.high:
        return "the two agree as far as these draws can tell."
    return "the law does not hold over the whole range."


def _under_training(about: About, budget: _Budget, primary: _Budget) -> list[Finding]:
    """At the smallest size: what another budget at the exercise's rate loses against the primary one."""
    small = budget.conditions[0]
    size = spec_of(small).train_size
    reference = next(
        (condition for condition in primary.reported if spec_of(condition).train_size == size), None
    )
    if FIXED_RATE not in small.also or reference is None:
        return []
    fixed = small.also[FIXED_RATE]
    lost = gain(reference.reports, fixed)
    conclusion = "the difference is not resolved"
    if is_resolved(lost):
        conclusion = "such a curve measures under-training too" if lost.value > 0 else "nothing is lost"
    sentence = (
        f"With {budget.name} at rate {FIXED_RATE:g}, {size:,} images give {percent(accuracy(fixed).value)}; "
        f"with {primary.name} and the rate tuned, {percent(accuracy(reference.reports).value)}: {conclusion}."
    )
    return [
        Finding(
            title=f"Accuracy lost by {budget.name} at rate {FIXED_RATE:g}, {size:,} images",
            estimate=lost,
            unit="points",
            n=len(fixed),
            n_of="draws",
            method="paired differences by draw, Student's interval",
            verdict=about.say(sentence),
        )
    ]


# ---- Pictures and tables ----


def _above_zero(x: float, estimate: Estimate) -> Point:
    """A point whose interval can be drawn on an axis that has no 0."""
    return point(x, estimate) if estimate.low > 0 else Point(x, estimate.value)


def _mean_error(runs: Sequence[RunResult]) -> Estimate:
    return mean_interval(1 - test_accuracies(runs))


def _error_picture(budgets: Sequence[_Budget]) -> Lines:
    primary = budgets[0]
    lines = [line for budget in budgets for line in _error_lines(budget)]
    if primary.law:
        lines += [_fitted(f"{primary.name}, rate tuned, power law", primary.law, primary.sizes)]
        predicted, _ = predict_left_out(primary.sizes, primary.errors)
        lines += [Line("predicted from smaller sizes", (point(primary.sizes[-1], predicted),), "predicted")]
    fitted = f" The curve is fitted to {primary.name}." if primary.law else ""
    return Lines(
        name="error",
        title="Test error against the number of training images",
        caption=(
            f"Mean test error of {len(primary.errors)} draws with its 95 % interval. Both axes are "
            f"logarithmic, so a power law is a straight line until it meets its floor.{fitted}"
        ),
        x=SIZE,
        y=ERROR,
        lines=tuple(line for line in lines if line.points),
    )


def _error_lines(budget: _Budget) -> list[Line]:
    tuned = [(size, condition.reports) for size, condition in zip(budget.sizes, budget.reported, strict=True)]
    fixed = [
        (float(spec_of(condition).train_size), condition.also[FIXED_RATE])
        for condition in budget.conditions
        if FIXED_RATE in condition.also
    ]
    return [
        Line(f"{budget.name}, {name}", tuple(_above_zero(float(x), _mean_error(runs)) for x, runs in shown))
        for name, shown in (("rate tuned", tuned), (f"rate {FIXED_RATE:g}", fixed))
    ]


def _fitted(name: str, law: PowerLaw, sizes: Float64[np.ndarray, "size"]) -> Line:
    sizes_between = np.geomspace(sizes[0], sizes[-1], 40)
    curve = zip(sizes_between, law.predicted(sizes_between), strict=True)
    return Line(name, tuple(Point(float(x), float(y)) for x, y in curve), "fitted")


def _slope_picture(budgets: Sequence[_Budget]) -> Lines:
    lines = [
        Line(
            budget.name,
            tuple(
                point(float(x), slope)
                for x, slope in zip(
                    np.sqrt(budget.sizes[1:] * budget.sizes[:-1]),
                    local_slopes(budget.sizes, budget.errors),
                    strict=True,
                )
            ),
        )
        for budget in budgets
    ]
    return Lines(
        name="slope",
        title="Local slope of the error",
        caption=(
            "-d log error / d log n between neighbouring sizes, rate tuned, with the 95 % interval over "
            "draws. A power law without a floor is a level line."
        ),
        x=SIZE,
        y=Axis("local slope"),
        lines=tuple(line for line in lines if line.points),
    )


def _on_training_images(condition: Condition) -> Estimate:
    return mean_interval([run.metrics.training_set_accuracy for run in condition.reports])


def _gap_picture(budget: _Budget) -> Lines:
    whole = budget.reported
    training = [_on_training_images(condition) for condition in whole]
    test = [accuracy(condition.reports) for condition in whole]
    gaps = [100 * (seen.value - new.value) for seen, new in zip(training, test, strict=True)]
    return Lines(
        name="gap",
        title="Accuracy on training and on test images",
        caption=(
            f"Mean of {len(budget.errors)} draws with its 95 % interval, {budget.name}, rate tuned. The two "
            f"lie {three_figures(gaps[0])} points apart at {budget.sizes[0]:,.0f} images, "
            f"{three_figures(gaps[-1])} at {budget.sizes[-1]:,.0f}."
        ),
        x=SIZE,
        y=Axis("accuracy", is_share=True),
        lines=(
            Line("training images", tuple(map(point, map(float, budget.sizes), training))),
            Line("test images", tuple(map(point, map(float, budget.sizes), test))),
        ),
    )


def _table(budget: _Budget) -> Table:
    rows = []
    for condition in budget.conditions:
        tuned, training = accuracy(condition.reports), _on_training_images(condition)
        fixed = accuracy(condition.also.get(FIXED_RATE, ()))
        rows.append(
            (
                spec_of(condition).train_size,
                condition.chosen,
                tuned.value,
                tuned.low,
                tuned.high,
                training.value,
                fixed.value,
            )
        )
    return Table(
        title=f"Accuracy by training-set size, {budget.name}",
        columns=(
            "images",
            "rate",
            "test accuracy",
            "from",
            "to",
            "training accuracy",
            f"test, rate {FIXED_RATE:g}",
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over draws.",
    )
