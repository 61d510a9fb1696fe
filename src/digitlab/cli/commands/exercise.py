"""`digitlab exercise`: three networks beside the handout's figures, four observations, and a report."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.choices import DEVICES, one_of
from digitlab.cli.commands.report import REPORT
from digitlab.cli.engines import EngineOption, WorkersOption, checked_engine
from digitlab.cli.stores import on_wait
from digitlab.cli.terminal import JsonOption, many_progress, print_json, stderr, stdout
from digitlab.errors import StoreError

if TYPE_CHECKING:
    from digitlab.analysis.findings import StudyFindings
    from digitlab.handout import ComparedNetwork, Comparison, Figure
    from digitlab.result import RunResult
    from digitlab.store import Store


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
    store_file: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="FILE|URL",
            help="Where runs are kept: a file, or postgresql://USER@HOST/DATABASE.",
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
    from digitlab.exercise import keep, train_networks, write_exercise_report
    from digitlab.report.document import checked_page

    if studies and output is None:
        output = REPORT
    if output is not None:
        checked_page(output)

    def on_result(name: str, result: "RunResult") -> None:
        if seeds > 1 and not stderr().is_terminal:  # no bar shows that it goes on
            accuracy = result.metrics.test_accuracy
            stderr().print(f"{name}, seed {result.spec.seed} of 0 to {seeds - 1}: accuracy {accuracy:.4f}")

    # The store is opened first: what is wrong with it is told before the training.
    with _usable_store(store_file) if studies or store_file is not None else nullcontext() as store:
        known_engine = checked_engine(engine)
        with many_progress("the exercise's networks") as on_advance:
            comparison = train_networks(
                seeds=seeds,
                epochs=epochs,
                device=device,
                engine=known_engine,
                workers=workers,
                on_result=on_result,
                on_advance=on_advance,
            )
        if not json:
            for network in comparison.networks:
                _print_as_handout(network.handout.name, network.results[0])
            _print_comparison(comparison)
        if isinstance(store, StoreError):
            raise store
        if store is not None and not keep(comparison, store):
            stderr().print("the three networks are not kept: the store is for runs of the lockstep engine")
        observed = _observe(store, workers, device, is_told=not json) if studies and store else []
        if not json:
            _print_details(observed)
        if output is not None:
            with stderr().status("writing the report"):
                write_exercise_report(comparison, output, store, has_observations=studies)
    if json:
        print_json(_document(comparison, observed, output))
    elif output is not None:
        stdout().print(f"report: {output.resolve()}", soft_wrap=True)


def _document(
    comparison: "Comparison", observed: "list[StudyFindings]", output: Path | None
) -> dict[str, object]:
    """All that was found, for JSON."""
    import json
    from dataclasses import asdict

    return {
        "networks": [
            {
                "name": network.handout.name,
                "network": network.results[0].spec.network_name,
                "parameters": network.results[0].spec.parameter_count,
                "results": [json.loads(result.to_json()) for result in network.results],
                "figures": [
                    {
                        **asdict(figure),
                        "z": figure.z,
                        "z_of_ours": figure.z_of_ours,
                        "is_inside": figure.is_inside,
                    }
                    for figure in network.figures
                ],
            }
            for network in comparison.networks
        ],
        "studies": [asdict(findings) for findings in observed],
        "report": str(output.resolve()) if output is not None else None,
    }


@contextmanager
def _usable_store(place: str | None) -> "Iterator[Store | StoreError]":
    """The store; or why there is none, which is said at once."""
    from digitlab.store import usable_store

    store = usable_store(place, on_wait=on_wait)
    if isinstance(store, StoreError):
        stderr().print(
            f"The three networks are trained; the observations need a store: {store}", soft_wrap=True
        )
        yield store
        return
    with closing(store):
        yield store


def _observe(store: "Store", workers: int | None, device: str, *, is_told: bool) -> "list[StudyFindings]":
    """Make the observations, and answer each question as soon as it can be; what they found."""
    from digitlab.cli.commands.study import run_and_tell
    from digitlab.cli.findings import print_answer
    from digitlab.exercise import SCALE, observations
    from digitlab.report.opening import answer_of

    if is_told:
        stdout().print(
            "\nThe four questions, at quick scale; `digitlab study run all` answers them in full.\n"
        )
    observed = []
    for study in observations():
        found = run_and_tell(study, SCALE, store, workers=workers, device=device)
        if found is not None:
            observed.append(found)
            if is_told:
                print_answer(answer_of(found))
    return observed


def _print_details(observed: "Sequence[StudyFindings]") -> None:
    """What the observations say in full sentences, after the answers in one."""
    from digitlab.cli.findings import print_findings

    if observed:
        stdout().print("In more words\n")
    for found in observed:
        print_findings(found, is_brief=True)


def _print_as_handout(name: str, result: "RunResult") -> None:
    """The lines that the handout's script of this name prints."""
    out = stdout()
    out.print(f"{name} (seed {result.spec.seed})")
    for epoch, loss in enumerate(result.curve.training_loss):
        out.print(f"Epoch {epoch} - Training loss: {loss}")
    out.print(f"Number Of Images Tested = {len(result.predictions or b'')}")
    out.print(f"\nModel Accuracy = {result.metrics.test_accuracy}\n")


def _print_comparison(comparison: "Comparison") -> None:
    """The table of figures beside the handout's, and the verdict on all of them."""
    from digitlab.handout import Z_LIMIT
    from digitlab.report.opening import verdict

    seeds, own = comparison.seeds, comparison.has_own_spread
    out = stdout()
    _print_table(comparison.networks, own=own)
    if seeds > 1:
        out.print(
            f"ours: mean ± standard deviation of {seeds} seeds"
            + ("" if own else "; their z: of the seed that lies farthest out")
        )
    source = f"these {seeds} seeds" if own else f"{comparison.spread.seeds} other seeds, measured beforehand"
    out.print(f"z: standard deviations from the mean of {source}")
    out.print(f"inside: |z| is at most {Z_LIMIT:g}")
    out.print(verdict(comparison))


def _print_table(networks: "Sequence[ComparedNetwork]", *, own: bool) -> None:
    """First and last loss and the accuracy of each network, ours and the handout's, and where they lie.

    own: whether our own seeds make the spread; where they do not, ours are judged by it too
    """
    from digitlab.cli.tables import print_table

    figures = networks[0].figures
    losses = [figure.label for figure in figures if figure.label.startswith("loss")]
    labels = list(dict.fromkeys([losses[0], losses[-1], figures[-1].label]))
    # Several lines a network, so that the widest table fits a terminal of 80 columns.
    cells: list[list[str]] = []
    for network in networks:
        shown = [figure for figure in network.figures if figure.label in labels]
        spec = network.results[0].spec
        lines = [["ours", *(_ours(figure) for figure in shown)]]
        if not own:
            lines.append(["z", *(f"{max(figure.z_of_ours, key=abs):+.1f}" for figure in shown)])
        lines.append(["handout", *(f"{figure.handout:.4f}" for figure in shown)])
        lines.append(["z", *(f"{figure.z:+.1f}" for figure in shown)])
        lines[-1].append("inside" if all(figure.is_inside for figure in shown) else "outside")
        heads = [network.handout.name, spec.network_name, f"{spec.parameter_count:,} params", ""]
        cells += [[head, *line] for head, line in zip(heads, lines, strict=False)]
        cells.append([""])
    heads = ["network", "", *labels, "handout" if own else "both are"]
    print_table(f"ll{'r' * len(labels)}l", heads, [[*row, *[""] * (len(heads) - len(row))] for row in cells])


def _ours(figure: "Figure") -> str:
    if len(figure.ours) == 1:
        return f"{figure.ours[0]:.4f}"
    return f"{statistics.mean(figure.ours):.4f} ± {statistics.stdev(figure.ours):.4f}"
