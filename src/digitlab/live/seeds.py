"""Runs of one network with several seeds: their mean accuracy, and how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitlab.analysis.findings import Estimate
from digitlab.analysis.statistics.intervals import SHARE
from digitlab.analysis.statistics.jackknife import mean_on
from digitlab.live.live_run import LiveRun
from digitlab.live.presets import without_seed


@dataclass(frozen=True)
class OverSeeds:
    """How well a network does over its seeds.

    count:    of seeds that have ended well
    accuracy: their mean with Student's interval of 95 %; on the validation split, without one on the test set
    """

    count: int
    accuracy: Estimate


def over_seeds(runs: Sequence[LiveRun]) -> OverSeeds | None:
    """The runs of a race over their seeds; None where there are none, or where more than the seed differs."""
    if len({without_seed(run.spec) for run in runs}) != 1:
        return None
    found = [
        run.accuracy
        for run in runs
        if run.status == "done" and run.accuracy is not None and math.isfinite(run.accuracy)
    ]
    return OverSeeds(len(found), mean_on(np.array(found), SHARE))
