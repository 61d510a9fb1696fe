"""The contents of a report: findings of the studies that are done, and what belongs to them as a whole."""

import shlex
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields

from digitlab.analysis.findings import Cell, StudyFindings, Table
from digitlab.errors import StoreError
from digitlab.handout import EPOCHS, Comparison, compare_networks, handout_runs
from digitlab.models.inspection import Inspection
from digitlab.models.missed import Missed
from digitlab.options import make_spec
from digitlab.report.document import Report
from digitlab.report.opening import data_name, opening
from digitlab.report.published import published_table
from digitlab.result import Fingerprint, RunResult
from digitlab.spec import NUMERICS_VERSION, RunSpec
from digitlab.store import Store
from digitlab.studies import Study, built_in_names, read_study, run_command
from digitlab.studies.findings import findings
from digitlab.studies.progress import StudyProgress
from digitlab.studies.stages import Stage
from digitlab.version import __version__

_MOST_SEEDS = 64
"""So many seeds of the exercise's networks are looked for in a store, from 0 on."""


@dataclass(frozen=True)
class CompletedStudy:
    """A study that is done, and what it says.

    source:    its name, or its file
    scale:     the name under which it was taken
    seed_base: the first of its seeds, where that was asked for
    """

    study: Study
    source: str
    scale: str
    stage: Stage
    findings: StudyFindings
    seed_base: int | None = None


def completed_study(
    study: Study, scale: str, store: Store, source: str | None = None
) -> CompletedStudy | None:
    """What a study says, if the store knows all of its runs; else None.

    source: where it was read from; by default it is built in
    """
    stage = StudyProgress(study, store).stage()
    return (
        CompletedStudy(study, source or study.name, scale, stage, findings(study, scale, stage, store))
        if stage.is_done
        else None
    )


def completed_studies(
    names: Sequence[str],
    scale: str | None,
    store: Store,
    on_left_out: Callable[[str, str], None] = lambda _name, _scale: None,
) -> list[CompletedStudy]:
    """The studies that are done, of those named; of all built-in ones where none is named.

    scale:       None: of each the usual one if it is done, else another
    on_left_out: told the name of each that was named and is not done, and a scale to run it at
    Raises SpecError when there is no such study, StoreError when none is done.
    """
    found: list[CompletedStudy] = []
    for name in names or built_in_names():
        whole = read_study(name)
        scales = scales_to_try(whole, scale)
        at_scales = (completed_study(whole.at(scale_name), scale_name, store, name) for scale_name in scales)
        done = next((completed for completed in at_scales if completed), None)
        if done:
            found.append(done)
        elif names:
            on_left_out(name, scales[-1])
    if not found:
        raise StoreError(
            "no study is done in this store; `digitlab study run all --scale quick` takes some minutes"
        )
    return found


def scales_to_try(study: Study, scale: str | None) -> list[str]:
    """The scale that is named; else all that a study has, the usual one first."""
    usual = study.usual_scale
    return [scale] if scale else [usual, *(other for other in study.scales if other != usual)]


def example_network(studies: Sequence[CompletedStudy]) -> RunSpec | None:
    """The reported network of the best validation loss that has a hidden layer."""
    runs = [run for study in studies for condition in study.stage.conditions for run in condition.reports]
    candidates = [
        (run.metrics.validation_loss, run.key, run.spec)
        for run in runs
        if run.spec.hidden and run.outcome == "completed" and run.metrics.validation_loss is not None
    ]
    return min(candidates, key=lambda candidate: candidate[:2])[2] if candidates else None


def networks_beside(studies: Sequence[CompletedStudy], shown: RunSpec) -> list[str]:
    """Keys of an example's condition: its reported networks, which differ in their seeds."""
    for study in studies:
        for condition in study.stage.conditions:
            if any(run.spec == shown for run in condition.reports):
                return [run.key for run in condition.reports if run.outcome == "completed"]
    return []


def report(
    studies: Sequence[CompletedStudy],
    examples: Sequence[Inspection],
    store: Store | None,
    exercise: Comparison | None = None,
    replications: Sequence[Table] = (),
    missed: Missed | None = None,
) -> Report:
    """The whole report.

    replications: studies beside themselves with other seeds
    missed:   test images that all networks like the example get wrong
    store:    where the exercise's networks may be known; None where there is no store
    exercise: the exercise's networks, which come before those of the store
    """
    of_studies = [run for study in studies for run in runs_of(study.stage)]
    if exercise is None and store is not None:
        exercise = known_exercise(store, {run.spec.data.name for run in of_studies})
    results = [*(exercise.results if exercise else ()), *of_studies]
    machines = _machines(results)
    data = {result.spec.data.name for result in results}
    return Report(
        title=f"Multilayer perceptrons on {' and '.join(sorted(map(data_name, data)))}, measured",
        introduction=_introduction(studies, len({run.key for run in of_studies})),
        tables=(
            *([_handout_table(exercise)] if exercise else []),
            *replications,
            *([published_table()] if "mnist" in data else []),
            _provenance(machines, results),
        ),
        studies=tuple(study.findings for study in studies),
        examples=tuple(examples),
        commands=(
            *([_exercise_command(exercise, has_studies=bool(studies))] if exercise else []),
            *(run_command(study.source, study.scale, seed_base=study.seed_base) for study in studies),
            *([_report_command(studies)] if studies else []),
        ),
        mixture=(
            f"These results come from {len(machines)} kinds of machine or versions; see the table of where "
            "they come from. Runs are bit-identical within one kind only."
            if len(machines) > 1
            else ""
        ),
        opening=opening(exercise, [study.findings for study in studies]),
        missed=missed,
    )


def known_exercise(store: Store, data_names: Iterable[str]) -> Comparison | None:
    """The exercise's networks as a store knows them, of every seed from 0 on; None where it knows none.

    data_names: of the data that the rest is about; beside other data there is no place for these networks
    """
    specs = {
        (run.hidden, seed): make_spec(hidden=run.hidden, seed=seed)
        for run in handout_runs()
        for seed in range(_MOST_SEEDS)
    }
    if not any(spec.data.name in data_names for spec in specs.values()):
        return None
    return compare_networks(store.get([spec.key for spec in specs.values()]).values())


def runs_of(stage: Stage) -> Iterable[RunResult]:
    """All runs under a stage's conditions; those that several share come several times."""
    for condition in stage.conditions:
        yield from condition.runs


def _introduction(studies: Sequence[CompletedStudy], run_count: int) -> tuple[str, ...]:
    if not studies:
        return ("The exercise's networks beside the handout's figures.",)
    count = len({study.source for study in studies})
    paragraphs = [
        f"What {'one study says' if count == 1 else f'{count} studies say'} of small neural "
        f"networks, measured on {run_count:,} of them. Intervals are of 95 % confidence.",
    ]
    if any(study.study.tuned for study in studies):
        paragraphs.append(
            "Learning rates were chosen by the validation loss; accuracies are those on the test images, "
            "which took no part in any choice. Intervals hold the choice of the learning rate."
        )
    if any(study.scale == "quick" for study in studies):
        paragraphs.append(
            "Studies at quick scale train on 10,000 images at most, so their accuracies are lower than those "
            "of networks that are trained on all."
        )
    return tuple(paragraphs)


def _report_command(studies: Sequence[CompletedStudy]) -> str:
    sources = dict.fromkeys(shlex.quote(study.source) for study in studies)
    bases = dict.fromkeys(study.seed_base for study in studies if study.seed_base is not None)
    return " ".join(["digitlab report", *sources, *(f"--seed-base {base}" for base in bases)])


def _exercise_command(exercise: Comparison, *, has_studies: bool) -> str:
    epochs = {len(result.curve.step) for result in exercise.results} - {EPOCHS}
    options = "".join(f" --epochs {count}" for count in epochs)
    seeds = f" --seeds {exercise.seeds}" if exercise.seeds > 1 else ""
    return f"digitlab exercise{'' if has_studies else ' --no-studies'}{seeds}{options}"


def _handout_table(exercise: Comparison) -> Table:
    """The first and the last figure of each network, and its accuracy."""
    rows: list[tuple[Cell, ...]] = []
    for network in exercise.networks:
        losses, accuracy = network.losses, network.accuracy
        last = {figure.label: figure for figure in (losses[0], losses[-1])}
        for figure in (*last.values(), *([accuracy] if accuracy else [])):
            spread = figure.spread
            ours = statistics.fmean(figure.ours)
            rows.append((network.handout.name, figure.label, ours, figure.handout, spread.mean, spread.sd))
    one, seeds = exercise.seeds == 1, exercise.spread.seeds
    return Table(
        title="The exercise's networks beside the handout",
        columns=(
            "network",
            "figure",
            f"ours, seed {exercise.results[0].spec.seed}" if one else f"ours, mean of {exercise.seeds} seeds",
            "handout",
            f"mean of {seeds} seeds",
            "standard deviation",
        ),
        rows=tuple(rows),
        note="Mean and standard deviation are those of our own seeds."
        if exercise.has_own_spread
        else "Mean and standard deviation are those of other seeds, measured beforehand.",
    )


def _machines(results: Iterable[RunResult]) -> Counter[Fingerprint]:
    """How many runs come from where: what the bits of a run depend on."""
    distinct = {result.key: result.provenance.fingerprint for result in results}
    return Counter(distinct.values())


def _provenance(machines: Counter[Fingerprint], results: Iterable[RunResult]) -> Table:
    data = sorted({(result.spec.data.name, result.spec.data.sha256) for result in results})
    rows = [astuple(fingerprint) for fingerprint, _ in machines.most_common()]
    recorded = [
        i for i, column in enumerate(zip(*rows, strict=True)) if any(value is not None for value in column)
    ]
    names = [field.name.replace("_", " ") for field in fields(Fingerprint)]
    return Table(
        title="Where the results come from",
        columns=(*(names[i] for i in recorded), "runs"),
        rows=tuple(
            (*(row[i] for i in recorded), count)
            for row, (_, count) in zip(rows, machines.most_common(), strict=True)
        ),
        note=f"Written by digitlab {__version__}, numerics version {NUMERICS_VERSION}. Data: "
        + "; ".join(f"{name}, SHA-256 {digest}" for name, digest in data),
    )
