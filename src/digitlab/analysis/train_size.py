"""Training-set size: how the error falls with the number of training images."""

from collections.abc import Sequence

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
    Line,
    Lines,
    Picture,
    Point,
    StudyFindings,
    Table,
)
from digitlab.analysis.intervals import mean_interval, paired_interval
from digitlab.analysis.power_law import PowerLaw, fit_power_law, local_slopes, predict_left_out

SIZE, ERROR = Axis("training images", "log"), Axis("test error", "log", is_share=True)
_FIXED = 0.01


def find(about: About, conditions: Sequence[Condition]) -> StudyFindings:
    """What the study says. The first budget is the primary one."""
    budgets = {
        name: sorted(same, key=lambda one: spec_of(one).train_size)
        for name, same in by_label(conditions, "budget").items()
    }
    (primary, curve), *others = budgets.items()
    sizes, errors = _errors(curve)
    findings = [*_law(about, primary, sizes, errors), *_held_out(about, primary, sizes, errors)]
    findings += [finding for name, same in others for finding in _under_training(about, name, same, curve)]
    pictures: list[Picture] = [_error_picture(budgets), _slope_picture(budgets), _gap_picture(primary, curve)]
    return StudyFindings(
        name=about.name,
        title=about.title,
        question=about.question,
        scale=about.scale,
        answer=tuple(finding.verdict for finding in findings),
        findings=tuple(findings),
        pictures=tuple(pictures),
        tables=tuple(_table(name, same) for name, same in budgets.items()),
        methods=(
            f"Subsets are stratified and nested, and each seed draws its own. With {primary} every size "
            f"trains "
            "equally long, and the network of the best validation loss counts (10,000 images held out): what "
            "the "
            "data can teach. With a fixed number of epochs a small set also makes few steps.",
            "The learning rate is tuned anew for each size on tuning seeds; errors are those of fresh seeds "
            "on the "
            "test set.",
            *about.notes,
        ),
        run_count=run_count(conditions),
        seeds=seeds_in_words(conditions),
    )


def _errors(
    conditions: Sequence[Condition],
) -> tuple[Float64[np.ndarray, "size"], Float64[np.ndarray, "draw size"]]:
    whole = [one for one in conditions if one.reports]
    sizes = np.array([spec_of(one).train_size for one in whole], dtype=np.float64)
    return sizes, np.array([1 - test_accuracies(one.reports) for one in whole]).T


# ---- Findings ----


def _law(
    about: About, budget: str, sizes: Float64[np.ndarray, "size"], errors: Float64[np.ndarray, "draw size"]
) -> list[Finding]:
    if len(sizes) < 4:
        return []
    law = fit_power_law(sizes, errors)
    floor = (
        "no floor is resolved: gamma may be 0"
        if not law.gamma.low > 0
        else f"above a floor of {100 * law.gamma.value:.2f} %"
    )
    sentence = (
        f"With {budget}, from {sizes[0]:,.0f} to {sizes[-1]:,.0f} images the test error falls as a power of "
        f"their "
        f"number, with exponent {law.beta}; {floor}. Ten times the images leave {10**-law.beta.value:.2f} of "
        f"the "
        "error that data can take away."
    )
    return [
        Finding(
            title="Exponent of the error",
            estimate=law.beta,
            unit="",
            n=len(errors),
            n_of="draws",
            method="error = alpha n^-beta + gamma, gamma >= 0 (Hestness et al. 2017, arXiv 1712.00409), "
            "least squares in log error; interval over whole draws",
            verdict=about.say(sentence),
        )
    ]


def _held_out(
    about: About, budget: str, sizes: Float64[np.ndarray, "size"], errors: Float64[np.ndarray, "draw size"]
) -> list[Finding]:
    predicted, measured = predict_left_out(sizes, errors)
    if not np.isfinite(predicted.value):
        return []
    holds = predicted.low <= measured <= predicted.high
    said = "as the smaller sizes predict" if holds else "not as the smaller sizes predict"
    sentence = (
        f"With {budget}, at {sizes[-1]:,.0f} images the error is {100 * measured:.2f} %, {said} "
        f"({_in_percent(predicted)})" + ("." if holds else ": the law does not hold over the whole range.")
    )
    return [
        Finding(
            title=f"Error at {sizes[-1]:,.0f} images, predicted from the smaller sizes",
            estimate=Estimate(100 * predicted.value, 100 * predicted.low, 100 * predicted.high),
            unit="%",
            n=len(errors),
            n_of="draws",
            method="the law fitted without the largest size; interval of prediction less measurement",
            verdict=about.say(sentence),
        )
    ]


def _under_training(
    about: About, budget: str, conditions: Sequence[Condition], primary: Sequence[Condition]
) -> list[Finding]:
    """At the smallest size: what a fixed number of epochs at the exercise's rate loses."""
    small, reference = conditions[0], primary[0]
    if _FIXED not in small.also or not reference.reports:
        return []
    lost = paired_interval(test_accuracies(reference.reports), test_accuracies(small.also[_FIXED]))
    size = f"{spec_of(small).train_size:,}"
    accuracy = mean_interval(list(test_accuracies(small.also[_FIXED]))).value
    sentence = (
        f"With {budget} at rate 0.01, {size} images give {100 * accuracy:.1f} %, {100 * lost.value:.1f} "
        f"points less "
        "than they can teach: such a curve measures under-training, not data."
    )
    return [
        Finding(
            title=f"Accuracy lost by {budget} at rate 0.01, {size} images",
            estimate=Estimate(100 * lost.value, 100 * lost.low, 100 * lost.high),
            unit="points",
            n=len(reference.reports),
            n_of="draws",
            method="paired differences by draw, Student's interval",
            verdict=about.say(sentence),
        )
    ]


def _in_percent(estimate: Estimate) -> str:
    if not estimate.has_interval:
        return f"{100 * estimate.value:.2f} %"
    return (
        f"{100 * estimate.value:.2f} %, 95 % interval {100 * estimate.low:.2f} to {100 * estimate.high:.2f}"
    )


# ---- Pictures and tables ----


def _point(x: float, values: Sequence[float]) -> Point:
    at = mean_interval(values)
    inside = at.low > 0
    return Point(x, at.value, at.low, at.high) if inside else Point(x, at.value)


def _error_picture(budgets: dict[str, list[Condition]]) -> Lines:
    lines = []
    for name, conditions in budgets.items():
        sizes, errors = _errors(conditions)
        points = [_point(float(size), list(column)) for size, column in zip(sizes, errors.T, strict=True)]
        lines.append(Line(f"{name}, rate tuned", tuple(points)))
        fixed = [one for one in conditions if _FIXED in one.also]
        lines.append(
            Line(
                f"{name}, rate 0.01",
                tuple(
                    _point(float(spec_of(one).train_size), list(1 - test_accuracies(one.also[_FIXED])))
                    for one in fixed
                ),
            )
        )
    sizes, errors = _errors(next(iter(budgets.values())))
    if len(sizes) > 3:
        law = fit_power_law(sizes, errors)
        lines.append(_fitted(f"{next(iter(budgets))}, rate tuned, power law", law, sizes))
        predicted, _ = predict_left_out(sizes, errors)
        if np.isfinite(predicted.value):
            at = Point(float(sizes[-1]), predicted.value, predicted.low, predicted.high)
            lines.append(Line("predicted from smaller sizes", (at,), "predicted"))
    return Lines(
        name="error",
        title="Test error against the number of training images",
        caption=(
            f"Mean test error of {len(errors)} draws with its 95 % interval; both axes are logarithmic, so a "
            f"power "
            "law is a straight line until it meets its floor. The curve is fitted to the first budget."
        ),
        x=SIZE,
        y=ERROR,
        lines=tuple(line for line in lines if line.points),
    )


def _fitted(name: str, law: PowerLaw, sizes: Float64[np.ndarray, "size"]) -> Line:
    at = np.geomspace(sizes[0], sizes[-1], 40)
    return Line(
        name,
        tuple(Point(float(x), float(y)) for x, y in zip(at, law.predicted(at), strict=True)),
        "fitted",
    )


def _slope_picture(budgets: dict[str, list[Condition]]) -> Lines:
    lines = []
    for name, conditions in budgets.items():
        sizes, errors = _errors(conditions)
        slopes = local_slopes(sizes, errors)
        points = [
            Point(float(x), slope.value, slope.low, slope.high)
            for x, slope in zip(np.sqrt(sizes[1:] * sizes[:-1]), slopes, strict=True)
        ]
        lines.append(Line(name, tuple(points)))
    return Lines(
        name="slope",
        title="Local slope of the error",
        caption=(
            "-d log error / d log n between neighbouring sizes, rate tuned, with the 95 % interval over "
            "draws. A "
            "power law without a floor is a level line."
        ),
        x=SIZE,
        y=Axis("local slope"),
        lines=tuple(line for line in lines if line.points),
    )


def _gap_picture(budget: str, conditions: Sequence[Condition]) -> Lines:
    whole = [one for one in conditions if one.reports]
    sizes = [float(spec_of(one).train_size) for one in whole]
    training = [[run.metrics.training_set_accuracy for run in one.reports] for one in whole]
    test = [list(test_accuracies(one.reports)) for one in whole]
    return Lines(
        name="gap",
        title="Accuracy on training and on test images",
        caption=(
            f"Mean of {len(whole[0].reports) if whole else 0} draws with its 95 % interval, {budget}, rate "
            f"tuned. "
            "The gap between the two closes as the training set grows."
        ),
        x=SIZE,
        y=Axis("accuracy", is_share=True),
        lines=(
            Line("training images", tuple(map(_point, sizes, training))),
            Line("test images", tuple(map(_point, sizes, test))),
        ),
    )


def _table(name: str, conditions: Sequence[Condition]) -> Table:
    rows = []
    for one in conditions:
        tuned = mean_interval(list(test_accuracies(one.reports)))
        fixed = mean_interval(list(test_accuracies(one.also.get(_FIXED, ()))))
        training = mean_interval([run.metrics.training_set_accuracy for run in one.reports])
        rows.append(
            (
                spec_of(one).train_size,
                one.chosen,
                tuned.value,
                tuned.low,
                tuned.high,
                training.value,
                fixed.value,
            )
        )
    return Table(
        title=f"Accuracy by training-set size, {name}",
        columns=("images", "rate", "test accuracy", "from", "to", "training accuracy", "test, rate 0.01"),
        rows=tuple(rows),
        note="From and to: 95 % interval of the mean over draws.",
    )
