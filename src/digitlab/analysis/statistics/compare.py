"""Comparing two networks, and saying no more than the difference allows."""

import math
from statistics import NormalDist
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import CONFIDENCE, t_interval

Verdict = Literal["better", "worse", "practically equal", "no clear difference"]
_HALF_WIDTHS_OF_A_FIRM_ONE = 1 + NormalDist().inv_cdf(0.9) * math.sqrt(2) / NormalDist().inv_cdf(0.975)


def judge(estimate: Estimate, margin: float) -> Verdict:
    """What may be said of a difference of which more is better.

    "practically equal" only when the whole interval lies within ± margin, then even if it excludes 0;
    otherwise "better" or "worse" when it excludes 0. "no clear difference" is the rest, and all without an
    interval.

    margin: how large a difference does not matter, in the estimate's unit
    """
    if -margin <= estimate.low and estimate.high <= margin:
        return "practically equal"
    if estimate.low > 0:
        return "better"
    if estimate.high < 0:
        return "worse"
    return "no clear difference"


def is_close(estimate: Estimate, value: float = 0.0) -> bool:
    """Whether the interval excludes a value so narrowly that a repeat of the study may well not exclude it.

    Given one estimate of standard error s and no other knowledge, that of a repeat is normal around it with
    variance 2 s² (Goodman 1992, Stat. Med. 11, 875). So its interval excludes the value in 9 of 10 repeats
    where the first one lies 1.96 s + 1.28 √2 s from it: 1.92 half-widths. Never where the value is not
    excluded.
    """
    if estimate.low > value:
        return estimate.value - value < _HALF_WIDTHS_OF_A_FIRM_ONE * (estimate.value - estimate.low)
    if estimate.high < value:
        return value - estimate.value < _HALF_WIDTHS_OF_A_FIRM_ONE * (estimate.high - estimate.value)
    return False


def independent_difference(first: Estimate, second: Estimate) -> Estimate:
    """By how much the second of two independent estimates is above the first; no interval where one has none.

    Half-widths add in quadrature, each on the side that faces the other estimate, as intervals need not be
    symmetric: Zou & Donner 2008, Stat. Med. 27, 1693, equation 4.
    """
    difference = second.value - first.value
    if not (first.has_interval and second.has_interval):
        return Estimate(difference)
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(difference, difference - below, difference + above)


def crossed_interval(
    right_a: Float64[np.ndarray, "seed image"],
    right_b: Float64[np.ndarray, "seed image"],
    by_seed: Float64[np.ndarray, "seed"] | None = None,
) -> Estimate:
    """Difference in mean accuracy, a - b, as it holds for new seeds and new images alike.

    The variance of the mean has a part from seeds, one from images, and one from what is left; they are
    estimated without bias from the two-way layout (Cornfield & Tukey 1956, Ann. Math. Statist. 27), the
    degrees of freedom after Satterthwaite (1946, Biometrics Bulletin 2).

    right_a, right_b: whether each image was given its own class, or the share of networks that did, [seed,
                      image]; seeds and images in one order
    by_seed:          the difference, one value a seed, where it holds more than these means: the choice of
                      learning rates, [seed]
    No interval for one seed.
    """
    differences = right_a.astype(np.float64) - right_b  # [seed, image]
    seeds, images = differences.shape
    means = differences.mean(axis=1)
    by_seed = means if by_seed is None else by_seed
    mean = float(by_seed.mean())
    if min(seeds, images) < 2:
        return Estimate(mean)
    by_image = differences.mean(axis=0)
    rest = differences - means[:, None] - by_image + means.mean()
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (images - 1)) / (seeds * images)
    of_seeds = float(by_seed.var(ddof=1)) / seeds  # with one share of the rest in it
    of_images = max(float(by_image.var(ddof=1)) / images - of_rest, 0.0)
    variance = of_seeds + of_images
    if variance == 0:
        return Estimate(mean, mean, mean)
    freedom = variance**2 / (of_seeds**2 / (seeds - 1) + of_images**2 / (images - 1))
    return t_interval(mean, math.sqrt(variance), freedom)


def crossed_bootstrap(
    right_a: Bool[np.ndarray, "seed image"],
    right_b: Bool[np.ndarray, "seed image"],
    *,
    resamples: int = 2_000,
    stream: np.random.Generator,
) -> Estimate:
    """The same difference, by resampling seeds and images independently: the pigeonhole bootstrap.

    Owen (2007), "The pigeonhole bootstrap", Ann. Appl. Stat. 1. It counts the variance that belongs to
    neither seeds nor images alone three times; between networks as alike as ours that is most of it, and the
    interval is far too wide. `crossed_interval` is right there; this one is the known method to compare with.
    """
    patterns, image_counts = np.unique(
        (right_a.astype(np.int8) - right_b.astype(np.int8)).T, axis=0, return_counts=True
    )  # [pattern, seed]: images on which all seeds do alike form one pattern
    images, seeds = int(image_counts.sum()), patterns.shape[1]
    seed_weights = stream.multinomial(seeds, np.full(seeds, 1 / seeds), resamples)  # [resample, seed]
    image_weights = stream.multinomial(images, image_counts / images, resamples)  # [resample, pattern]
    means: Float64[np.ndarray, resamples] = ((image_weights @ patterns) * seed_weights).sum(axis=1) / (
        seeds * images
    )
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(image_counts @ patterns.mean(axis=1)) / images, float(low), float(high))
