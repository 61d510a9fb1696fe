"""Training-set size: how the error falls with the number of training images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from digitlab.analysis.conditions import (
    Condition,
    Evidence,
    by_label,
    spec_of,
    test_accuracy,
    training_set_accuracy,
)
from digitlab.analysis.findings import (
    Axis,
    Estimate,
    Finding,
    Headline,
    Line,
    Lines,
    Picture,
    Point,
    StudyFindings,
    Table,
    three_figures,
)
from digitlab.analysis.reached import best_rate, estimate, estimate_of, reached
from digitlab.analysis.statistics.compare import is_close
from digitlab.analysis.statistics.intervals import LOG
from digitlab.analysis.statistics.power_law import PowerLaw, fit_power_law, local_slopes, predict_left_out
from digitlab.analysis.summary import (
    FIXED_RATE,
    accuracy,
    accuracy_of,
    closeness_in_words,
    fewer_at_fixed,
    in_points,
    is_resolved,
    percent,
    point,
    study_findings,
    tuning_gain,
)
from digitlab.result import RunResult

SIZE, ERROR = Axis("training images", "log"), Axis("test error", "log", is_share=True)
_FEWEST_SIZES = 4
"""A law of three parameters is fitted to no fewer."""
_LEAST_ERROR = 1e-9
"""Less than one image of any test set: networks without an error follow no law."""


@dataclass(frozen=True)
class _Budget:
    """One budget's conditions in order of training-set size.

    sizes:      those that were reported
    log_errors: at the best learning rate of each size; each seed draws its own subsets
    law:        None where there are too few sizes
    """

    name: str
    conditions: tuple[Condition, ...]
    sizes: Float64[np.ndarray, "size"]
    log_errors: Float64[np.ndarray, "draw size"]
    law: PowerLaw | None

    @property
    def reported(self) -> list[Condition]:
        """Conditions with a learning rate at which most networks learn, [size]."""
        return [condition for condition in self.conditions if condition.reports]


def find(evidence: Evidence) -> StudyFindings:
    """What the study says. The first budget is the primary one."""
    about, conditions = evidence.about, evidence.conditions
    budgets = [_budget(name, same) for name, same in by_label(conditions, "budget").items()]
    primary, *others = budgets
    findings = [
        *_law(primary),
        *_held_out(primary),
        *(finding for other in others for finding in _under_training(other, primary)),
    ]
    pictures: list[Picture] = [_error_picture(budgets), _slope_picture(budgets)]
    if primary.reported:
        pictures.append(_gap_picture(primary))
    return study_findings(
        about,
        conditions,
        answer=[finding.verdict for finding in findings],
        headline=_headline(primary),
        findings=findings,
        pictures=pictures,
        tables=[_table(budget) for budget in budgets],
        methods=_methods(primary),
    )


def _error(run: RunResult) -> float:
    return 1 - test_accuracy(run)


def _budget(name: str, conditions: Sequence[Condition]) -> _Budget:
    ordered = sorted(conditions, key=lambda condition: spec_of(condition).train_size)
    whole = [condition for condition in ordered if condition.reports]
    sizes = np.array([spec_of(condition).train_size for condition in whole], dtype=np.float64)
    rows = [reached(condition, _error, LOG) for condition in whole]
    log_errors = np.stack(rows, axis=1) if rows else np.empty((0, 0))  # [draw, size]
    is_enough = len(sizes) >= _FEWEST_SIZES and (log_errors.mean(axis=0) > math.log(_LEAST_ERROR)).all()
    law = fit_power_law(sizes, log_errors) if is_enough else None
    return _Budget(
        name, tuple(ordered), sizes, log_errors, law if law and np.isfinite(law.beta.value) else None
    )


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
        "The learning rate is tuned anew for each size, by validation cross-entropy "
        f"({spec.validation_size:,} images held out): the best one lies at the bottom of a parabola through "
        "the mean loss, and the error is read off there. The intervals hold this choice (jackknife over "
        "draws, the choice made anew without each). "
        if first.is_tuned
        else ""
    )
    return [drawn.strip(), f"{tuned}Errors are those on the test set."]


# ---- Findings ----


def _law(budget: _Budget) -> list[Finding]:
    if budget.law is None:
        return []
    beta = budget.law.beta
    span = f"With {budget.name}, from {budget.sizes[0]:,.0f} to {budget.sizes[-1]:,.0f} images"
    remains = (
        f"{100 * 10**-beta.value:.0f} % of the {'reducible ' if budget.law.has_floor else ''}error remains"
    )
    sentence = (
        f"{span}, the test error falls as a power law in the number of images, with exponent {beta}: with 10 "
        f"times the images, {remains}. {_floor(budget.law)}"
        if beta.low > 0
        else f"{span}, these draws do not show how the test error falls with the number of images: its "
        "exponent "
        f"is {beta}."
    )
    return [
        Finding(
            title="Exponent of the error",
            estimate=beta,
            unit="",
            n=len(budget.log_errors),
            n_of="draws",
            method="error = alpha n^-beta + gamma, gamma >= 0 (Hestness et al. 2017, arXiv 1712.00409), "
            "least squares in log error; interval over whole draws, the choice of learning rates included",
            verdict=sentence,
        )
    ]


def _headline(budget: _Budget) -> Headline | None:
    """How much of the error ten times the images take away."""
    if budget.law is None or not budget.law.beta.low > 0:
        return None
    beta, count = budget.law.beta, len(budget.log_errors)
    return Headline(
        f"With 10 times the training images, {100 * 10**-beta.value:.0f} % of the "
        f"{'reducible ' if budget.law.has_floor else ''}error remains: it falls as a power law.",
        f"exponent {beta.value:.2f}, 95 % interval {beta.low:.2f} to {beta.high:.2f}, from "
        f"{budget.sizes[0]:,.0f} to {budget.sizes[-1]:,.0f} images; {count} draws",
        "error",
    )


def _floor(law: PowerLaw) -> str:
    if not law.has_floor:
        return "No lower limit of the error is detected."
    return f"The error has a lower limit of {in_points(law.gamma)} %."


def _held_out(budget: _Budget) -> list[Finding]:
    if budget.law is None:
        return []
    predicted, measured = predict_left_out(budget.sizes, budget.log_errors)
    size = f"{budget.sizes[-1]:,.0f}"
    sentence = (
        f"With {budget.name}, at {size} images the error is {percent(measured, 2)}; the power law of the "
        f"smaller sizes predicts {in_points(predicted)} %: {_agreement(predicted, measured)}"
    )
    return [
        Finding(
            title=f"Error at {size} images, predicted from the smaller sizes",
            estimate=in_points(predicted),
            unit="%",
            n=len(budget.log_errors),
            n_of="draws",
            method="the law fitted without the largest size; interval of prediction minus measurement",
            verdict=sentence,
        )
    ]


def _agreement(predicted: Estimate, measured: float) -> str:
    if not predicted.has_interval:
        return "one draw does not show whether they agree."
    if predicted.low <= measured <= predicted.high:
        return "they agree."
    if is_close(predicted, measured):
        return "they disagree, but narrowly: a repeat of the study may find that they agree."
    return "they disagree, so the law does not hold over the whole range."


def _under_training(budget: _Budget, primary: _Budget) -> list[Finding]:
    """At the smallest size: what another budget at the exercise's rate loses against the primary one."""
    small = budget.conditions[0]
    size, fixed = spec_of(small).train_size, small.at(FIXED_RATE)
    reference = next(
        (condition for condition in primary.reported if spec_of(condition).train_size == size), None
    )
    if not fixed or reference is None:
        return []
    lost = tuning_gain(reference, fixed)
    conclusion = "these draws show no clear difference"
    if is_resolved(lost):
        conclusion = (
            "a curve at a fixed number of epochs shows too little training as well as too little data"
            if lost.value > 0
            else "nothing is lost"
        )
    sentence = (
        f"With {budget.name} at learning rate {FIXED_RATE:g}, {size:,} images give "
        f"{percent(accuracy_of(fixed).value)} accuracy; with {primary.name} and the learning rate tuned, "
        f"{percent(accuracy(reference).value)}: {conclusion}.{closeness_in_words(lost)}"
    )
    return [
        Finding(
            title=f"Accuracy lost by {budget.name} at learning rate {FIXED_RATE:g}, {size:,} images",
            estimate=lost,
            unit="points",
            n=len(fixed),
            n_of="draws",
            method="differences within each draw; Student's interval, the choice of the learning rate "
            "included",
            verdict=sentence,
        )
    ]


# ---- Pictures and tables ----


def _error_picture(budgets: Sequence[_Budget]) -> Lines:
    primary = budgets[0]
    lines = [line for budget in budgets for line in _error_lines(budget)]
    if primary.law:
        lines += [_fitted(f"{primary.name}, power law", primary.law, primary.sizes)]
        predicted, _ = predict_left_out(primary.sizes, primary.log_errors)
        lines += [Line("predicted from smaller sizes", (point(primary.sizes[-1], predicted),), "predicted")]
    fitted = f" The curve is fitted to {primary.name}." if primary.law else ""
    return Lines(
        name="error",
        title="Test error against the number of training images",
        caption=(
            f"Mean test error of {len(primary.log_errors)} draws{fewer_at_fixed(primary.conditions)} with "
            "its 95 % interval. Both axes are "
            f"logarithmic, so a power law is a straight line until it meets its floor.{fitted}"
        ),
        x=SIZE,
        y=ERROR,
        lines=tuple(line for line in lines if line.points),
    )


def _error_lines(budget: _Budget) -> list[Line]:
    tuned = [
        (size, estimate(condition, _error))
        for size, condition in zip(map(float, budget.sizes), budget.reported, strict=True)
        if condition.is_tuned
    ]
    fixed = [
        (float(spec_of(condition).train_size), estimate_of(condition.at(FIXED_RATE), _error))
        for condition in budget.conditions
        if condition.at(FIXED_RATE)
    ]
    shown = (("learning rate tuned", tuned), (f"learning rate {FIXED_RATE:g}", fixed))
    return [Line(f"{budget.name}, {name}", tuple(point(*pair) for pair in pairs)) for name, pairs in shown]


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
                    local_slopes(budget.sizes, budget.log_errors),
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
            "-d log error / d log n between neighbouring sizes, with the 95 % interval over draws. A power "
            "law without a floor is a level line."
        ),
        x=SIZE,
        y=Axis("local slope"),
        lines=tuple(line for line in lines if line.points),
    )


def _on_training_images(condition: Condition) -> Estimate:
    return estimate(condition, training_set_accuracy)


def _gap_picture(budget: _Budget) -> Lines:
    whole = budget.reported
    training = [_on_training_images(condition) for condition in whole]
    test = [accuracy(condition) for condition in whole]
    gaps = [100 * (seen.value - new.value) for seen, new in zip(training, test, strict=True)]
    return Lines(
        name="gap",
        title="Accuracy on training and on test images",
        caption=(
            f"Mean of {len(budget.log_errors)} draws with its 95 % interval, {budget.name}, learning rate "
            f"tuned. The two lie {three_figures(gaps[0])} points apart at {budget.sizes[0]:,.0f} images, "
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
        tested = accuracy(condition)
        rows.append(
            (
                spec_of(condition).train_size,
                best_rate(condition),
                tested.value,
                tested.low,
                tested.high,
                _on_training_images(condition).value,
                accuracy_of(condition.at(FIXED_RATE)).value,
            )
        )
    return Table(
        title=f"Accuracy by training-set size, {budget.name}",
        columns=(
            "images",
            "best learning rate" if budget.conditions[0].is_tuned else "learning rate",
            "test accuracy",
            "from",
            "to",
            "training accuracy",
            f"test, rate {FIXED_RATE:g}",
        ),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over draws, the choice of the learning rate included.",
    )
