"""Studies of one's own: two axes crossed are read as a grid, all others setting by setting."""

from digitlab.analysis.conditions import Evidence
from digitlab.analysis.findings import StudyFindings
from digitlab.analysis.studies import parameters, two_way


def find(evidence: Evidence) -> StudyFindings:
    """What the study says."""
    grid = two_way.grid_of(evidence.conditions, evidence.about.baseline)
    return parameters.find(evidence) if grid is None else two_way.find(evidence, grid)
