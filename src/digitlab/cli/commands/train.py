"""`digitlab train`: one network, every field of its RunSpec an option."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.choices import DEVICES, one_of
from digitlab.cli.engines import EngineOption, ThreadsOption, WorkersOption, checked_engine
from digitlab.cli.fields import given_fields, with_fields
from digitlab.cli.logs import LogOption, logging_to
from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import print_json, stderr, stdout, training_progress
from digitlab.errors import Fault, SpecError

if TYPE_CHECKING:
    from digitlab.result import RunResult

RUN = "Run"

_POINTS_SHOWN = 20
_LARGE_LOSS = 1e4


@with_fields
def train(
    spec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="RunSpec in TOML or JSON, or a RunResult to run again; options come before it.",
            rich_help_panel=RUN,
        ),
    ] = None,
    engine: EngineOption = "lockstep",
    workers: WorkersOption = None,  # noqa: ARG001  # as all commands that train; one network needs one process
    threads: ThreadsOption = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="|".join(DEVICES),
            autocompletion=one_of(DEVICES),
            help="Where to compute.",
            rich_help_panel=RUN,
        ),
    ] = "cpu",
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the trained weights (safetensors).", rich_help_panel=RUN),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Put the result into the store: `digitlab runs`.", rich_help_panel=RUN),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the RunResult as JSON.", rich_help_panel=RUN)
    ] = False,
    log: LogOption = None,
    output: OutputOption = None,
    store_file: StoreOption = None,
    **fields: object,
) -> None:
    """Train one network, by default by the exercise's recipe."""
    from digitlab import lab
    from digitlab.models.trained import writable_target

    run = lab.make_spec(lab.read_document(spec) if spec else None, **given_fields(fields))
    chosen = checked_engine(engine)
    checked_output(output, json=json)
    _check_store(chosen, keep, store_file)
    if save:
        writable_target(save)
    with logging_to(log) as see:
        with training_progress(run.network_name) as on_progress:
            result, network = lab.run(
                run,
                device=device,
                engine=chosen,
                threads=threads,
                on_progress=on_progress,
                on_event=None if see is None else lambda event: see([event]),
            )
        if json:
            print_json(result.to_json(), output)
        else:
            _show(result)
        if keep:  # what can fail comes last, so that the result is not lost with it
            _keep(result, store_file)
        if save:
            network.save(save)
            stderr().print(f"weights: {save}", soft_wrap=True)


def _check_store(engine: str, keep: bool, store_file: str | None) -> None:
    """Refuse what could not be kept: better before a training than after it."""
    if store_file is not None and not keep:
        from digitlab.store import shown_place

        raise SpecError(
            [Fault("store", shown_place(store_file), "is for a result that is kept; say --keep too")]
        )
    if keep:
        from digitlab.store.keeping import check_engine

        check_engine(engine)
        with opened(store_file):
            pass


def _keep(result: "RunResult", store_file: str | None) -> None:
    from digitlab.store import SHORT_KEY

    with opened(store_file) as store:
        is_new = bool(store.add([result]))
    known = "" if is_new else ", which the store knew"
    stderr().print(f"kept: {result.key[:SHORT_KEY]}{known}; `digitlab runs list` shows it", soft_wrap=True)


def _loss(value: float) -> str:
    return f"{value:.4f}" if value < _LARGE_LOSS else f"{value:.4g}"


def _show_curve(result: "RunResult") -> None:
    """The points of the curve; of many, some that lie evenly."""
    from digitlab.cli.tables import print_table

    curve = result.curve
    heads = ["step", "training loss", *(("validation loss", "accuracy") if curve.validation_loss else ())]
    rows = []
    stride = -(-len(curve.step) // _POINTS_SHOWN)
    for i in range((len(curve.step) - 1) % stride, len(curve.step), stride):  # so that the last is among them
        cells = [f"{curve.step[i]:,}", _loss(curve.training_loss[i])]
        if curve.validation_loss:
            cells += [_loss(curve.validation_loss[i]), f"{curve.validation_accuracy[i]:.4f}"]
        rows.append(cells)
    print_table("r" * len(heads), heads, rows)
    stdout().print()


def _show(result: "RunResult") -> None:
    """The result, as a person reads it."""
    from rich.table import Table

    spec, metrics = result.spec, result.metrics
    table = Table.grid(padding=(0, 3))
    table.add_row("network", f"{spec.network_name}, {spec.parameter_count:,} parameters")
    optimiser = spec.optimiser.model_dump()
    constants = [f"{name.replace('_', ' ')} {value}" for name, value in optimiser.items() if name != "kind"]
    data = f"{spec.train_size:,} images of {spec.data.name}, batches of {spec.batch_size}, seed {spec.seed}"
    table.add_row("data", data)
    table.add_row("optimiser", f"{spec.optimiser.kind}, {', '.join(constants)}")
    table.add_row(
        "outcome", f"{result.outcome} after {metrics.steps:,} steps, {result.provenance.seconds:.1f} s"
    )
    if metrics.kept_step is not None:
        end = f"stopped before {spec.step_count:,}" if result.stopped_early else "trained to the end"
        table.add_row("network kept", f"of step {metrics.kept_step:,}, the lowest validation loss; {end}")
    if spec.parent is not None:
        table.add_row("goes on from", f"run {spec.parent.key}")
    table.add_row("training loss", _loss(metrics.training_loss))
    if metrics.validation_loss is not None:
        table.add_row("validation loss", _loss(metrics.validation_loss))
        table.add_row("validation accuracy", f"{metrics.validation_accuracy:.4f}")
    table.add_row("test loss", _loss(metrics.test_loss))
    table.add_row("test accuracy", f"{metrics.test_accuracy:.4f}")
    table.add_row("key", result.key)
    _show_curve(result)
    stdout().print(table)
    if result.outcome == "diverged":
        stderr().print(f"The loss was not finite at step {metrics.steps:,}. Try a smaller learning rate.")
    if result.outcome == "collapsed":
        stderr().print("The network blew up and ended at chance. Try a smaller learning rate.")
