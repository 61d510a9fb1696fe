"""Accuracies on images that some writers wrote: what holds for new writers, who are fewer than their images.

Images by one writer are alike: a hand that a network misreads once it misreads often. So an accuracy says
less of new images than as many images by as many writers would; how much less is the design factor.
"""

import math

import numpy as np
from jaxtyping import Bool, Float64, Int, Num

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.compare import crossed_interval

ACCURACY_FACTORS = (2.2, 3.7)
"""Least and largest design factor of the exercise's networks near their best rates: benchmarks/writers.py."""
DIFFERENCE_FACTORS = (0.9, 2.7)
"""The same of the difference of two of them: about 1 between those with hidden layers, which misread much the
same hands; above 2 between one of these and the linear one."""


def writers_interval(
    values: Num[np.ndarray, "seed image"],
    writer: Int[np.ndarray, "image"],
    by_seed: Float64[np.ndarray, "seed"] | None = None,
) -> Estimate:
    """Mean over seeds and images, as it holds for new seeds and for images by new writers.

    Seeds are crossed with writers in a two-way layout. As writers wrote different numbers of images, the mean
    is a ratio of totals; a writer counts by how far its total lies from the mean times its images (the
    linearised ratio estimator: Cochran 1977, "Sampling Techniques", chapters 6 and 9A). Variance and degrees
    of freedom are those of `crossed_interval`, with writers in the place of images.

    values: 1 where an image was given its own class and 0 where not; or the difference of two networks; or
            either weighted, as long as every seed's mean is what is to be estimated, [seed, image]
    writer: number of each image's writer, [image]
    by_seed: as of `crossed_interval`
    No interval for one seed or one writer.
    """
    return _crossed(_cells(np.asarray(values, np.float64), writer), by_seed)


def series_interval(
    values: Num[np.ndarray, "seed image"],
    writer: Int[np.ndarray, "image"],
    first: Bool[np.ndarray, "image"],
) -> Estimate:
    """Mean over some images less that over the others, for new seeds and new writers of either kind.

    Each writer wrote images of one kind alone. The rest is as of `writers_interval`.

    first: which images are of the first kind, [image]; some are, and some are not
    """
    numbers = np.asarray(values, np.float64)
    first_cells, other_cells = (_cells(numbers[:, kind], writer[kind]) for kind in (first, ~first))
    # A writer of one kind adds nothing to the mean of the other. Cells are shares in a mean over writers:
    # where that mean is over writers of both kinds, each share must be as much larger.
    writers = first_cells.shape[1] + other_cells.shape[1]
    first_means, other_means = (cells.mean(axis=1, keepdims=True) for cells in (first_cells, other_cells))
    shares = [
        (first_cells - first_means) * writers / first_cells.shape[1],
        (other_means - other_cells) * writers / other_cells.shape[1],
    ]  # [seed, writer] each
    return _crossed(np.concatenate(shares, axis=1) + (first_means - other_means))


def design_factor(values: Num[np.ndarray, "seed image"], writer: Int[np.ndarray, "image"]) -> float:
    """How many times the variance over writers is that of as many images by as many writers; seeds together.

    Of accuracies, the latter is the binomial's, p (1 - p) / n (Kish 1965, "Survey Sampling", section 8.2: the
    design effect). About 1 where images by one writer are no more alike than others; NaN where nothing
    varies, or for one writer.

    values: of one network or of several, [seed, image], as of `writers_interval`
    writer: number of each image's writer, [image]
    """
    numbers = np.asarray(values, np.float64)
    cells = _cells(numbers, writer)  # [seed, writer]
    images, writers = numbers.shape[1], cells.shape[1]
    if writers < 2:
        return math.nan
    of_images = float(numbers.var(axis=1).sum()) / images
    of_writers = float(cells.var(axis=1, ddof=1).sum()) / writers
    return of_writers / of_images if of_images else math.nan


def new_images_note(factors: tuple[float, float] = DIFFERENCE_FACTORS) -> str:
    """What to say of an interval on new images where it is not known who wrote them.

    factors: least and largest design factor measured: DIFFERENCE_FACTORS for the difference of two networks,
             ACCURACY_FACTORS for an accuracy
    """
    low, high = (math.sqrt(max(factor, 1.0)) for factor in factors)
    return (
        "The interval on new images takes all images as independent, but images by one writer are alike: "
        f"for new writers it is too narrow by a factor of {low:.1f} to {high:.1f}, as measured on the "
        "exercise's networks with QMNIST's writers."
    )


def _cells(
    values: Float64[np.ndarray, "seed image"], writer: Int[np.ndarray, "image"]
) -> Float64[np.ndarray, "seed writer"]:
    """Each writer's share in a seed's mean, such that the mean over writers is that over images."""
    numbers, place = np.unique(writer, return_inverse=True)
    means = values.mean(axis=1, keepdims=True)  # [seed, 1]
    totals = np.stack([np.bincount(place, row, len(numbers)) for row in values - means])  # [seed, writer]
    return np.asarray(means + totals * len(numbers) / values.shape[1])


def _crossed(
    cells: Float64[np.ndarray, "seed writer"], by_seed: Float64[np.ndarray, "seed"] | None = None
) -> Estimate:
    return crossed_interval(cells, np.zeros_like(cells), by_seed)
