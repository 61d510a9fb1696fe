"""`digitlab study`: run, list, show and make studies."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.choices import DEVICES, SCALES, STUDIES, one_of, studies, studies_or_all
from digitlab.cli.engines import WorkersOption
from digitlab.cli.fields import numbers
from digitlab.cli.logs import LogOption, logging_to
from digitlab.cli.outputs import OutputOption, checked_output, output_file
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import JsonOption, json_text, many_progress, print_json, stderr, stdout
from digitlab.errors import Fault, SpecError

if TYPE_CHECKING:
    from digitlab.analysis.findings import StudyFindings
    from digitlab.execution.ray.cluster import Cluster
    from digitlab.sinks.opening import See
    from digitlab.store import Store
    from digitlab.studies import Study
    from digitlab.studies.progress import Status
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
        help="Seeds; the range of learning rates is tried on the first few of them.",
        show_default="as the study says",
    ),
]
SeedBaseOption = Annotated[
    int | None,
    typer.Option(
        "--seed-base",
        metavar="N",
        help="The first seed: with another one the study is repeated, and everything is drawn anew.",
        show_default="as the study says, else 0",
    ),
]

OnOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray|auto|ray://HOST:PORT",
        help="Train on a Ray cluster: one started here, the one that runs here, or another.",
        show_default="this machine's worker processes",
        rich_help_panel="Run",
    ),
]


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
    seed_base: SeedBaseOption = None,
    hidden: Annotated[
        str | None, typer.Option("--hidden", metavar="N,N,…", help="Other hidden layers than the study's.")
    ] = None,
    workers: WorkersOption = None,
    device: Annotated[
        str, typer.Option(metavar="|".join(DEVICES), autocompletion=one_of(DEVICES), help="Where to compute.")
    ] = "cpu",
    on: OnOption = None,
    time_limit: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", min=0, help="Stop after this many minutes; the next run continues."),
    ] = None,
    log: LogOption = None,
    store_file: StoreOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Run a study: train what the store lacks, and say what was found."""
    from dataclasses import asdict

    from digitlab.cli.findings import print_findings
    from digitlab.studies import built_in_names, read_study_at
    from digitlab.studies.progress import status
    from digitlab.studies.service import cannot_run

    checked_output(output, json=json)
    printed: list[str] = []

    def tell(document: object) -> None:
        printed.append(json_text(document))
        print_json(printed[-1] if output is None else "\n".join(printed), output)

    names = built_in_names() if name == "all" else (name,)
    layers = None if hidden is None else numbers(hidden)
    studies = [
        read_study_at(study_name, scale, seeds=seeds, seed_base=seed_base, hidden=layers)
        for study_name in names
    ]
    if dry_run:
        with _looked_into(store_file) as known:
            for study, scale_name in studies:
                found = status(study, known)
                _announce(study, found, workers)
                if json:
                    tell(_document(study, scale_name, found))
        return
    with opened(store_file) as store, logging_to(log) as see, _cluster(on, workers, device) as cluster:
        end = math.inf if time_limit is None else time.monotonic() + 60 * time_limit
        for study, scale_name in studies:
            if name == "all" and (missing := cannot_run(study)):
                stderr().print(f"{study.name} is left out: {missing}", soft_wrap=True)
                continue
            left = end - time.monotonic()
            findings = run_and_tell(
                study,
                scale_name,
                store,
                workers=workers,
                device=device,
                on=cluster,
                seconds_limit=left,
                see=see,
            )
            if findings is None:
                return
            if json:
                tell(asdict(findings))
            else:
                print_findings(findings)


@contextmanager
def _cluster(on: str | None, workers: int | None, device: str) -> Iterator["Cluster | None"]:
    """The cluster that is to train, with a word of it; None where this machine is to."""
    if on is None:
        yield None
        return
    from digitlab import lab

    with lab.joined(on, workers=workers, device=device) as cluster:
        nodes = ", ".join(f"{node.name} ({node.slots})" for node in cluster.nodes.values())
        stderr().print(f"Ray: {cluster.slot_count} workers on {nodes}", soft_wrap=True)
        yield cluster


def _document(study: "Study", scale: str, current: "Status") -> dict[str, object]:
    """How far a study is, for JSON."""
    from digitlab.studies.expansion import all_seeds

    stage = current.stage
    return {
        "name": study.name,
        "title": study.title,
        "question": study.question,
        "scale": scale,
        "seeds": list(all_seeds(study)),
        "planned": current.planned_count,
        "known": stage.known_count,
        "missing": len(stage.missing),
        "stage": stage.title,
        "is_done": stage.is_done,
        "notes": stage.notes,
    }


def run_and_tell(
    study: "Study",
    scale: str,
    store: "Store",
    *,
    workers: int | None,
    device: str,
    on: "Cluster | None" = None,
    seconds_limit: float = math.inf,
    see: "See | None" = None,
) -> "StudyFindings | None":
    """Run one study and tell how it goes on; what was found, or None when the time was over before that.

    on:  a cluster whose machines train
    see: takes what happens to its runs, to log it
    """
    from digitlab.studies.service import Tally, run_to_findings

    tally = Tally()
    printed_notes: set[str] = set()

    def on_stage(stage: "Stage") -> None:
        for note in stage.notes:
            if note not in printed_notes:
                printed_notes.add(note)
                stderr().print(f"{study.name}: {note}")
        if not stderr().is_terminal:  # no bar shows that it goes on
            stderr().print(f"{study.name}: {stage.title}, {len(stage.missing):,} runs")

    def tell_notes(cluster: "Cluster") -> None:
        for note in cluster.notes:
            if note not in printed_notes:
                printed_notes.add(note)
                stderr().print(f"{study.name}: {note}", soft_wrap=True)

    def figures() -> list[str]:
        found = [f"best {tally.best:.4f}", f"diverged {tally.diverged}", f"collapsed {tally.collapsed}"]
        if on is not None:
            tell_notes(on)
            found += [f"{rate.node} {rate.runs_a_minute:.0f}/min" for rate in on.rates()]
        return found

    with many_progress(study.name, figures) as on_advance:
        reached = run_to_findings(
            study,
            scale,
            store,
            device=device,
            workers=workers,
            on=on,
            seconds_limit=seconds_limit,
            on_status=lambda current: _announce(study, current, workers),
            on_stage=on_stage,
            on_results=tally.see,
            on_events=see or (lambda _: None),
            on_advance=on_advance,
            on_note=lambda note: stderr().print(f"{study.name}: {note}", soft_wrap=True),
        )
    if on is not None:
        tell_notes(on)
        for rate in on.rates():
            stderr().print(
                f"{study.name}: {rate.node}: {rate.runs:,} runs by {rate.slots} workers, "
                f"{rate.runs_a_minute:.0f} a minute",
                soft_wrap=True,
            )
    if reached.findings is None:
        stderr().print(
            f"{study.name}: the time is over; {len(reached.stage.missing):,} runs are left of this stage "
            f"({reached.stage.title}). Run it again to go on."
        )
    return reached.findings


def _announce(study: "Study", current: "Status", workers: int | None) -> None:
    planned = f"{study.name}: {current.planned_count:,} runs planned"
    if current.stage.is_done:
        stderr().print(f"{planned}; all {current.stage.run_count:,} that it needs are known")
        return
    # Loaded here, for only a study that lacks runs needs an engine.
    from digitlab.studies.service import estimate

    left = estimate(current, workers=workers)
    stderr().print(
        f"{planned}, {current.stage.known_count:,} known; about {_duration(left.seconds)} and "
        f"{left.memory_bytes / 1e9:.1f} GB of memory"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


@study_app.command("list")
def list_(json: JsonOption = False, output: OutputOption = None, store_file: StoreOption = None) -> None:
    """List the built-in studies, and how far the store knows them."""
    from digitlab.cli.tables import print_table
    from digitlab.studies import built_in_names, read_study
    from digitlab.studies.progress import status

    checked_output(output, json=json)
    rows, documents = [], []
    with _looked_into(store_file) as store:
        for name in built_in_names():
            whole = read_study(name)
            for i, scale in enumerate(whole.scales or ["full"]):
                current = status(whole.at(scale), store)
                head = (name, whole.question) if i == 0 else ("", "")
                rows.append((*head, scale, f"{current.planned_count:,}", f"{current.stage.known_count:,}"))
                documents.append(_document(whole, scale, current))
    if json:
        print_json(documents, output)
    else:
        print_table("lllrr", ("name", "question", "scale", "runs", "known"), rows)


@contextmanager
def _looked_into(place: str | None) -> Iterator["Store | None"]:
    """The store, or None where there is none: who only looks makes none."""
    from digitlab.store import is_there

    if not is_there(place):
        yield None
        return
    with opened(place, must_exist=True) as store:
        yield store


@study_app.command("status")
def status_(
    name: NameArgument,
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    seed_base: SeedBaseOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    store_file: StoreOption = None,
) -> None:
    """Say how far a study is."""
    from digitlab.studies import read_study_at
    from digitlab.studies.expansion import seeds_in_words
    from digitlab.studies.progress import status

    checked_output(output, json=json)
    study, scale = read_study_at(name, scale, seeds=seeds, seed_base=seed_base)
    with _looked_into(store_file) as store:
        current = status(study, store)
    if json:
        print_json(_document(study, scale, current), output)
        return
    stage = current.stage
    stdout().print(
        f"{study.name}, {scale}, {seeds_in_words(study)}: {current.planned_count:,} runs planned, "
        f"{stage.known_count:,} known of those that are due"
    )
    stdout().print("done" if stage.is_done else f"next: {stage.title}, {len(stage.missing):,} runs")
    for note in stage.notes:
        stdout().print(note)


@study_app.command()
def show(
    name: NameArgument,
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    seed_base: SeedBaseOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    store_file: StoreOption = None,
) -> None:
    """Show what a study found; what it varies, while it is not done."""
    from dataclasses import asdict

    from digitlab.cli.findings import print_findings
    from digitlab.studies import read_study_at, run_command
    from digitlab.studies.findings import findings
    from digitlab.studies.progress import status

    checked_output(output, json=json)
    study, scale = read_study_at(name, scale, seeds=seeds, seed_base=seed_base)
    with _looked_into(store_file) as store:
        current = status(study, store)
        if store is not None and current.stage.is_done:
            found = findings(study, scale, current.stage, store)
            if json:
                print_json(asdict(found), output)
            else:
                print_findings(found)
            return
    if json:
        document = {**_document(study, scale, current), "study": study.model_dump(mode="json")}
        print_json(document, output)
        return
    out = stdout()
    out.print(f"{study.title}\n{study.question}\n")
    out.print("fixed: " + ", ".join(f"{name} {value}" for name, value in study.fixed.items()))
    for axis in study.axes:
        labels = ", ".join(str(level["label"]) for level in axis.all_levels)
        out.print(f"{axis.name}{' (tuned)' if axis.tune else ''}: {labels}")
    out.print(f"seeds: {_seeds_in_words(study)}")
    command = run_command(name, scale, seeds=seeds, seed_base=seed_base)
    out.print(
        f"{current.planned_count:,} runs planned, {current.stage.known_count:,} known; "
        f"`{command}` trains the rest"
    )


def _seeds_in_words(study: "Study") -> str:
    first, count = study.seeds.first, study.seeds.report
    whole = f"{first}" if count == 1 else f"{first} to {first + count - 1}"
    if study.tuned is None:
        return whole
    few = "the first tries" if study.seeds.tune == 1 else f"the first {study.seeds.tune} try"
    besides = ""
    if study.tuned.also and study.seeds.also is not None:
        rates = ", ".join(f"{rate:g}" for rate in study.tuned.also)
        besides = f", the first {study.seeds.also} also {rates}"
    return f"{whole}; {few} the whole range of learning rates{besides}, all of them those around the best"


@study_app.command()
def tables(
    name: NameArgument,
    output: Annotated[
        Path, typer.Option("--output", metavar="FOLDER", help="Where to write them; made if it is not there.")
    ],
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    seed_base: SeedBaseOption = None,
    store_file: StoreOption = None,
) -> None:
    """Write what a study found as CSV files: findings, tables, and the numbers behind every picture."""
    from digitlab.errors import StoreError
    from digitlab.studies import read_study_at, run_command
    from digitlab.studies.findings import findings
    from digitlab.studies.progress import status

    study, scale = read_study_at(name, scale, seeds=seeds, seed_base=seed_base)
    with _looked_into(store_file) as store:
        current = status(study, store)
        if store is None or not current.stage.is_done:
            command = run_command(name, scale, seeds=seeds, seed_base=seed_base)
            raise StoreError(f"{name} is not done, so there are no tables; `{command}` trains the rest")
        found = findings(study, scale, current.stage, store)
    from digitlab.report.table_files import write_tables  # takes long to load; of no use before

    for path in write_tables(found, output):
        stdout().print(str(path), soft_wrap=True)


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
        raise SpecError([Fault("file", str(file), "is not a name for a study; let it end in .toml")])
    with output_file(file, is_new=True) as target:
        target.write(text.encode())
    stdout().print(f"wrote {file}; run it with `digitlab study run {file}`", soft_wrap=True)
