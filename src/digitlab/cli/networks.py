"""What commands that take a network share: it is a saved file, or a run of the store, trained again."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.terminal import stderr, training_progress

if TYPE_CHECKING:
    from digitlab.models.trained import TrainedNetwork

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY|FILE",
        help="A run of the store, by the digits that its key begins with, or what `digitlab train --save "
        "FILE` wrote.",
    ),
]


def note(sentence: str) -> None:
    """Say what the user should know besides the result."""
    stderr().print(sentence, soft_wrap=True)


def found_network(name: str, store_file: str | None) -> "TrainedNetwork":
    """The network of this name; what is to be said of it goes to stderr. See `named_network`."""
    from digitlab.networks import is_file, named_network

    with nullcontext() if is_file(name) else training_progress(f"run {name[:12]}") as on_progress:
        return named_network(name, note, on_progress, store_file=store_file)
