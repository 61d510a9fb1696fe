"""How much a laboratory takes at once, and what is said past it."""

from collections.abc import Sequence
from dataclasses import dataclass

from digitlab.errors import DigitlabError, Fault, SpecError
from digitlab.spec import RunSpec


@dataclass(frozen=True)
class LabLimits:
    """How much a laboratory takes at once.

    race_runs:    runs that are submitted together
    queued_runs:  runs that wait or train
    listed_runs:  runs that are shown; of more, those that ended first are no longer
    parameters:   of one network
    race_parameters: of all networks that are submitted together
    steps:        of one run
    evaluations:  points of one run's curve
    visitor_runs: that wait or train for one visitor
    address_runs: that wait or train for all visitors who came in from one network, as a whole class may;
                  fewer than queued_runs by a race of the largest size
    jobs:         studies that wait or run
    networks:     that are trained again at the same time, for their weights
    seconds_again: that such a training may have taken: it cannot be stopped
    """

    race_runs: int = 32
    queued_runs: int = 128
    listed_runs: int = 200
    parameters: int = 4_000_000
    race_parameters: int = 16_000_000
    steps: int = 2_000_000
    evaluations: int = 1_000
    visitor_runs: int = 8
    address_runs: int = 96
    jobs: int = 8
    networks: int = 4
    seconds_again: float = 1_800.0


class BusyError(DigitlabError):
    """There is no room in the queue at the moment.

    position: how many runs are ahead
    seconds:  until there is room, about; None: not known
    """

    def __init__(self, problem: str, position: int, seconds: float | None) -> None:
        self.position, self.seconds = position, seconds
        super().__init__(problem)


class UnknownRunError(DigitlabError):
    """There is no such run, here or in the store."""


def check_size(specs: Sequence[RunSpec], limits: LabLimits) -> None:
    """Raise SpecError when runs that are submitted together are too many, too large or too long."""
    if not specs:
        raise SpecError([Fault("runs", 0, "are none; give at least one")])
    if len(specs) > limits.race_runs:
        raise SpecError([Fault("runs", len(specs), f"are too many at once; give at most {limits.race_runs}")])
    faults = []
    for spec in specs:
        if spec.parent is not None:
            faults.append(Fault("parent", spec.parent.key[:12], "cannot be used here; use the command"))
        if spec.parameter_count > limits.parameters:
            problem = f"makes {spec.parameter_count:,} parameters, too many for the page; use smaller layers"
            faults.append(Fault("hidden", spec.hidden, f"{problem} (at most {limits.parameters:,})"))
        if spec.step_count > limits.steps:
            problem = f"steps are too many for the page; train at most {limits.steps:,}, or use the command"
            faults.append(Fault("epochs", f"{spec.step_count:,}", problem))
        if len(spec.evaluation_steps) > limits.evaluations:
            problem = f"points of a curve are too many for the page; use at most {limits.evaluations:,}"
            faults.append(Fault("evaluate_at", len(spec.evaluation_steps), problem))
    total = sum(spec.parameter_count for spec in specs)
    if not faults and total > limits.race_parameters:
        problem = f"networks make {total:,} parameters together, too many for the page; use fewer or smaller"
        faults.append(Fault("hidden", len(specs), f"{problem} (at most {limits.race_parameters:,})"))
    if faults:
        raise SpecError(list(dict.fromkeys(faults)))
