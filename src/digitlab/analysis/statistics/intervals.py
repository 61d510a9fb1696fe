"""Intervals of 95 % for means, differences and fitted numbers: Student's t over seeds (or draws) throughout.

Seeds are few. A percentile bootstrap's "95 %" interval of the mean of 5 covers it 84 times in 100, Student's
95 times; benchmarks/coverage.py measures every kind of interval that is made here and in the modules beside.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.special import expit, logit, ndtri, stdtrit

from digitlab.analysis.findings import Estimate
from digitlab.rng import stream

CONFIDENCE = 0.95
Values = Sequence[float] | Float64[np.ndarray, "n"]


@dataclass(frozen=True)
class Scale:
    """A scale on which an interval is made, so that its ends stay possible.

    to:   from the values' own, for arrays
    back: to the values' own, rising
    """

    to: Callable[[Float64[np.ndarray, "..."]], Float64[np.ndarray, "..."]]
    back: Callable[[float], float]


_LEAST_SHARE = 5e-5
"""Half an image of 10,000: shares of 0 and 1 have no logit."""

PLAIN = Scale(lambda values: values, lambda value: value)
SHARE = Scale(
    lambda shares: logit(np.clip(shares, _LEAST_SHARE, 1 - _LEAST_SHARE)), lambda x: float(expit(x))
)
"""Of shares such as accuracies and errors: the logit."""
LOG = Scale(lambda values: np.log(np.maximum(values, 1e-12)), lambda x: float(np.exp(x)))
"""Of what is more than 0, such as losses and rates."""


def t_interval(value: float, standard_error: float, degrees_of_freedom: float) -> Estimate:
    """An estimate ± the quantile of Student's t times its standard error."""
    reach = float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE) / 2)) * standard_error
    return Estimate(value, value - reach, value + reach)


def mean_interval(values: Values) -> Estimate:
    """Mean of independent values, with Student's interval; no interval for fewer than 2, or for NaN or inf.

    values: one a seed, [n]
    """
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    if n == 0:
        return Estimate(math.nan)
    mean = float(array.mean())
    if n < 2 or not np.isfinite(array).all():
        return Estimate(mean)
    return t_interval(mean, float(array.std(ddof=1)) / math.sqrt(n), n - 1)


def geometric_interval(values: Values) -> Estimate:
    """Geometric mean of independent positive values, with Student's interval of their logarithms.

    values: one a seed, [n]
    """
    return transformed(mean_interval(np.log(np.asarray(values, dtype=np.float64))), np.exp)


def wilson_interval(hits: int, count: int) -> Estimate:
    """A share of independent trials with its score interval (Wilson 1927, JASA 22, pages 209-212).

    It keeps within 0 and 1, and holds its confidence on the average also for shares near 1 (Brown, Cai &
    DasGupta 2001, "Interval Estimation for a Binomial Proportion"). Trials are images here, not seeds. NaN
    without trials.
    """
    if count == 0:
        return Estimate(math.nan)
    z2 = float(ndtri((1 + CONFIDENCE) / 2)) ** 2
    middle = (hits + z2 / 2) / (count + z2)
    reach = math.sqrt(z2 * (hits * (count - hits) / count + z2 / 4)) / (count + z2)
    return Estimate(hits / count, max(0.0, middle - reach), min(1.0, middle + reach))


def accuracy_intervals(counts: Sequence[Sequence[int]]) -> list[Estimate]:
    """Accuracy on all images, then on those of each class, each with `wilson_interval`, [1 + class].

    counts: confusion matrix, [true class][predicted class]
    """
    rows = [(row[label], sum(row)) for label, row in enumerate(counts)]
    whole = (sum(right for right, _ in rows), sum(count for _, count in rows))
    return [wilson_interval(right, count) for right, count in (whole, *rows)]


def transformed(estimate: Estimate, rising: Callable[[float], float]) -> Estimate:
    """Estimate and ends on another scale, such as back from logarithms; 0 or inf beyond floats."""
    with np.errstate(over="ignore", under="ignore"):
        return Estimate(*(float(rising(end)) for end in (estimate.value, estimate.low, estimate.high)))


def paired_interval(a: Values, b: Values) -> Estimate:
    """Mean of a - b with Student's interval of the differences.

    a, b: [n] each, in the same order of seeds
    """
    with np.errstate(invalid="ignore"):  # inf - inf, where both broke
        return mean_interval(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64))


def fit_intervals(
    parameters: Float64[np.ndarray, "parameter"],
    jacobian: Float64[np.ndarray, "point parameter"],
    curves: Float64[np.ndarray, "seed point"],
) -> tuple[Estimate, ...]:
    """Intervals of parameters that least squares found for the mean of several curves; seeds are the unit.

    Each seed's curve moves the fit a little: by the pseudo-inverse of the Jacobian times the curve's distance
    from the mean. Student's interval over these moves is that of the parameter (the delta method; Efron 1982,
    "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 6). Errors may thus be correlated along
    a curve in any way. A parameter that the points cannot tell has a wide interval.

    parameters: of the fit to the mean, [parameter]
    jacobian:   of the fitted curve in the parameters, [point, parameter]
    curves:     [seed, point]
    """
    moves = influences(jacobian, curves)
    return tuple(mean_interval(value + moved) for value, moved in zip(parameters, moves.T, strict=True))


def influences(
    jacobian: Float64[np.ndarray, "point parameter"], curves: Float64[np.ndarray, "seed point"]
) -> Float64[np.ndarray, "seed parameter"]:
    """How far each curve alone would move the parameters of the fit to the mean, to first order."""
    return np.asarray((curves - curves.mean(axis=0)) @ np.linalg.pinv(jacobian).T)


def complete(rows: Float64[np.ndarray, "seed point"]) -> Float64[np.ndarray, "whole point"]:
    """The rows without NaN or inf: a seed with a broken run takes no part in a fit over all points."""
    return np.asarray(rows[np.isfinite(rows).all(axis=1)])


def bootstrap_stream(name: str) -> np.random.Generator:
    """The random stream of one bootstrap, by what it is for: the same numbers at every time."""
    return stream(0, f"bootstrap/{name}")
