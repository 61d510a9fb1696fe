"""What more training data buys: error = alpha · n^(-beta) + gamma, fitted and extrapolated; local slopes.

Hestness et al. 2017, arXiv 1712.00409. A draw is one sequence of nested subsets with its seed; its errors
belong together, so draws are the unit of every interval.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import least_squares

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import (
    complete,
    fit_intervals,
    influences,
    mean_interval,
    transformed,
)

Sizes = Float64[np.ndarray, "size"]
LogErrors = Float64[np.ndarray, "draw size"]
_PARAMETERS = 3
_STEEPEST = 20.0


@dataclass(frozen=True)
class PowerLaw:
    """error = alpha · n^(-beta) + gamma, gamma ≥ 0. NaN throughout for fewer than 3 sizes.

    gamma: what no amount of data takes away; its interval begins at 0 where the data do not show any
    """

    alpha: Estimate
    beta: Estimate
    gamma: Estimate

    @property
    def has_floor(self) -> bool:
        """Whether the data show that gamma is more than 0."""
        return self.gamma.low > 0

    def predicted(self, sizes: Sizes) -> Sizes:
        """Error at each number of training images, [size]."""
        return self.alpha.value * sizes**-self.beta.value + self.gamma.value


def fit_power_law(sizes: Sizes, log_errors: LogErrors) -> PowerLaw:
    """Least squares in log error, of the mean over draws.

    sizes:      numbers of training images, rising, [size]
    log_errors: natural logarithms of the share of test images, [draw, size]; a draw with NaN is left out
    """
    logs = complete(log_errors)
    if not _is_enough(sizes, logs):
        return PowerLaw(*[Estimate(math.nan)] * 3)
    x = np.log(sizes)
    found = _fit(x, logs.mean(axis=0))
    alpha, beta, gamma = fit_intervals(found, _slopes(found, x), logs)
    return PowerLaw(
        transformed(alpha, np.exp),
        beta,
        Estimate(gamma.value, max(gamma.low, 0.0), gamma.high),
    )


def predict_left_out(sizes: Sizes, log_errors: LogErrors) -> tuple[Estimate, float]:
    """The mean error at the largest size as the smaller ones predict it, and as it was measured.

    The interval is that of prediction minus measurement, laid around the prediction: it holds the uncertainty
    of both, and a measurement outside it contradicts the law. No prediction from fewer than 3 sizes.

    sizes, log_errors: as for fit_power_law
    """
    logs = complete(log_errors)
    measured = float(np.exp(logs[:, -1].mean())) if len(logs) else math.nan
    if not _is_enough(sizes[:-1], logs):
        return Estimate(math.nan), measured
    x = np.log(sizes)
    found = _fit(x[:-1], logs.mean(axis=0)[:-1])
    moves = influences(_slopes(found, x[:-1]), logs[:, :-1]) @ _slopes(found, x[-1:])[0]  # [draw]
    gap = mean_interval(_log_errors(found, x[-1:])[0] + moves - (logs[:, -1] - logs[:, -1].mean()))
    return transformed(gap, np.exp), measured


def local_slopes(sizes: Sizes, log_errors: LogErrors) -> tuple[Estimate, ...]:
    """-d log error / d log n between neighbouring sizes, [size - 1]: beta, where there is no floor.

    sizes, log_errors: as for fit_power_law
    """
    slopes = -np.diff(log_errors, axis=1) / np.diff(np.log(sizes))
    return tuple(mean_interval(slope[np.isfinite(slope)]) for slope in slopes.T)


def _is_enough(sizes: Sizes, logs: LogErrors) -> bool:
    return len(sizes) >= _PARAMETERS and len(logs) > 0


def _log_errors(parameters: Float64[np.ndarray, "parameter"], x: Sizes) -> Sizes:
    """x: log n; parameters: log alpha, beta, gamma."""
    log_alpha, beta, gamma = parameters
    return np.asarray(np.log(np.exp(log_alpha - beta * x) + gamma))


def _slopes(parameters: Float64[np.ndarray, "parameter"], x: Sizes) -> Float64[np.ndarray, "size parameter"]:
    """Derivatives of log error by log alpha, beta and gamma."""
    log_alpha, beta, gamma = parameters
    falling = np.exp(log_alpha - beta * x)
    return np.asarray(np.stack([falling, -x * falling, np.ones_like(x)], axis=1) / (falling + gamma)[:, None])


def _fit(x: Sizes, y: Sizes) -> Float64[np.ndarray, "parameter"]:
    """Log alpha, beta and gamma at the least squared distance from y over x, log error over log n."""
    # About the middle of x, alpha and beta hardly depend on each other, and no step overflows.
    middle, least = x.mean(), float(np.exp(y.min()))
    centred = x - middle

    def misfit(parameters: Float64[np.ndarray, "parameter"]) -> Sizes:
        return np.asarray(_log_errors(parameters, centred) - y)

    def slopes(parameters: Float64[np.ndarray, "parameter"]) -> Float64[np.ndarray, "size parameter"]:
        return _slopes(parameters, centred)

    fits = []
    for floor in (0.1 * least, 0.7 * least):
        slope, height = np.polyfit(centred, np.log(np.exp(y) - floor), 1)
        fits.append(
            least_squares(
                misfit,
                [height, max(-slope, 0.01), floor],
                jac=slopes,
                bounds=([y.min() - 30, 0, 0], [y.max() + 30, _STEEPEST, math.inf]),
                x_scale="jac",
            )
        )
    height, beta, gamma = min(fits, key=lambda fit: float(fit.cost)).x
    return np.array([height + beta * middle, beta, gamma])
