"""What commands that take a network share: it is a saved file, or a run of the store, trained again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.stores import opened
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


def is_file(name: str) -> bool:
    """Whether a file is meant, not a key."""
    from digitlab.spec import is_key_prefix

    return not is_key_prefix(name) or Path(name).exists()


def found_network(name: str, store_file: Path | None) -> "TrainedNetwork":
    """The network of this name; what is to be said of it goes to stderr.

    Raises WeightsError when a file holds none, StoreError when there is no such run, and what a training
    raises.
    """
    if is_file(name):
        from digitlab.models.trained import load

        return load(name)
    from digitlab.recomputation import trained_again
    from digitlab.store import known_run

    with opened(store_file, must_exist=True) as store:
        known = known_run(store, name, predictions=True)
    stderr().print(f"{known.key[:12]}: {known.spec.network_name} is trained again", soft_wrap=True)
    with training_progress(known.spec.network_name) as on_progress:
        again = trained_again(known, on_progress)
    if again.note:
        stderr().print(again.note, soft_wrap=True)
    return again.network
