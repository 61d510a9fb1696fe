"""`digitlab mistakes`: what a network gets wrong, and what all networks do."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.confusions import print_confusions
from digitlab.cli.networks import NetworkArgument, found_network
from digitlab.cli.stores import StoreOption, opened
from digitlab.cli.terminal import JsonOption, print_json, stdout

if TYPE_CHECKING:
    from digitlab.mistakes import Mistakes

_CLASSES_TOLD = 3


def mistakes(
    network: NetworkArgument,
    count: Annotated[
        int, typer.Option("--count", min=1, max=1_000, help="So many images are shown of each kind.")
    ] = 24,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="A contact sheet: a page (.html), or a picture (.svg, .png); with --json the JSON.",
        ),
    ] = None,
    json: JsonOption = False,
    store_file: StoreOption = None,
) -> None:
    """Show what a network gets wrong, the most confident mistakes first."""
    # Loaded here: --help must not wait for it.
    from digitlab.mistakes import mistakes_of
    from digitlab.report.document import checked_sheet
    from digitlab.store import is_there

    if output is not None and not json:
        checked_sheet(output)
    shown = found_network(network, store_file)
    with opened(store_file) if is_there(store_file) else nullcontext() as store:
        found = mistakes_of(shown, store, count)
    if json:
        print_json(_document(found), output)
        return
    _print(found)
    if output is not None:
        from digitlab.report.writing import write_mistakes  # draws, which takes long to load

        write_mistakes(found, output)
        stdout().print(f"\n{output}", soft_wrap=True)


def _print(found: "Mistakes") -> None:
    from digitlab.cli.tables import print_table
    from digitlab.report.examples import missed_in_words

    out, network, names = stdout(), found.network, found.network.class_names
    out.print(f"{network.title}, run {network.key[:12]}: {network.caption}\n", soft_wrap=True)
    confusion = found.confusion
    images = (confusion.images, *confusion.class_images)
    rows = [
        (
            name,
            f"{count:,}",
            f"{count - round(count * accuracy.value):,}",
            f"{accuracy.value:.4f}",
            f"{accuracy.low:.4f} to {accuracy.high:.4f}",
        )
        for name, count, accuracy in zip(("all", *names), images, found.accuracies, strict=True)
        if count
    ]
    print_table("lrrrr", ("class", "images", "wrong", "accuracy", "95 % interval"), rows)
    print_confusions(confusion)
    out.print("\nThe most confident mistakes")
    told = [
        (str(digit.index), names[digit.label], _likeliest(digit.probabilities, names))
        for digit in network.misclassified
    ]
    print_table("rll", ("test image", "class", "probabilities"), told)
    if missed := found.missed:
        out.print(f"\n{missed_in_words(missed)}", soft_wrap=True)
        told = [
            (
                str(digit.index),
                names[digit.label],
                ", ".join(f"{names[predicted]} by {votes}" for predicted, votes in digit.votes),
            )
            for digit in missed.digits
        ]
        if told:
            print_table("rll", ("test image", "class", "taken for"), told)


def _likeliest(probabilities: "tuple[float, ...]", names: "tuple[str, ...]") -> str:
    order = sorted(range(len(names)), key=lambda i: -probabilities[i])[:_CLASSES_TOLD]
    return ", ".join(f"{names[i]} {100 * probabilities[i]:.1f} %" for i in order)


def _document(found: "Mistakes") -> dict[str, object]:
    """All that was found but the pixels, for JSON."""
    from dataclasses import asdict

    network, names, missed = found.network, found.network.class_names, found.missed
    return {
        "key": network.key,
        "network": network.title,
        "class_names": names,
        "confusion": network.confusion,
        "accuracy": asdict(found.accuracies[0]),
        "class_accuracy": [asdict(accuracy) for accuracy in found.accuracies[1:]],
        "mistakes": [
            {"test_image": digit.index, "class": names[digit.label], "probabilities": digit.probabilities}
            for digit in network.misclassified
        ],
        "missed_by_all": missed
        and {
            "networks": missed.networks,
            "count": missed.count,
            "by_chance": missed.by_chance,
            "images": [
                {
                    "test_image": digit.index,
                    "class": names[digit.label],
                    "votes": {names[predicted]: votes for predicted, votes in digit.votes},
                }
                for digit in missed.digits
            ],
        },
    }
