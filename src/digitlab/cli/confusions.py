"""How confusions are printed: as a matrix, or the most frequent ones where there are many classes."""

from typing import TYPE_CHECKING

from digitlab.cli.terminal import stdout

if TYPE_CHECKING:
    from digitlab.engine.confusion import Confusion

_CLASSES_IN_A_MATRIX = 12
"""A matrix of more does not fit a terminal."""


def print_confusions(confusion: "Confusion") -> None:
    """Print which classes were taken for which."""
    if len(confusion.class_names) <= _CLASSES_IN_A_MATRIX:
        _print_matrix(confusion)
    else:
        _print_most_frequent(confusion)


def _print_matrix(confusion: "Confusion") -> None:
    from digitlab.cli.tables import print_table

    numbers = [str(i) for i in range(len(confusion.class_names))]
    rows = [
        (name if name == i else f"{i} {name}", *(str(count) if count else "·" for count in row))
        for i, name, row in zip(numbers, confusion.class_names, confusion.counts, strict=True)
    ]
    stdout().print("\nConfusions: a row for each true class, a column for each predicted one")
    print_table("l" + "r" * len(numbers), ("", *numbers), rows)


def _print_most_frequent(confusion: "Confusion") -> None:
    stdout().print("\nThe most frequent confusions (all of them: --json)")
    for count, true, predicted in confusion.mistakes[:20]:
        stdout().print(f"{count:7,}  {true} taken for {predicted}")
