"""Many settings against one base: intervals that hold for all of them together.

Seeds are blocks: every setting is trained with the same seeds, and differences are taken seed by seed. The
variance of each difference is moderated: drawn toward that of the others, the more so the more alike they are
(Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3(1), article 3, sections 4 and 6.2). Dunnett (1955, J. Am. Stat.
Assoc. 50, 1096) pools them altogether, and is wrong where settings differ in spread, as here: a network of 30
units varies twice as much as one of 300. The factor of the standard error is Dunnett's, with a denominator
for each difference. benchmarks/coverage.py measures all three.
"""

import math
from functools import cache

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import chdtri, digamma, ndtr, polygamma, stdtrit
from scipy.stats import norm

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import CONFIDENCE

_NODES = 80
_FEWEST_TO_MODERATE = 3
_LEAST_EXCESS = 1e-6
"""A spread of true log variances below this is none."""
SHARED_BASE = 0.5
"""Correlation of the differences of two settings from one base, all of one variance."""
CHAIN = 0.0
"""For differences of neighbours, which are correlated negatively: independent ones need a larger factor."""


def simultaneous_intervals(
    differences: Float64[np.ndarray, "seed setting"], correlation: float = SHARED_BASE
) -> tuple[Estimate, ...]:
    """Means of the differences; all intervals hold together with 95 %. None for fewer than 2 seeds, or NaN.

    differences: from the base, one a seed (pseudo-values may be), [seed, setting]
    correlation: between the differences of two settings, 0 to 1
    """
    seeds, settings = differences.shape
    means = differences.mean(axis=0) if seeds else np.full(settings, math.nan)
    if seeds < 2 or not np.isfinite(differences).all() or not settings:
        return tuple(Estimate(float(mean)) for mean in means)
    variances, freedom = moderated(differences.var(axis=0, ddof=1), seeds - 1)
    reach = critical_value(settings, round(freedom, 3), correlation) * np.sqrt(variances / seeds)
    return tuple(
        Estimate(float(mean), float(mean - half), float(mean + half))
        for mean, half in zip(means, reach, strict=True)
    )


def moderated(
    variances: Float64[np.ndarray, "setting"], freedom: float
) -> tuple[Float64[np.ndarray, "setting"], float]:
    """Variances drawn toward their common value, and their degrees of freedom (Smyth 2004, section 6.2).

    The common value counts for no more than the own one: differences share the base, so the others tell less
    than as many independent ones would. Unchanged for fewer than 3 of them, or where one is 0.

    variances: with `freedom` degrees of freedom each, [setting]
    """
    if len(variances) < _FEWEST_TO_MODERATE or not (variances > 0).all():
        return variances, freedom
    half = freedom / 2
    logs = np.log(variances) - digamma(half) + math.log(half)
    excess = float(logs.var(ddof=1) - polygamma(1, half))  # spread of the true log variances
    if excess <= _LEAST_EXCESS:  # they scatter no more than equal ones do
        prior, common = freedom, float(variances.mean())
    else:
        prior = 2 * float(brentq(lambda x: float(polygamma(1, x)) - excess, 1e-6, 1e9))
        common = math.exp(float(logs.mean() + digamma(prior / 2) - math.log(prior / 2)))
        prior = min(prior, freedom)
    return np.asarray((prior * common + freedom * variances) / (prior + freedom)), prior + freedom


@cache
def critical_value(count: int, freedom: float, correlation: float) -> float:
    """So many standard errors are not exceeded by any of the Student-like differences in 95 of 100 studies.

    The differences share a part z of variance `correlation`; given it, and with a denominator each, they are
    independent: P(all |t| <= c) = E_z [ P(|√ρ z + √(1-ρ) x| <= c s)^count ], x normal, s chi over its root
    mean square.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    shares, weights = (nodes + 1) / 2, weights / 2
    shared = math.sqrt(correlation) * norm.ppf(shares)[:, None]  # [z, 1]
    roots = np.sqrt(chdtri(freedom, 1 - shares) / freedom)[None, :]  # [1, s]
    own = math.sqrt(1 - correlation)

    def missing(c: float) -> float:
        inside = ndtr((c * roots - shared) / own) - ndtr((-c * roots - shared) / own)  # [z, s]
        return float(weights @ (inside @ weights) ** count) - CONFIDENCE

    # Between Student's quantile for one and Bonferroni's for all, each with room for the sums' rounding.
    alone, bonferroni = (-float(stdtrit(freedom, (1 - CONFIDENCE) / 2 / n)) for n in (1, count))
    return float(brentq(missing, 0.9 * alone, 2 * bonferroni, xtol=1e-6))
