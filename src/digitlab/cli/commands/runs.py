"""`digitlab runs`: list, show, compare, export and delete the runs in the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from digitlab.cli.choices import FORMATS, OUTCOMES, data_sets, one_of
from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import JsonOption, confirmed, print_json, stderr, stdout
from digitlab.errors import Fault, SpecError

if TYPE_CHECKING:
    from digitlab.result import Outcome
    from digitlab.store import Filter

runs_app = typer.Typer(
    help="List, show, compare, export and delete the runs in the store.", no_args_is_help=True
)

_LARGEST = 2**63 - 1

DataOption = Annotated[str | None, typer.Option("--data", autocompletion=data_sets, help="Of this data set.")]
NetworkOption = Annotated[
    str | None, typer.Option("--network", help="Of these layer sizes, as in 784-100-10.")
]
OutcomeOption = Annotated[
    str | None,
    typer.Option(
        "--outcome", metavar="|".join(OUTCOMES), autocompletion=one_of(OUTCOMES), help="With this outcome."
    ),
]
BatchOption = Annotated[
    int | None, typer.Option("--batch-size", min=1, max=_LARGEST, help="Of this batch size.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, max=_LARGEST, help="Of this seed.")]


def _filter(
    data: str | None, network: str | None, outcome: str | None, batch_size: int | None, seed: int | None
) -> "Filter":
    from digitlab.store import Filter

    if outcome is not None and outcome not in OUTCOMES:
        raise SpecError([Fault("outcome", outcome, f"is not known; use one of {', '.join(OUTCOMES)}")])
    return Filter(data, network, cast("Outcome | None", outcome), batch_size, seed)


@runs_app.command("list")
def list_(
    data: DataOption = None,
    network: NetworkOption = None,
    outcome: OutcomeOption = None,
    batch_size: BatchOption = None,
    seed: SeedOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_LARGEST, help="At most so many.")] = 20,
    json: JsonOption = False,
    output: OutputOption = None,
    store_file: StoreOption = None,
) -> None:
    """List runs, the newest first."""
    from dataclasses import asdict

    from digitlab.cli.tables import print_table
    from digitlab.store import SHORT_KEY

    checked_output(output, json=json)
    run_filter = _filter(data, network, outcome, batch_size, seed)
    with opened(store_file, must_exist=True) as store:
        rows, count = store.list(run_filter, limit), store.count(run_filter)
    if json:
        print_json({"count": count, "runs": [asdict(row) for row in rows]}, output)
        return
    cells = [
        (
            *(row.key[:SHORT_KEY], row.network, str(row.batch_size), f"{row.learning_rate:g}", str(row.seed)),
            *(row.outcome, f"{row.test_accuracy:.4f}", row.finished[:19].replace("T", " ")),
        )
        if row.is_intact
        else (row.key[:SHORT_KEY], *"????", "damaged", "?", "?")
        for row in rows
    ]
    heads = ("key", "network", "batch", "rate", "seed", "outcome", "accuracy", "finished")
    if cells:
        print_table("llrrrlrl", heads, cells)
    stdout().print(f"{len(rows):,} of {count:,} runs")
    if damaged := sum(not row.is_intact for row in rows):
        stderr().print(
            f"{_runs(damaged)} of these not as written; `digitlab store verify` sets damaged runs aside, to "
            "be computed again",
            soft_wrap=True,
        )


@runs_app.command()
def show(
    key: Annotated[str, typer.Argument(help="The key, or the digits that it begins with.")],
    json: Annotated[bool, typer.Option("--json", help="Print the RunResult as JSON.")] = False,
    output: OutputOption = None,
    store_file: StoreOption = None,
) -> None:
    """Show one run: its RunSpec, how it ended, where it was computed."""
    from rich.table import Table

    from digitlab.store import known_run
    from digitlab.store.export import flat

    checked_output(output, json=json)
    with opened(store_file, must_exist=True) as store:
        result = known_run(store, key)
    if json:
        print_json(result.to_json(), output)
        return
    table = Table.grid(padding=(0, 3))
    for name, value in flat(result.model_dump(exclude={"curve"})).items():
        table.add_row(name, str(value))
    stdout().print(table, soft_wrap=True)


@runs_app.command()
def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="The key of one run, or the digits that it begins with.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The key of another.")],
    json: JsonOption = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write it to this file: a page (.html), or the curves (.svg); with --json the JSON.",
            show_default="stdout",
        ),
    ] = None,
    store_file: StoreOption = None,
) -> None:
    """Compare two runs: settings, final figures, curves, and the test images that one alone gets right."""
    from dataclasses import asdict

    from digitlab.cli.findings import print_table_of
    from digitlab.comparing import compared_in

    if output is not None and not json:
        from digitlab.report.pair import checked_form, write_pair

        checked_form(output)
    with opened(store_file, must_exist=True) as store:
        pair = compared_in(store, a, b)
    if json:
        print_json(asdict(pair), output)
        return
    for sentence in pair.verdict:
        stdout().print(sentence)
    if output is not None:
        write_pair(pair, output)
        stderr().print(f"comparison: {output}", soft_wrap=True)
        return
    for table in (*pair.tables, pair.curves):
        stdout().print()
        print_table_of(table)


@runs_app.command()
def export(
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="|".join(FORMATS), autocompletion=one_of(FORMATS), help="Of the file."
        ),
    ] = "json",
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write to it.", show_default="stdout")
    ] = None,
    data: DataOption = None,
    network: NetworkOption = None,
    outcome: OutcomeOption = None,
    batch_size: BatchOption = None,
    seed: SeedOption = None,
    store_file: StoreOption = None,
) -> None:
    """Export runs: JSON, all that is known of them but predictions; CSV or Parquet, one row a run."""
    from digitlab.cli.exports import exporter

    write = exporter(format_, output)
    run_filter = _filter(data, network, outcome, batch_size, seed)
    with opened(store_file, must_exist=True) as store:
        keys = store.keys(run_filter)
        written = write(store, keys)
    if written < len(keys):
        stderr().print(
            f"{len(keys) - written:,} of {len(keys):,} runs are left out: they were damaged, or written by "
            "another version of digitlab; `digitlab store verify` says which, and sets damaged runs aside",
            soft_wrap=True,
        )


@runs_app.command()
def delete(
    keys: Annotated[
        list[str] | None, typer.Argument(help="Keys, or the digits that they begin with.")
    ] = None,
    data: DataOption = None,
    network: NetworkOption = None,
    outcome: OutcomeOption = None,
    batch_size: BatchOption = None,
    seed: SeedOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store_file: StoreOption = None,
) -> None:
    """Delete runs: by their keys, or all that the options choose."""
    from digitlab.store import Filter, full_key, shown_place

    run_filter = _filter(data, network, outcome, batch_size, seed)
    if bool(keys) == (run_filter != Filter()):
        raise SpecError(
            [Fault("runs", keys or [], "is not clear; give either keys or options that choose runs")]
        )
    with opened(store_file, must_exist=True) as store:
        found = [full_key(store, key) for key in keys] if keys else store.keys(run_filter)
        question = f"Delete {_runs(len(set(found)))} from {shown_place(store_file)}?"
        if not found or (not yes and not confirmed(question, "Give --yes to answer it beforehand.")):
            stdout().print("nothing deleted")
            return
        stdout().print(f"{_runs(store.delete(found))} deleted")


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"
