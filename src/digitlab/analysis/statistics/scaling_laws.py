"""How the best learning rate depends on the batch size: three laws fitted, compared, and local exponents.

All in log2: a law's fit minimises squared distances in log2 rate, of the mean over seeds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import minimize_scalar

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import (
    complete,
    fit_intervals,
    mean_interval,
    paired_interval,
    transformed,
)

Batches = Float64[np.ndarray, "batch"]


@dataclass(frozen=True)
class Law:
    """A rule for the rate.

    formula: in words of `names`, B the batch size
    names:   of its parameters, all positive
    fit:     (log2 B, log2 rate), [batch] each -> log2 of the parameters, [parameter]
    predict: (log2 of the parameters, log2 B) -> log2 rate, [batch]
    slopes:  the same -> derivatives of log2 rate by log2 of the parameters, [batch, parameter]
    """

    name: str
    formula: str
    names: tuple[str, ...]
    fit: Callable[[Batches, Batches], Float64[np.ndarray, "parameter"]]
    predict: Callable[[Float64[np.ndarray, "parameter"], Batches], Batches]
    slopes: Callable[[Float64[np.ndarray, "parameter"], Batches], Float64[np.ndarray, "batch parameter"]]


def _power(name: str, formula: str, exponent: float) -> Law:
    return Law(
        name,
        formula,
        ("c",),
        fit=lambda b, y: np.array([(y - exponent * b).mean()]),
        predict=lambda parameters, b: parameters[0] + exponent * b,
        slopes=lambda _, b: np.ones((len(b), 1)),
    )


_OCTAVES = 10
"""B_noise is sought so far below the least batch size and above the largest: beyond, the law is a constant or
linear to 0.1 %."""


def _saturation(log_noise: float, b: Batches) -> Batches:
    return np.asarray(-np.log2(1 + np.exp2(log_noise - b)))


def _fit_saturating(b: Batches, y: Batches) -> Float64[np.ndarray, "parameter"]:
    def misfit(log_noise: float) -> float:
        return float((y - _saturation(log_noise, b)).var())

    grid = np.arange(b.min() - _OCTAVES, b.max() + _OCTAVES + 1)
    near = grid[int(np.argmin([misfit(log_noise) for log_noise in grid]))]
    found = minimize_scalar(misfit, bounds=(near - 1, near + 1), method="bounded", options={"xatol": 1e-6})
    log_noise = float(np.clip(found.x, grid[0], grid[-1]))
    return np.array([(y - _saturation(log_noise, b)).mean(), log_noise])


LAWS = (
    _power("linear", "c · B", 1.0),
    _power("square root", "c · √B", 0.5),
    Law(
        "saturating",
        "e_max / (1 + B_noise / B)",
        ("e_max", "B_noise"),
        fit=_fit_saturating,
        predict=lambda parameters, b: parameters[0] + _saturation(float(parameters[1]), b),
        slopes=lambda parameters, b: np.stack(
            [np.ones_like(b), -1 / (1 + np.exp2(b - parameters[1]))], axis=1
        ),
    ),
)
"""Linear: Goyal et al. 2017, arXiv 1706.02677. Square root: Krizhevsky 2014, arXiv 1404.5997. Saturating:
McCandlish et al. 2018, arXiv 1812.06162, section 2.2: ε_opt(B) = ε_max / (1 + B_noise / B)."""


@dataclass(frozen=True)
class LawFit:
    """A law fitted to the best rates at several batch sizes.

    parameters:     by name, with intervals over seeds; 0 to inf where the batch sizes cannot tell
    residual:       root mean square distance from the mean of the seeds, log2
    left_out_error: the same, each batch size being predicted from the others alone, log2
    seed_errors:    mean square distance of each seed's own rates from those predictions, log2 squared, [seed]
    predicted:      rate at each batch size, [batch]
    """

    law: str
    formula: str
    parameters: Mapping[str, Estimate]
    residual: float
    left_out_error: float
    seed_errors: tuple[float, ...]
    predicted: tuple[float, ...]


def fit_laws(batch_sizes: Batches, log2_rates: Float64[np.ndarray, "seed batch"]) -> tuple[LawFit, ...]:
    """All laws, the one that predicts a left-out batch size best first; none without a seed with all optima.

    batch_sizes: three or more, rising, [batch]
    log2_rates:  best rate of each seed, [seed, batch]; a seed with NaN is left out
    """
    curves = complete(log2_rates)
    if not len(curves) or len(batch_sizes) < 3:
        return ()
    fits = [_fit(law, np.log2(batch_sizes), curves) for law in LAWS]
    return tuple(sorted(fits, key=lambda fit: fit.left_out_error))


def _fit(law: Law, b: Batches, curves: Float64[np.ndarray, "seed batch"]) -> LawFit:
    y = curves.mean(axis=0)
    parameters = law.fit(b, y)
    predicted = law.predict(parameters, b)
    left_out = np.empty_like(b)
    for i in range(len(b)):
        others = np.arange(len(b)) != i
        left_out[i] = law.predict(law.fit(b[others], y[others]), b[i : i + 1])[0]
    intervals = fit_intervals(parameters, law.slopes(parameters, b), curves)
    return LawFit(
        law.name,
        law.formula,
        {name: transformed(interval, np.exp2) for name, interval in zip(law.names, intervals, strict=True)},
        _root_mean_square(predicted - y),
        _root_mean_square(left_out - y),
        tuple(((left_out - curves) ** 2).mean(axis=1).tolist()),
        tuple(np.exp2(predicted).tolist()),
    )


def _root_mean_square(distances: Batches) -> float:
    return float(np.sqrt(np.mean(distances**2)))


def best_law(fits: tuple[LawFit, ...]) -> str | None:
    """The law that predicts left-out batch sizes best, if every other is resolved to be worse; else None.

    Their errors are compared seed by seed, by Student's paired interval. A linear law is seldom told from a
    saturating one, which holds it as the limit of a large B_noise. The best of three need not be true: see
    its left_out_error.

    fits: as fit_laws gives them
    """
    if not fits:
        return None
    best, *others = fits
    for other in others:
        if not paired_interval(other.seed_errors, best.seed_errors).low > 0:
            return None
    return best.law


def local_exponents(
    batch_sizes: Batches, log2_rates: Float64[np.ndarray, "seed batch"]
) -> tuple[Estimate, ...]:
    """Exponents d log rate / d log batch size between neighbours, [batch - 1]: 1 linear, 1/2 square root."""
    slopes = np.diff(log2_rates, axis=1) / np.diff(np.log2(batch_sizes))
    return tuple(mean_interval(slope[np.isfinite(slope)]) for slope in slopes.T)


def exponent(batch_sizes: Batches, log2_rates: Float64[np.ndarray, "seed batch"]) -> Estimate:
    """The slope of one straight line through log rate over log batch size, mean over seeds."""
    b = np.log2(batch_sizes) - np.log2(batch_sizes).mean()
    if len(b) < 2:
        return Estimate(math.nan)
    return mean_interval(complete(log2_rates) @ b / (b @ b))
