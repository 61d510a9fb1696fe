"""The registry of analyses: what each is called, what it reads, and where its findings are made.

A new analysis is a module in `analysis/studies` with a function `find`, and a line here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from digitlab.analysis.conditions import Condition, Evidence
from digitlab.analysis.findings import StudyFindings
from digitlab.spec import RunSpec


@dataclass(frozen=True)
class Analysis:
    """One kind of study.

    name:              as a study file says it
    module:            of `analysis/studies`. Its `find(evidence)` makes the findings; with a measurement, its
                       `networks_to_measure(conditions)` says on which networks. Loaded when it is called,
                       for it brings SciPy along
    measurement:       what is measured on networks besides the results, by the name under which a store keeps
                       it; "" for nothing
    reads_predictions: whether it compares networks image by image
    reads_writers:     whether it asks who wrote the images
    """

    name: str
    module: str
    measurement: str = ""
    reads_predictions: bool = False
    reads_writers: bool = False

    def find(self, evidence: Evidence) -> StudyFindings:
        """What a study says that is done."""
        return cast("StudyFindings", import_module(self.module).find(evidence))

    def networks_to_measure(self, conditions: Sequence[Condition]) -> list[RunSpec]:
        """The runs on whose networks something is measured, once all results are known."""
        if not self.measurement:
            return []
        return cast("list[RunSpec]", import_module(self.module).networks_to_measure(conditions))


NOISE_SCALE = "gradient noise scale on the images trained on"
"""The measurement that `engine.noise_scale` makes."""

_STUDIES = f"{__package__}.studies"
_ANALYSES = (
    Analysis("batch-lr", f"{_STUDIES}.batch_rate", measurement=NOISE_SCALE),
    Analysis("train-size", f"{_STUDIES}.train_size"),
    Analysis("depth", f"{_STUDIES}.depth", reads_predictions=True),
    Analysis("parameters", f"{_STUDIES}.parameters"),
    Analysis("writers", f"{_STUDIES}.writers", reads_predictions=True, reads_writers=True),
    Analysis("comparison", f"{_STUDIES}.comparison"),
)
ANALYSES = {analysis.name: analysis for analysis in _ANALYSES}
