"""Strategies: which runs a study needs next. `interface` is the contract; each other module is a strategy.

A new strategy is a module here and a line in STRATEGIES.
"""

from collections.abc import Callable

from digitlab.studies.definition import Study
from digitlab.studies.strategies.around_optimum import AroundOptimum
from digitlab.studies.strategies.interface import Strategy

STRATEGIES: dict[str, Callable[[Study], Strategy]] = {"around-optimum": AroundOptimum}
"""By name. Each raises SpecError when the study cannot be run."""

__all__ = ["STRATEGIES", "Strategy"]
