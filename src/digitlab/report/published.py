"""Published results of multilayer perceptrons on MNIST: test errors, what each used, and where it stands."""

from dataclasses import dataclass
from typing import Literal

from digitlab.analysis.findings import Table

Means = Literal[
    "plain",
    "deskewed images",
    "distorted images",
    "dropout",
    "adversarial or denoising",
    "committee",
]
"""What was used beyond a network and its training images."""


@dataclass(frozen=True)
class Published:
    """One result: the network, its test error in percent, what was used, and the source.

    used:  the kind of it
    how:   the same in more words, where there are more ("" where not)
    brief: the first author and the year
    """

    network: str
    error: float
    used: Means
    how: str
    brief: str
    source: str


_LECUN = ("LeCun 1998", "LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86, and LeCun's page of results")
_SIMARD = ("Simard 2003", "Simard, Steinkraus & Platt 2003, ICDAR")
_SRIVASTAVA = ("Srivastava 2014", "Srivastava et al. 2014, JMLR 15")

PUBLISHED = (
    Published("linear", 12.0, "plain", "", *_LECUN),
    Published("linear", 8.4, "deskewed images", "", *_LECUN),
    Published("300", 4.7, "plain", "squared error", *_LECUN),
    Published("1000", 4.5, "plain", "squared error", *_LECUN),
    Published("1000", 3.8, "distorted images", "squared error", *_LECUN),
    Published("300", 3.6, "distorted images", "squared error", *_LECUN),
    Published("300-100", 3.05, "plain", "", *_LECUN),
    Published("500-150", 2.95, "plain", "", *_LECUN),
    Published("300-100", 2.5, "distorted images", "", *_LECUN),
    Published("500-150", 2.45, "distorted images", "", *_LECUN),
    Published("300", 1.6, "deskewed images", "squared error", *_LECUN),
    Published("800", 1.6, "plain", "cross-entropy", *_SIMARD),
    Published(
        "500-300",
        1.53,
        "plain",
        "cross-entropy, weight decay",
        "Hinton 2005",
        "Hinton 2005, unpublished, on LeCun's page of results",
    ),
    Published("1024-1024-1024", 1.25, "dropout", "ReLU", *_SRIVASTAVA),
    Published("800", 1.1, "distorted images", "affine, cross-entropy", *_SIMARD),
    Published("1024-1024-1024", 1.06, "dropout", "ReLU, max-norm", *_SRIVASTAVA),
    Published("8192-8192", 0.95, "dropout", "ReLU, max-norm", *_SRIVASTAVA),
    Published("maxout", 0.94, "dropout", "2 × 240 units", "Goodfellow 2013", "Goodfellow et al. 2013, ICML"),
    Published("800", 0.9, "distorted images", "elastic, squared error", *_SIMARD),
    Published(
        "maxout",
        0.782,
        "adversarial or denoising",
        "adversarial examples",
        "Goodfellow 2015",
        "Goodfellow, Shlens & Szegedy 2015, ICLR",
    ),
    Published("800", 0.7, "distorted images", "elastic, cross-entropy", *_SIMARD),
    Published(
        "virtual adversarial training",
        0.637,
        "adversarial or denoising",
        "± 0.046",
        "Miyato 2016",
        "Miyato et al. 2016, ICLR",
    ),
    Published(
        "ladder network",
        0.57,
        "adversarial or denoising",
        "± 0.02 between 10 runs",
        "Rasmus 2015",
        "Rasmus et al. 2015, NIPS",
    ),
    Published(
        "ladder network, AMLP",
        0.569,
        "adversarial or denoising",
        "standard error 0.010, 10 runs",
        "Pezeshki 2016",
        "Pezeshki et al. 2016, ICML",
    ),
    Published("25 × 800", 0.39, "committee", "elastic distortions", "Meier 2011", "Meier et al. 2011, ICDAR"),
    Published(
        "2500-2000-1500-1000-500",
        0.35,
        "distorted images",
        "elastic",
        "Cireşan 2010",
        "Cireşan et al. 2010, Neural Computation 22",
    ),
    Published("modest nets", 0.34, "committee", "input transformations", "2013", "ICANN 2013, LNCS 8131"),
    Published(
        "deep networks",
        0.31,
        "committee",
        "elastic distortions, width-normalised",
        "Cireşan 2011",
        "Cireşan et al. 2011, arXiv 1103.4487",
    ),
)
"""From the largest error to the smallest; networks by their hidden layers."""


def published_table() -> Table:
    """All of them, each with its source."""
    return Table(
        title="Published results of multilayer perceptrons on MNIST",
        columns=("hidden layers", "test error, %", "used", "in more words", "source"),
        rows=tuple(
            (result.network, result.error, result.used, result.how or None, result.source)
            for result in PUBLISHED
        ),
        note="From the papers named. Squared error and cross-entropy are the losses that were trained on.",
    )
