"""`digitlab exercise`: three networks beside the handout's figures, four observations, and a report."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.engines import EngineOption, WorkersOption, checked_engine, result_of
from digitlab.cli.report import REPORT, OutputOption, chosen_studies, write_report
from digitlab.cli.stores import StoreOption, is_named, opened
from digitlab.cli.terminal import many_progress, stderr, stdout
from digitlab.errors import StoreError

if TYPE_CHECKING:
    from rich.table import Table

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
    output: OutputOption = REPORT,
    store: StoreOption = None,
    engine: EngineOption = "lockstep",
    workers: WorkersOption = None,
    device: Annotated[str, typer.Option(metavar="cpu|cuda|mps", help="Where to compute.")] = "cpu",
) -> None:
    """Do the exercise: train its three networks beside the handout, then observe."""
    # Loaded here: --help must not wait for torch.
    from digitlab import lab
    from digitlab.handout import compare, handout_runs

    specs = {
        run.name: [lab.make_spec(hidden=run.hidden, epochs=epochs, seed=seed) for seed in range(seeds)]
        for run in handout_runs()
    }
    with _place(store) if studies else nullcontext() as place:  # told before the training if it cannot be
        found = _train(specs, checked_engine(engine), workers, device)
        rows: list[_Row] = []
        for run in handout_runs():
            results = [found[spec.key] for spec in specs[run.name]]
            _print_as_handout(run.name, results[0])
            rows.append((run, results, compare(run, results)))
        _print_comparison(rows)
        if isinstance(place, StoreError):
            raise place
        if place is not None:
            if engine == "lockstep":
                place.add(list(found.values()))
            _observe(place, output, workers, device)


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


def _observe(place: "Store", output: Path, workers: int | None, device: str) -> None:
    """Run the four studies at quick scale and write the report, whose path is printed last."""
    from digitlab.cli.study import read, run_one
    from digitlab.studies import built_in_names

    stdout().print("\nThe observations, at quick scale; `digitlab study run all` makes them in full.\n")
    for name in built_in_names():
        study, _ = read(name, _SCALE)
        run_one(study, _SCALE, place, workers=workers, device=device, is_brief=True)
    write_report(chosen_studies([], _SCALE, place), place, output)
    stdout().print(f"report: {output.resolve()}", soft_wrap=True)


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
    out.print(_comparison_table(rows, own=own))
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


def _comparison_table(rows: "list[_Row]", *, own: bool) -> "Table":
    """First and last loss and the accuracy of each network, ours and the handout's, and where they lie.

    own: whether our own seeds make the spread; where they do not, ours are judged by it too
    """
    from rich.table import Table

    losses = [figure.label for figure in rows[0][2] if figure.label.startswith("loss")]
    labels = list(dict.fromkeys([losses[0], losses[-1], rows[0][2][-1].label]))
    # Several lines a network, so that the widest table fits a terminal of 80 columns.
    table = Table("network", "", box=None, header_style="", pad_edge=False, collapse_padding=True)
    for label in labels:
        table.add_column(label, justify="right")
    table.add_column("handout" if own else "both are")
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
        for head, cells in zip(heads, lines, strict=False):
            table.add_row(head, *cells)
        table.add_row()
    return table


def _ours(figure: "Figure") -> str:
    if len(figure.ours) == 1:
        return f"{figure.ours[0]:.4f}"
    return f"{statistics.mean(figure.ours):.4f} ± {statistics.stdev(figure.ours):.4f}"
