"""`digitlab train`: one network, every field of its RunSpec an option."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from digitlab.cli.choices import (
    DEVICES,
    INITIALISATIONS,
    LAST_BATCHES,
    OPTIMISERS,
    PRECISIONS,
    SCALINGS,
    SCHEDULES,
    data_sets,
    one_of,
)
from digitlab.cli.engines import EngineOption, ThreadsOption, WorkersOption, checked_engine
from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.terminal import print_json, stderr, stdout, training_progress

if TYPE_CHECKING:
    from digitlab.options import Options
    from digitlab.result import RunResult

DATA, NETWORK, OPTIMISER, SCHEDULE, BUDGET, RUN = "Data", "Network", "Optimiser", "Schedule", "Budget", "Run"


_POINTS_SHOWN = 20
_LARGE_LOSS = 1e4


def _number(text: str) -> int | str:
    try:
        return int(text) if text.strip().isdecimal() else text
    except ValueError:  # thousands of digits
        return text


def _numbers(text: str) -> tuple[int | str, ...]:
    """`100,50` as numbers; what is none stays a text, for the RunSpec to refuse with all other faults."""
    return tuple(map(_number, text.split(","))) if text.strip() else ()


def train(
    data: Annotated[
        str | None,
        typer.Option(
            help="Name of a data set.", autocompletion=data_sets, show_default="mnist", rich_help_panel=DATA
        ),
    ] = None,
    scaling: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SCALINGS),
            autocompletion=one_of(SCALINGS),
            help="Pixels to inputs: x/255; mean 0 and sd 1; -1 to 1.",
            show_default="unit",
            rich_help_panel=DATA,
        ),
    ] = None,
    train_size: Annotated[
        int | None,
        typer.Option(
            help="Images to train on, stratified, drawn by the seed.",
            show_default="all",
            rich_help_panel=DATA,
        ),
    ] = None,
    validation_size: Annotated[
        int | None,
        typer.Option(
            help="Training images held out, the same in every run.", show_default="0", rich_help_panel=DATA
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            help='Units of each hidden layer, as in 100,100; "" for none.',
            show_default="none",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    initialisation: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(INITIALISATIONS),
            autocompletion=one_of(INITIALISATIONS),
            help="What the parameters start from.",
            show_default="torch",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(PRECISIONS),
            autocompletion=one_of(PRECISIONS),
            help="Of arithmetic.",
            show_default="float32",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    optimiser: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(OPTIMISERS),
            autocompletion=one_of(OPTIMISERS),
            help="How gradients become steps.",
            show_default="sgd",
            rich_help_panel=OPTIMISER,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            "--learning-rate",
            help="Learning rate, the schedule's peak.",
            show_default="0.01; adam, adamw: 0.001",
            rich_help_panel=OPTIMISER,
        ),
    ] = None,
    momentum: Annotated[
        float | None, typer.Option(help="SGD's, 0 to below 1.", show_default="0", rich_help_panel=OPTIMISER)
    ] = None,
    nesterov: Annotated[
        bool | None,
        typer.Option(
            "--nesterov/--no-nesterov", help="Nesterov's form of momentum.", rich_help_panel=OPTIMISER
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(help="Of weights and biases.", show_default="0; adamw: 0.01", rich_help_panel=OPTIMISER),
    ] = None,
    beta1: Annotated[
        float | None, typer.Option(help="Adam's first decay.", show_default="0.9", rich_help_panel=OPTIMISER)
    ] = None,
    beta2: Annotated[
        float | None,
        typer.Option(help="Adam's second decay.", show_default="0.999", rich_help_panel=OPTIMISER),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Adam's epsilon.", show_default="1e-8", rich_help_panel=OPTIMISER)
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SCHEDULES),
            autocompletion=one_of(SCHEDULES),
            help="The learning rate over time.",
            show_default="constant",
            rich_help_panel=SCHEDULE,
        ),
    ] = None,
    warmup_steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of linear warm-up (warmup-cosine).", show_default="0", rich_help_panel=SCHEDULE
        ),
    ] = None,
    final_fraction: Annotated[
        float | None,
        typer.Option(
            help="Where the cosine ends, as a share of the peak.", show_default="0", rich_help_panel=SCHEDULE
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Examples a step.", show_default="100", rich_help_panel=BUDGET)
    ] = None,
    last_batch: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(LAST_BATCHES),
            autocompletion=one_of(LAST_BATCHES),
            help="An epoch's last batch when it is shorter.",
            show_default="keep",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training images.", show_default="15", rich_help_panel=BUDGET),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps, instead of epochs.", rich_help_panel=BUDGET)
    ] = None,
    evaluate_at: Annotated[
        str | None,
        typer.Option(
            metavar="epoch|STEP,STEP,…",
            help="When the curve gets a point.",
            show_default="epoch",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of all random draws.", show_default="0", rich_help_panel=RUN)
    ] = None,
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
    json: Annotated[
        bool, typer.Option("--json", help="Print the RunResult as JSON.", rich_help_panel=RUN)
    ] = False,
    output: OutputOption = None,
) -> None:
    """Train one network, by default by the exercise's recipe."""
    from digitlab import lab
    from digitlab.models.trained import writable_target

    options: dict[str, Any] = {
        "data": data,
        "scaling": scaling,
        "train_size": train_size,
        "validation_size": validation_size,
        "hidden": None if hidden is None else _numbers(hidden),
        "initialisation": initialisation,
        "precision": precision,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "momentum": momentum,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
        "beta1": beta1,
        "beta2": beta2,
        "epsilon": epsilon,
        "schedule": schedule,
        "warmup_steps": warmup_steps,
        "final_fraction": final_fraction,
        "batch_size": batch_size,
        "last_batch": last_batch,
        "epochs": epochs,
        "steps": steps,
        "evaluate_at": _numbers(evaluate_at) if evaluate_at and evaluate_at[0].isdecimal() else evaluate_at,
        "seed": seed,
    }
    given = cast("Options", {name: value for name, value in options.items() if value is not None})
    run = lab.make_spec(lab.read_document(spec) if spec else None, **given)
    chosen = checked_engine(engine)
    checked_output(output, json=json)
    if save:
        writable_target(save)
    with training_progress(run.network_name) as on_progress:
        result, network = lab.run(run, device=device, engine=chosen, threads=threads, on_progress=on_progress)
    if json:
        print_json(result.to_json(), output)
    else:
        _show(result)
    if save:  # last, so that the result is not lost with it
        network.save(save)
        stderr().print(f"weights: {save}", soft_wrap=True)


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
