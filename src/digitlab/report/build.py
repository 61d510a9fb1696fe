"""The contents of a report: findings of the studies that are done, and what belongs to them as a whole."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from digitlab.analysis.findings import Cell, StudyFindings, Table
from digitlab.errors import StoreError
from digitlab.handout import EPOCHS, figures_of, handout_runs, measured_spread
from digitlab.models.inspection import Inspection
from digitlab.options import make_spec
from digitlab.report.document import Report
from digitlab.result import Fingerprint, RunResult
from digitlab.spec import NUMERICS_VERSION, RunSpec
from digitlab.store import Store
from digitlab.studies import Study, built_in_names, read_study, run_command
from digitlab.studies.findings import findings
from digitlab.studies.progress import StudyProgress
from digitlab.studies.stages import Stage
from digitlab.version import __version__

# Test error in percent; each with its source.
_PUBLISHED = (
    ("linear, no preprocessing", 12.0, "LeCun et al. 1998"),
    ("linear, deskewed", 8.4, "LeCun et al. 1998"),
    ("300 hidden, squared error", 4.7, "LeCun et al. 1998"),
    ("1000 hidden, squared error", 4.5, "LeCun et al. 1998"),
    ("300 + 100 hidden", 3.05, "LeCun et al. 1998"),
    ("500 + 150 hidden", 2.95, "LeCun et al. 1998"),
    ("800 hidden, cross-entropy", 1.6, "Simard, Steinkraus & Platt 2003"),
    ("500 + 300, softmax, weight decay", 1.53, "Hinton 2005"),
    ("3 x 1024, ReLU, dropout", 1.25, "Srivastava et al. 2014"),
    ("800 hidden, elastic distortions", 0.7, "Simard, Steinkraus & Platt 2003"),
    ("2500-2000-1500-1000-500, elastic distortions", 0.35, "Cireşan et al. 2010"),
)


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


def report(
    studies: Sequence[CompletedStudy],
    examples: Sequence[Inspection],
    store: Store | None,
    exercise: Sequence[RunResult] = (),
    replications: Sequence[Table] = (),
) -> Report:
    """The whole report.

    replications: studies beside themselves with other seeds
    store:    where the exercise's networks may be known; None where there is no store
    exercise: runs of the exercise's networks, which come before those of the store
    """
    runs = {result.spec.hidden: result for result in reversed(exercise)}
    if store is not None and not runs:
        known = store.get([make_spec(hidden=run.hidden).key for run in handout_runs()])
        runs = {result.spec.hidden: result for result in known.values()}
    results = [*runs.values(), *(run for study in studies for run in runs_of(study.stage))]
    machines = _machines(results)
    data = {result.spec.data.name for result in results}
    return Report(
        title=f"Multilayer perceptrons on {' and '.join(sorted(data))}, measured",
        introduction=_introduction(
            studies, len({run.key for study in studies for run in runs_of(study.stage)})
        ),
        tables=(
            *([_handout_table(runs)] if runs else []),
            *replications,
            *([_published()] if "mnist" in data else []),
            _provenance(machines, results),
        ),
        studies=tuple(study.findings for study in studies),
        examples=tuple(examples),
        commands=(
            *([_exercise_command(runs, has_studies=bool(studies))] if runs else []),
            *(run_command(study.source, study.scale, seed_base=study.seed_base) for study in studies),
            *([_report_command(studies)] if studies else []),
        ),
        mixture=(
            f"These results come from {len(machines)} kinds of machine or versions; see the table of where "
            "they come from. Runs are bit-identical within one kind only."
            if len(machines) > 1
            else ""
        ),
    )


def runs_of(stage: Stage) -> Iterable[RunResult]:
    """All runs under a stage's conditions; those that several share come several times."""
    for condition in stage.conditions:
        yield from condition.runs


def _introduction(studies: Sequence[CompletedStudy], run_count: int) -> tuple[str, ...]:
    if not studies:
        return ("The exercise's networks, trained once each, beside the handout's figures.",)
    count = len({study.source for study in studies})
    paragraphs = [
        f"What {'one study says' if count == 1 else f'{count} studies say'} of small neural "
        f"networks, measured on {run_count:,} of them. Intervals are of 95 % confidence.",
    ]
    if any(study.study.tuned for study in studies):
        paragraphs.append(
            "Learning rates were chosen by the validation loss on some seeds, and accuracies are those of "
            "other seeds on the test set, which took no part in any choice."
        )
    if any(study.scale == "quick" for study in studies):
        paragraphs.append(
            "Studies at quick scale train on few images with few seeds: they show the direction, and wide "
            "intervals."
        )
    return tuple(paragraphs)


def _report_command(studies: Sequence[CompletedStudy]) -> str:
    sources = dict.fromkeys(shlex.quote(study.source) for study in studies)
    bases = dict.fromkeys(study.seed_base for study in studies if study.seed_base is not None)
    return " ".join(["digitlab report", *sources, *(f"--seed-base {base}" for base in bases)])


def _exercise_command(runs: Mapping[tuple[int, ...], RunResult], *, has_studies: bool) -> str:
    epochs = {len(result.curve.step) for result in runs.values()}
    options = "".join(f" --epochs {count}" for count in epochs - {EPOCHS})
    return f"digitlab exercise{'' if has_studies else ' --no-studies'}{options}"


def _handout_table(runs: Mapping[tuple[int, ...], RunResult]) -> Table:
    """runs: of the exercise's networks, by their hidden layers."""
    rows: list[tuple[Cell, ...]] = []
    seeds = 0
    for run in handout_runs():
        result = runs.get(run.hidden)
        if result is None:
            continue
        ours = figures_of(result.curve.training_loss, result.metrics.test_accuracy)
        theirs, spread = figures_of(run.training_loss, run.accuracy), measured_spread(run.name)
        last = min(len(result.curve.training_loss), EPOCHS) - 1
        for label in (f"loss at epoch {last}", "test accuracy"):
            if label in ours:  # the accuracy is, after as many epochs as the handout's
                seeds_spread = spread[label]
                rows.append((run.name, label, ours[label], theirs[label], seeds_spread.mean, seeds_spread.sd))
                seeds = seeds_spread.seeds
    return Table(
        title="The exercise's networks beside the handout",
        columns=(
            "network",
            "figure",
            "ours, seed 0",
            "handout",
            f"mean of {seeds} seeds",
            "standard deviation",
        ),
        rows=tuple(rows),
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


def _published() -> Table:
    return Table(
        title="Published results of multilayer perceptrons on MNIST",
        columns=("network", "test error, %", "source"),
        rows=_PUBLISHED,
        note="From the papers named and Y. LeCun's page of results.",
    )
