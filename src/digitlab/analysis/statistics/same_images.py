"""Two networks on the same images: the difference of their accuracies, and whether chance alone makes it.

Images that both classify rightly, or both wrongly, say nothing of which network is the better one: all that
does is the discordant images, on which exactly one of them is right.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy.special import ndtri
from scipy.stats import binomtest

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import CONFIDENCE


@dataclass(frozen=True)
class SameImages:
    """How many of the same images each of two networks, A and B, classifies rightly."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @classmethod
    def of(cls, a_right: Bool[np.ndarray, "image"], b_right: Bool[np.ndarray, "image"]) -> "SameImages":
        """Counted. a_right, b_right: whether each image was given its own class, [image]."""
        both, neither = int((a_right & b_right).sum()), int((~a_right & ~b_right).sum())
        return cls(both, int((a_right & ~b_right).sum()), int((~a_right & b_right).sum()), neither)

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def discordant(self) -> int:
        """On how many exactly one network is right."""
        return self.only_a + self.only_b

    @property
    def difference(self) -> Estimate:
        """Accuracy of B less that of A, a share, with its interval of 95 % over images.

        The interval is Agresti & Min's (2005, "Simple improved confidence intervals for comparing matched
        proportions", Statistics in Medicine 24, section 3): Wald's, of the counts with 1/2 added to each of
        the four. Wald's own is too narrow where few images are discordant, and has no width where none is.
        """
        n = self.images + 2
        only_a, only_b = self.only_a + 0.5, self.only_b + 0.5
        middle = (only_b - only_a) / n
        error = math.sqrt((only_a + only_b) / n - middle**2) / math.sqrt(n)
        reach = float(ndtri((1 + CONFIDENCE) / 2)) * error
        value = (self.only_b - self.only_a) / self.images
        return Estimate(value, max(middle - reach, -1.0), min(middle + reach, 1.0))

    @property
    def p_value(self) -> float:
        """How likely a split of the discordant images at least as uneven is, were both networks as good.

        McNemar's test (1947, "Note on the sampling error of the difference between correlated proportions",
        Psychometrika 12), exact and two-sided: of the discordant images, each is as likely to be A's as B's,
        so that A's are binomial with 1/2. 1 where no image is discordant.
        """
        return float(binomtest(self.only_a, self.discordant).pvalue) if self.discordant else 1.0
