"""`digitlab exercise`: three networks beside the handout's figures, four observations, and a report."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.choices import DEVICES, one_of
from digitlab.cli.engines import EngineOption, WorkersOption, checked_engine, result_of
from digitlab.cli.report import REPORT, checked_page, chosen_studies, write_report
from digitlab.cli.stores import is_named, opened
from digitlab.cli.terminal import JsonOption, many_progress, print_json, stderr, stdout
from digitlab.errors import StoreError

if TYPE_CHECKING:
    from digitlab.analysis.findings import StudyFindings
    from digitlab.handout import Figure, HandoutRun
    from digitlab.lab import Engine
    from digitlab.result import RunResult
    from digitlab.spec import RunSpec
    from digitlab.store import Store

    _Row = tuple[HandoutRun, list[RunResult], tuple[Figure, ...]]


_SCALE = "quick"


def exercise(
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each network, of seeds 0, 1, ….")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 15,
    studies: Annotated[
        bool, typer.Option("--studies/--no-studies", help="Make the four observations too, at quick scale.")
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="The report to write.",
            show_default=f"{REPORT}; with --no-studies none",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="FILE",
            help="Where runs are kept.",
            show_default="DIGITLAB_STORE, else the platform's data folder; with --no-studies nowhere",
        ),
    ] = None,
    engine: EngineOption = "lockstep",
    workers: WorkersOption = None,
    device: Annotated[
        str, typer.Option(metavar="|".join(DEVICES), autocompletion=one_of(DEVICES), help="Where to compute.")
    ] = "cpu",
    json: JsonOption = False,
) -> None:
    """Do the exercise: train its three networks beside the handout, then observe."""
    # Loaded here: --help must not wait for it.
    from digitlab import lab
    from digitlab.handout import compare, handout_runs

    if studies and output is None:
        output = REPORT
    if output is not None:
        checked_page(output)
    specs = {
        run.name: [lab.make_spec(hidden=run.hidden, epochs=epochs, seed=seed) for seed in range(seeds)]
        for run in handout_runs()
    }
    # The store is opened first: what is wrong with it is told before the training.
    with _place(store) if studies or store is not None else nullcontext() as place:
        found = _train(specs, checked_engine(engine), workers, device)
        rows: list[_Row] = []
        for run in handout_runs():
            results = [found[spec.key] for spec in specs[run.name]]
            rows.append((run, results, compare(run, results)))
        if not json:
            for run, results, _ in rows:
                _print_as_handout(run.name, results[0])
            _print_comparison(rows)
        if isinstance(place, StoreError):
            raise place
        if place is not None:
            _keep(place, list(found.values()))
        observed = _observe(place, workers, device, is_told=not json) if studies and place else []
        if output is not None:
            told = chosen_studies([], _SCALE, place) if studies and place else []
            write_report(told, place, output, exercise=[results[0] for _, results, _ in rows])
    if json:
        print_json(_document(rows, observed, output))
    elif output is not None:
        stdout().print(f"report: {output.resolve()}", soft_wrap=True)


def _keep(place: "Store", results: "list[RunResult]") -> None:
    """Put runs into the store, which is for those of the lockstep engine alone."""
    if results[0].provenance.engine == "lockstep":
        place.add(results)
    else:
        stderr().print("the three networks are not kept: the store is for runs of the lockstep engine")


def _document(rows: "list[_Row]", observed: "list[StudyFindings]", output: Path | None) -> dict[str, object]:
    """All that was found, for JSON."""
    import json
    from dataclasses import asdict

    return {
        "networks": [
            {
                "name": run.name,
                "network": results[0].spec.network_name,
                "parameters": results[0].spec.parameter_count,
                "results": [json.loads(result.to_json()) for result in results],
                "figures": [
                    {**asdict(one), "z": one.z, "z_of_ours": one.z_of_ours, "is_inside": one.is_inside}
                    for one in figures
                ],
            }
            for run, results, figures in rows
        ],
        "studies": [asdict(one) for one in observed],
        "report": str(output.resolve()) if output is not None else None,
    }


@contextmanager
def _place(path: Path | None) -> "Iterator[Store | StoreError]":
    """The store; or why there is none, where nobody named one: the three networks do without."""
    with ExitStack() as stack:
        place: Store | StoreError
        try:
            place = stack.enter_context(opened(path))
        except StoreError as error:
            if is_named(path):
                raise
            place = error
            stderr().print(
                f"The three networks are trained; the observations need a store: {error}", soft_wrap=True
            )
        yield place


def _train(
    specs: "dict[str, list[RunSpec]]", engine: "Engine", workers: int | None, device: str
) -> "dict[str, RunResult]":
    """What comes of all seeds of all networks, by key."""
    from digitlab import lab

    names = {spec.key: name for name, same in specs.items() for spec in same}
    seeds = max(len(same) for same in specs.values())
    found: dict[str, RunResult] = {}
    with many_progress("the exercise's networks") as on_advance:
        for ended in lab.run_many(
            [spec for same in specs.values() for spec in same],
            device=device,
            engine=engine,
            workers=workers,
            on_advance=on_advance,
        ):
            result = result_of(ended)
            found[result.key] = result
            if seeds > 1 and not stderr().is_terminal:  # no bar shows that it goes on
                name, accuracy = names[result.key], result.metrics.test_accuracy
                stderr().print(
                    f"{name}, seed {result.spec.seed} of 0 to {seeds - 1}: accuracy {accuracy:.4f}"
                )
    return found


def _observe(place: "Store", workers: int | None, device: str, *, is_told: bool) -> "list[StudyFindings]":
    """Run the four studies at quick scale; what they found."""
    from digitlab.cli.findings import print_findings
    from digitlab.cli.study import read, run_one
    from digitlab.studies import built_in_names

    if is_told:
        stdout().print("\nThe observations, at quick scale; `digitlab study run all` makes them in full.\n")
    observed = []
    for name in built_in_names():
        study, _ = read(name, _SCALE)
        found = run_one(study, _SCALE, place, workers=workers, device=device)
        if found is not None:
            observed.append(found)
            if is_told:
                print_findings(found, is_brief=True)
    return observed


def _print_as_handout(name: str, result: "RunResult") -> None:
    """The lines that the handout's script of this name prints."""
    out = stdout()
    out.print(f"{name} (seed {result.spec.seed})")
    for epoch, loss in enumerate(result.curve.training_loss):
        out.print(f"Epoch {epoch} - Training loss: {loss}")
    out.print(f"Number Of Images Tested = {len(result.predictions or b'')}")
    out.print(f"\nModel Accuracy = {result.metrics.test_accuracy}\n")


def _print_comparison(rows: "list[_Row]") -> None:
    """The table of figures beside the handout's, and the verdict on all of them."""
    from digitlab.handout import Z_LIMIT

    seeds = len(rows[0][1])
    spread = rows[0][2][0].spread
    own = spread.seeds == seeds
    out = stdout()
    _print_table(rows, own=own)
    if seeds > 1:
        out.print(
            f"ours: mean ± standard deviation of {seeds} seeds"
            + ("" if own else "; their z: of the seed that lies farthest out")
        )
    source = f"these {seeds} seeds" if own else f"{spread.seeds} other seeds, measured beforehand"
    out.print(f"z: standard deviations from the mean of {source}")
    out.print(f"inside: |z| is at most {Z_LIMIT:g}")
    figures = [(run, figure) for run, _, compared in rows for figure in compared]
    farthest_run, farthest = max(figures, key=lambda item: abs(item[1].z))
    outside = [f"{run.name}, {figure.label}" for run, figure in figures if not figure.is_inside]
    verdict = f"outside are {'; '.join(outside)}" if outside else "all inside"
    out.print(
        f"Of the handout's figures, {len(figures)} can be compared: {verdict}. "
        f"The largest |z| of the handout's is {abs(farthest.z):.1f} ({farthest_run.name}, {farthest.label})."
    )


def _print_table(rows: "list[_Row]", *, own: bool) -> None:
    """First and last loss and the accuracy of each network, ours and the handout's, and where they lie.

    own: whether our own seeds make the spread; where they do not, ours are judged by it too
    """
    from digitlab.cli.tables import print_table

    losses = [figure.label for figure in rows[0][2] if figure.label.startswith("loss")]
    labels = list(dict.fromkeys([losses[0], losses[-1], rows[0][2][-1].label]))
    # Several lines a network, so that the widest table fits a terminal of 80 columns.
    cells: list[list[str]] = []
    for run, results, compared in rows:
        shown = [figure for figure in compared if figure.label in labels]
        spec = results[0].spec
        lines = [["ours", *(_ours(figure) for figure in shown)]]
        if not own:
            lines.append(["z", *(f"{max(figure.z_of_ours, key=abs):+.1f}" for figure in shown)])
        lines.append(["handout", *(f"{figure.handout:.4f}" for figure in shown)])
        lines.append(["z", *(f"{figure.z:+.1f}" for figure in shown)])
        lines[-1].append("inside" if all(figure.is_inside for figure in shown) else "outside")
        heads = [run.name, spec.network_name, f"{spec.parameter_count:,} params", ""]
        cells += [[head, *line] for head, line in zip(heads, lines, strict=False)]
        cells.append([""])
    heads = ["network", "", *labels, "handout" if own else "both are"]
    print_table(f"ll{'r' * len(labels)}l", heads, [[*row, *[""] * (len(heads) - len(row))] for row in cells])


def _ours(figure: "Figure") -> str:
    if len(figure.ours) == 1:
        return f"{figure.ours[0]:.4f}"
    return f"{statistics.mean(figure.ours):.4f} ± {statistics.stdev(figure.ours):.4f}"
