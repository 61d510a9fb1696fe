"""`digitlab evaluate`: a saved network on a test set."""

from pathlib import Path
from typing import Annotated

import typer

from digitlab.cli.terminal import stdout


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `digitlab train --save FILE` wrote.")],
    data: Annotated[
        str | None, typer.Option(help="Name of a data set.", show_default="the one it was trained on")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Evaluate a saved network: accuracy, by class, confusions."""
    # Loaded here: --help must not wait for torch.
    from rich.table import Table

    from digitlab import trained
    from digitlab.datasets import library
    from digitlab.engine.confusion import confusion_of

    network = trained.load(file)
    confusion = confusion_of(network, library.load(data or network.spec.data.name))
    if json:
        print(confusion.to_json())
        return
    out = stdout()
    out.print(f"Number of images tested: {confusion.images:,}")
    out.print(f"Accuracy: {confusion.accuracy:.4f}\n")
    table = Table("class", box=None, header_style="")
    for name in ("images", "right", "accuracy"):
        table.add_column(name, justify="right")
    counts = zip(
        confusion.class_names, confusion.class_images, confusion.class_accuracy, confusion.counts, strict=True
    )
    for i, (name, images, accuracy, row) in enumerate(counts):
        table.add_row(name, f"{images:,}", f"{row[i]:,}", f"{accuracy:.4f}")
    out.print(table)
    out.print("\nConfusions: a row for each true class, a column for each predicted one")
    table = Table("", box=None, header_style="")
    for name in confusion.class_names:
        table.add_column(name[:6], justify="right")
    for name, row in zip(confusion.class_names, confusion.counts, strict=True):
        table.add_row(name[:6], *(str(count) if count else "·" for count in row))
    out.print(table)
