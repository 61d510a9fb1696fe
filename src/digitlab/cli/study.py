"""`digitlab study`: run, list, show and make studies."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.choices import DEVICES, SCALES, STUDIES, one_of, studies, studies_or_all
from digitlab.cli.engines import WorkersOption
from digitlab.cli.outputs import OutputOption, checked_output, output_file
from digitlab.cli.stores import StoreOption, is_there, opened
from digitlab.cli.terminal import JsonOption, json_text, many_progress, print_json, stderr, stdout
from digitlab.errors import Fault, SpecError

if TYPE_CHECKING:
    from digitlab.analysis.findings import StudyFindings
    from digitlab.result import RunResult
    from digitlab.store import Store
    from digitlab.studies import Study
    from digitlab.studies.stages import Stage

study_app = typer.Typer(help="Run, list, show and make studies.", no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME|FILE", autocompletion=studies, help="A built-in study, or a TOML file.")
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="|".join(SCALES),
        autocompletion=one_of(SCALES),
        help="A first look, or the study.",
        show_default="full where the study has it, else its first",
    ),
]
SeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        min=1,
        help="Fresh seeds to report; rates are tuned on no more.",
        show_default="as the study says",
    ),
]


def read(
    name: str, scale: str | None, seeds: int | None = None, hidden: str | None = None
) -> "tuple[Study, str]":
    """The study of this name or file, with the changes that options ask for, at a scale; and which that is.

    scale: None: the study's usual one
    """
    from digitlab.studies import Study, read_study

    whole = read_study(name)
    at = scale or whole.usual_scale
    study = whole.at(at)
    document = study.model_dump(by_alias=True, exclude_unset=True)
    if seeds is not None:
        document["seeds"] = {"tune": min(seeds, study.seeds.tune), "report": seeds}
    if hidden is not None:
        if any(all("hidden" in level for level in axis.all_levels) for axis in study.axes):
            raise SpecError([Fault("hidden", hidden, f"is what {study.name} varies; leave it out")])
        document["fixed"] = {
            **study.fixed,
            "hidden": [_width(text) for text in hidden.split(",") if hidden.strip()],
        }
    return Study.model_validate(document), at


def _width(text: str) -> int | str:
    """What is no number stays a text, for the RunSpec to refuse."""
    try:
        return int(text)
    except ValueError:
        return text


@study_app.command()
def run(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE|all",
            autocompletion=studies_or_all,
            help="A built-in study, a TOML file, or all built-in ones.",
        ),
    ],
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    hidden: Annotated[
        str | None, typer.Option("--hidden", metavar="N,N,…", help="Other hidden layers than the study's.")
    ] = None,
    workers: WorkersOption = None,
    device: Annotated[
        str, typer.Option(metavar="|".join(DEVICES), autocompletion=one_of(DEVICES), help="Where to compute.")
    ] = "cpu",
    time_limit: Annotated[
        float | None, typer.Option(metavar="MINUTES", min=0, help="Stop after so long; the next run goes on.")
    ] = None,
    store: StoreOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Run a study: train what the store lacks, and say what was found."""
    from dataclasses import asdict

    from digitlab.cli.findings import print_findings
    from digitlab.studies import built_in_names

    checked_output(output, json=json)
    told: list[str] = []

    def tell(document: object) -> None:
        told.append(json_text(document))
        print_json(told[-1] if output is None else "\n".join(told), output)

    names = built_in_names() if name == "all" else (name,)
    studies = [read(one, scale, seeds, hidden) for one in names]
    if dry_run:
        with _looked_into(store) as known:
            for study, at in studies:
                _announce(study, *_state(study, known), workers)
                if json:
                    tell(_status(study, at, *_state(study, known)))
        return
    with opened(store) as place:
        end = math.inf if time_limit is None else time.monotonic() + 60 * time_limit
        for study, at in studies:
            found = run_one(study, at, place, workers=workers, device=device, end=end)
            if found is None:
                return
            if json:
                tell(asdict(found))
            else:
                print_findings(found)


def _status(study: "Study", scale: str, planned: int, stage: "Stage") -> dict[str, object]:
    """How far a study is, for JSON."""
    return {
        "name": study.name,
        "title": study.title,
        "question": study.question,
        "scale": scale,
        "planned": planned,
        "known": stage.known_count,
        "missing": len(stage.missing),
        "stage": stage.title,
        "is_done": stage.is_done,
        "notes": stage.notes,
    }


def run_one(
    study: "Study",
    scale: str,
    place: "Store",
    *,
    workers: int | None,
    device: str,
    end: float = math.inf,
) -> "StudyFindings | None":
    """Run one study; what was found, or None when the time was over before it was done.

    end: no cohort is waited for beyond this moment of `time.monotonic`
    """
    from digitlab.studies.findings import findings

    planned, stage = _state(study, place)
    _announce(study, planned, stage, workers)
    if not stage.is_done:
        stage = _pursue(study, place, workers=workers, device=device, end=end)
    if not stage.is_done:
        stderr().print(
            f"{study.name}: the time is over; {len(stage.missing):,} runs are left of this stage "
            f"({stage.title}). Run it again to go on."
        )
        return None
    return findings(study, scale, stage, place)


def _announce(study: "Study", planned: int, stage: "Stage", workers: int | None) -> None:
    known = stage.known_count
    said = f"{study.name}: {planned:,} runs planned"
    if stage.is_done:
        stderr().print(f"{said}; all {stage.run_count:,} that it needs are known")
        return
    # Loaded here, for only a study that lacks runs needs an engine.
    from digitlab import lab
    from digitlab.engine.device import usable_cores

    estimate = lab.estimated(stage.missing, workers=workers or usable_cores())
    left = _duration(estimate.seconds * max(1.0, (planned - known) / len(stage.missing)))
    stderr().print(
        f"{said}, {known:,} known; about {left} and {estimate.memory_bytes / 1e9:.1f} GB of memory"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


class _Watch:
    """What the bar of a running study shows besides its share: best accuracy so far, and what broke."""

    def __init__(self) -> None:
        self.best, self.diverged, self.collapsed = 0.0, 0, 0

    def see(self, results: Sequence["RunResult"]) -> None:
        for result in results:
            self.diverged += result.outcome == "diverged"
            self.collapsed += result.outcome == "collapsed"
            accuracy = result.metrics.validation_accuracy
            if accuracy is not None and accuracy > self.best:
                self.best = accuracy

    def figures(self) -> list[str]:
        """For the bar, the most important first."""
        return [f"best {self.best:.4f}", f"diverged {self.diverged}", f"collapsed {self.collapsed}"]


def _pursue(study: "Study", place: "Store", *, workers: int | None, device: str, end: float) -> "Stage":
    from digitlab.studies.runner import run_study

    watch = _Watch()
    told: set[str] = set()

    def on_stage(stage: "Stage") -> None:
        for note in stage.notes:
            if note not in told:
                told.add(note)
                stderr().print(f"{study.name}: {note}")
        if not stderr().is_terminal:  # no bar shows that it goes on
            stderr().print(f"{study.name}: {stage.title}, {len(stage.missing):,} runs")

    with many_progress(study.name, watch.figures) as on_advance:
        return run_study(
            study,
            place,
            device=device,
            workers=workers,
            seconds_limit=end - time.monotonic(),
            on_stage=on_stage,
            on_results=watch.see,
            on_advance=on_advance,
        )


@study_app.command("list")
def list_(json: JsonOption = False, output: OutputOption = None, store: StoreOption = None) -> None:
    """List the built-in studies, and how far the store knows them."""
    from digitlab.cli.tables import print_table
    from digitlab.studies import built_in_names, read_study

    checked_output(output, json=json)
    rows, documents = [], []
    with _looked_into(store) as place:
        for name in built_in_names():
            whole = read_study(name)
            for i, scale in enumerate(whole.scales or ["full"]):
                planned, stage = _state(whole.at(scale), place)
                head = (name, whole.question) if i == 0 else ("", "")
                rows.append((*head, scale, f"{planned:,}", f"{stage.known_count:,}"))
                documents.append(_status(whole, scale, planned, stage))
    if json:
        print_json(documents, output)
    else:
        print_table("lllrr", ("name", "question", "scale", "runs", "known"), rows)


@contextmanager
def _looked_into(path: Path | None) -> Iterator["Store | None"]:
    """The store, or None where there is none: who only looks makes none."""
    if not is_there(path):
        yield None
        return
    with opened(path, must_exist=True) as place:
        yield place


def _state(study: "Study", place: "Store | None") -> tuple[int, "Stage"]:
    """How many runs the study has before any range grows, and the stage that is due."""
    from digitlab.studies.progress import StudyProgress
    from digitlab.studies.stages import NothingKnown

    progress = StudyProgress(study, place if place is not None else NothingKnown())
    return progress.planned_count, progress.stage()


@study_app.command()
def status(
    name: NameArgument,
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    store: StoreOption = None,
) -> None:
    """Say how far a study is."""
    checked_output(output, json=json)
    study, scale = read(name, scale, seeds)
    with _looked_into(store) as place:
        planned, stage = _state(study, place)
    if json:
        print_json(_status(study, scale, planned, stage), output)
        return
    stdout().print(
        f"{study.name}, {scale}: {planned:,} runs planned, {stage.known_count:,} known of those that are due"
    )
    stdout().print("done" if stage.is_done else f"next: {stage.title}, {len(stage.missing):,} runs")
    for note in stage.notes:
        stdout().print(note)


@study_app.command()
def show(
    name: NameArgument,
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    store: StoreOption = None,
) -> None:
    """Show what a study found; what it varies, while it is not done."""
    from dataclasses import asdict

    from digitlab.cli.findings import print_findings
    from digitlab.studies.findings import findings

    checked_output(output, json=json)
    study, scale = read(name, scale, seeds)
    with _looked_into(store) as place:
        planned, stage = _state(study, place)
        if place is not None and stage.is_done:
            found = findings(study, scale, stage, place)
            if json:
                print_json(asdict(found), output)
            else:
                print_findings(found)
            return
    if json:
        document = {**_status(study, scale, planned, stage), "study": study.model_dump(mode="json")}
        print_json(document, output)
        return
    out = stdout()
    out.print(f"{study.title}\n{study.question}\n")
    out.print("fixed: " + ", ".join(f"{name} {value}" for name, value in study.fixed.items()))
    for axis in study.axes:
        labels = ", ".join(str(level["label"]) for level in axis.all_levels)
        out.print(f"{axis.name}{' (tuned)' if axis.tune else ''}: {labels}")
    out.print(f"seeds: {study.seeds.tune} to tune on, {study.seeds.report} to report")
    out.print(
        f"{planned:,} runs planned, {stage.known_count:,} known; "
        f"`digitlab study run {name} --scale {scale}` trains the rest"
    )


@study_app.command()
def new(
    file: Annotated[Path, typer.Argument(help="The file to write, such as my-study.toml.")],
    like: Annotated[
        str,
        typer.Option(
            "--like", metavar="NAME", autocompletion=one_of(STUDIES), help="The built-in study to copy."
        ),
    ] = "parameters",
) -> None:
    """Copy a built-in study into a file, to start from."""
    from digitlab.studies import built_in_text

    text = built_in_text(like)
    if file.suffix != ".toml":
        raise SpecError([Fault("file", str(file), "is no name for a study; let it end in .toml")])
    with output_file(file, is_new=True) as target:
        target.write(text.encode())
    stdout().print(f"wrote {file}; run it with `digitlab study run {file}`", soft_wrap=True)
