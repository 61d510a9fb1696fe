"""A study on its way: which stage is due, given what is known."""

from dataclasses import dataclass, replace

from digitlab.analysis.registry import ANALYSES
from digitlab.studies.definition import Study
from digitlab.studies.stages import Asked, Known, NothingKnown, Stage
from digitlab.studies.strategies import STRATEGIES


class StudyProgress:
    """First the runs that the strategy asks for, then what the analysis wants measured on their networks.

    Raises SpecError when the study cannot be run.
    """

    def __init__(self, study: Study, known: Known) -> None:
        self._analysis, self._known = ANALYSES[study.analysis], known
        self._strategy = STRATEGIES["around-optimum"](study)

    @property
    def planned_count(self) -> int:
        """How many runs the study has before any range grows."""
        return self._strategy.planned_count

    def asked(self) -> tuple[Asked, ...]:
        """What the strategy has asked for up to the stage that was due last."""
        return self._strategy.asked()

    def stage(self) -> Stage:
        """The stage that is due."""
        stage = self._strategy.next(self._known)
        name = self._analysis.measurement
        if stage.missing or not name:
            return stage
        specs = {spec.key: spec for spec in self._analysis.networks_to_measure(stage.conditions)}
        measured = self._known.measurements(list(specs), name)
        missing = tuple(spec for key, spec in specs.items() if key not in measured)
        if not missing:
            return stage
        return replace(stage, title=name, missing=missing, measurement=name)


@dataclass(frozen=True)
class Status:
    """How far a study is.

    planned_count: runs that it has before any range grows
    stage:         what is due
    """

    planned_count: int
    stage: Stage


def status(study: Study, known: Known | None) -> Status:
    """How far a study is. Raises SpecError when it cannot be run.

    known: what is known already; None: nothing
    """
    progress = StudyProgress(study, known if known is not None else NothingKnown())
    return Status(progress.planned_count, progress.stage())
