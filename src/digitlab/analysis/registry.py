"""What a study says that is done: its conditions, and what was measured besides, to its analysis."""

from digitlab.analysis.conditions import About, by_label
from digitlab.analysis.findings import StudyFindings
from digitlab.analysis.studies import batch_rate, depth, parameters, train_size
from digitlab.data import registry
from digitlab.spec import RunSpec
from digitlab.store import Store
from digitlab.studies import Study
from digitlab.studies.expansion import geometric_steps
from digitlab.studies.progress import Stage, spec_until

NOISE = "gradient noise scale on the images trained on"
"""The name under which a store keeps what was measured."""
_NOISE_BATCH = 128
_NOISE_POINTS = 6


def findings(study: Study, scale: str, stage: Stage, store: Store) -> StudyFindings:
    """What a study says that is done.

    scale: the name under which the study was taken
    """
    about = About(study.name, study.title, study.question, scale, study.baseline, study.target, stage.notes)
    if study.analysis == "batch-lr":
        return batch_rate.find(about, stage.conditions, _noise(stage, store))
    if study.analysis == "train-size":
        return train_size.find(about, stage.conditions)
    if study.analysis == "depth":
        reports = [run for one in stage.conditions for run in one.reports]
        labels = registry.load(reports[0].spec.data.name).test.labels.tobytes() if reports else b""
        return depth.find(about, stage.conditions, store.predictions([run.key for run in reports]), labels)
    return parameters.find(about, stage.conditions)


def noise_specs(stage: Stage) -> dict[int, list[RunSpec]]:
    """The runs on whose networks the gradient noise scale is measured, by how many steps they take.

    Those of the first budget, at the batch size nearest to 128 and its best rate, stopped on the way.
    """
    first = next(iter(by_label(stage.conditions, "budget").values()))
    chosen = [one for one in first if one.chosen is not None]
    if not chosen:
        return {}
    near = min(chosen, key=lambda one: abs(one.tunings[0][0].spec.batch_size - _NOISE_BATCH))
    at = near.rates.index(near.chosen) if near.chosen is not None else 0
    specs = [runs[at].spec for runs in near.tunings]
    steps = geometric_steps(specs[0].step_count, _NOISE_POINTS)
    return {step: [spec_until(spec, step) for spec in specs] for step in steps}


def unmeasured(study: Study, stage: Stage, store: Store) -> list[RunSpec]:
    """The runs on whose networks something is still to be measured, once all results are known."""
    if study.analysis != "batch-lr" or not stage.is_done:
        return []
    asked = [spec for specs in noise_specs(stage).values() for spec in specs]
    known = store.measurements([spec.key for spec in asked], NOISE)
    return [spec for spec in asked if spec.key not in known]


def _noise(stage: Stage, store: Store) -> dict[int, list[float]]:
    asked = noise_specs(stage)
    measured = store.measurements([spec.key for specs in asked.values() for spec in specs], NOISE)
    found = {
        step: [measured[spec.key]["noise_scale"] for spec in specs if spec.key in measured]
        for step, specs in asked.items()
    }
    return {step: values for step, values in found.items() if values}
