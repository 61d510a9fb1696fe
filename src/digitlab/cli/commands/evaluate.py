"""`digitlab evaluate`: a network on a test set."""

from typing import Annotated

import typer

from digitlab.cli.choices import data_sets
from digitlab.cli.confusions import print_confusions
from digitlab.cli.networks import NetworkArgument, found_network
from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.stores import StoreOption
from digitlab.cli.terminal import JsonOption, print_json, stdout


def evaluate(
    network: NetworkArgument,
    data: Annotated[
        str | None,
        typer.Option(
            autocompletion=data_sets, help="Name of a data set.", show_default="the one it was trained on"
        ),
    ] = None,
    json: JsonOption = False,
    output: OutputOption = None,
    store_file: StoreOption = None,
) -> None:
    """Evaluate a network: accuracy, by class, confusions."""
    # Loaded here: --help must not wait for it.
    from digitlab.cli.tables import print_table
    from digitlab.engine.confusion import confusion_on

    checked_output(output, json=json)
    found = found_network(network, store_file)
    confusion = confusion_on(found, data)
    if json:
        print_json(confusion.to_json(), output)
        return
    out = stdout()
    spec = found.spec
    out.print(
        f"{network}: {spec.network_name}, trained on {spec.data.name}, tested on {confusion.data}",
        soft_wrap=True,
    )
    out.print(f"Number of images tested: {confusion.images:,}")
    out.print(f"Accuracy: {confusion.accuracy:.4f}\n")
    counts = zip(
        confusion.class_names, confusion.class_images, confusion.class_accuracy, confusion.counts, strict=True
    )
    rows = [
        (name, f"{images:,}", f"{row[i]:,}", f"{accuracy:.4f}")
        for i, (name, images, accuracy, row) in enumerate(counts)
    ]
    print_table("lrrr", ("class", "images", "right", "accuracy"), rows)
    print_confusions(confusion)
