"""The exercise's handout: what it prints (`handout.json`) and how ours compare (`comparison`)."""

from digitlab.handout.comparison import (
    EPOCHS,
    SEEDS_FOR_SPREAD,
    Z_LIMIT,
    Figure,
    HandoutRun,
    Spread,
    compare,
    figures_of,
    handout_runs,
    measured_spread,
    spread_of,
)

__all__ = [
    "EPOCHS",
    "SEEDS_FOR_SPREAD",
    "Z_LIMIT",
    "Figure",
    "HandoutRun",
    "Spread",
    "compare",
    "figures_of",
    "handout_runs",
    "measured_spread",
    "spread_of",
]
