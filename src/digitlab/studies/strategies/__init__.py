"""Strategies: which runs a study needs next. `interface` is the contract; each other module is a strategy.

A new strategy is a module here and a line in STRATEGIES.
"""

from collections.abc import Callable

from digitlab.studies.definition import Study
from digitlab.studies.strategies.interface import Strategy
from digitlab.studies.strategies.tuned_grid import TunedGrid

STRATEGIES: dict[str, Callable[[Study], Strategy]] = {"tuned-grid": TunedGrid}
"""By name. Each raises SpecError when the study cannot be run."""

__all__ = ["STRATEGIES", "Strategy"]
