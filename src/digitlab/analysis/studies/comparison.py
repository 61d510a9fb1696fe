"""Studies of one's own: two axes crossed are read as a grid, all others setting by setting."""

from digitlab.analysis.conditions import Evidence
from digitlab.analysis.findings import StudyFindings
from digitlab.analysis.studies import parameters, two_way
from digitlab.analysis.studies.grid import grid_of


def find(evidence: Evidence) -> StudyFindings:
    """What the study says."""
    grid = grid_of(evidence.conditions, evidence.about.baseline)
    return parameters.find(evidence) if grid is None else two_way.find(evidence, grid)
