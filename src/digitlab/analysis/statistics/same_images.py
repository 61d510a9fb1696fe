"""Two networks on the same images: the difference of their accuracies, and whether chance alone makes it.

Images that both classify rightly, or both wrongly, say nothing of which network is the better one: all that
does is the discordant images, on which exactly one of them is right.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import binomtest

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import CONFIDENCE

_NEARLY = 1e-9


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

        The interval is Tango's (1998, "Equivalence test and confidence interval for the difference in
        proportions for the paired-sample design", Statistics in Medicine 17): all differences that the score
        test does not reject. Wald's is too narrow where few images are discordant, and has no width where
        none is.
        """
        z = float(ndtri((1 + CONFIDENCE) / 2))
        value = (self.only_b - self.only_a) / self.images
        return Estimate(value, self._difference_of_score(z), self._difference_of_score(-z))

    def _score(self, difference: float) -> float:
        """Tango's statistic for a difference: standard normal where that is the true one; it falls with it.

        Its variance takes the share of images that A alone gets right as it is likeliest at the difference.
        """
        n, only_a, only_b = self.images, self.only_a, self.only_b
        linear = (2 * n - only_b + only_a) * difference - only_a - only_b
        constant = -only_a * difference * (1 - difference)
        share = (math.sqrt(linear**2 - 8 * n * constant) - linear) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        return (only_b - only_a - n * difference) / math.sqrt(max(variance, 1e-300))

    def _difference_of_score(self, score: float) -> float:
        """The difference whose statistic has this value; the end of what is possible where none has."""
        low, high = -1 + _NEARLY, 1 - _NEARLY
        if self._score(low) <= score:
            return -1.0
        if self._score(high) >= score:
            return 1.0
        return float(brentq(lambda difference: self._score(difference) - score, low, high, xtol=1e-12))

    @property
    def p_value(self) -> float:
        """How likely a split of the discordant images at least as uneven is, were both networks as good.

        McNemar's test (1947, "Note on the sampling error of the difference between correlated proportions",
        Psychometrika 12), exact and two-sided: of the discordant images, each is as likely to be A's as B's,
        so that A's are binomial with 1/2. 1 where no image is discordant.
        """
        return float(binomtest(self.only_a, self.discordant).pvalue) if self.discordant else 1.0
