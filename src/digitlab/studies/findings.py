"""A study that is done -> its findings: hands its analysis all that it reads."""

from collections.abc import Sequence

from digitlab.analysis.conditions import About, Evidence, Reference
from digitlab.analysis.findings import StudyFindings
from digitlab.analysis.registry import ANALYSES
from digitlab.data import Writers, load_writers, registry
from digitlab.errors import DataError
from digitlab.handout import EPOCHS, handout_runs
from digitlab.result import RunResult
from digitlab.store import Store
from digitlab.studies.definition import Study
from digitlab.studies.stages import Stage


def findings(study: Study, scale: str, stage: Stage, store: Store) -> StudyFindings:
    """What a study says that is done.

    scale: the name under which the study was taken
    """
    return ANALYSES[study.analysis].find(_evidence(study, scale, stage, store))


def _evidence(study: Study, scale: str, stage: Stage, store: Store) -> Evidence:
    analysis, conditions = ANALYSES[study.analysis], stage.conditions
    reports = [run for condition in conditions for runs in condition.reported for run in runs]
    names = {run.spec.data.name for condition in conditions for run in condition.runs}
    labels, predictions, measured = b"", {}, {}
    if analysis.reads_predictions and reports:
        labels = registry.load(reports[0].spec.data.name).test.labels.tobytes()
        predictions = store.predictions([run.key for run in reports])
    if analysis.measurement:
        specs = analysis.networks_to_measure(conditions)
        measured = store.measurements([spec.key for spec in specs], analysis.measurement)
    return Evidence(
        about=About(
            study.name, study.title, study.question, scale, study.baseline, study.target, stage.notes
        ),
        conditions=conditions,
        measurements=measured,
        predictions=predictions,
        labels=labels,
        references=(_handout(),) if names == {"mnist"} else (),
        writers=_writers(study, reports),
    )


def _writers(study: Study, runs: Sequence[RunResult]) -> Writers | None:
    """Who wrote the images, where the analysis asks for it, or says more if it is known.

    Raises what `load_writers` raises, where the analysis cannot do without.
    """
    analysis = ANALYSES[study.analysis]
    if not (runs and (analysis.reads_writers or analysis.reads_predictions)):
        return None
    try:
        return load_writers(runs[0].spec.data.name)
    except DataError:
        if analysis.reads_writers:
            raise
        return None


def _handout() -> Reference:
    accuracy = {len(run.hidden): run.accuracy for run in handout_runs()}
    return Reference("the handout's runs", f"one run each of {EPOCHS} epochs at rate 0.01", accuracy)
