"""The exercise's handout: what it prints (`handout.json`), and how ours compare, by figure and by network."""

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
from digitlab.handout.networks import ComparedNetwork, Comparison, compare_networks

__all__ = [
    "EPOCHS",
    "SEEDS_FOR_SPREAD",
    "Z_LIMIT",
    "ComparedNetwork",
    "Comparison",
    "Figure",
    "HandoutRun",
    "Spread",
    "compare",
    "compare_networks",
    "figures_of",
    "handout_runs",
    "measured_spread",
    "spread_of",
]
