"""Words that options take, written out so that no completion waits for a library, and their completion.

Those of a RunSpec's fields are in `option_types`.
"""

import os
from collections.abc import Callable
from pathlib import Path

ENGINES = ("lockstep", "reference")
DEVICES = ("cpu", "cuda", "mps")
OUTCOMES = ("completed", "diverged", "collapsed")
FORMATS = ("json", "csv", "parquet")
SCALES = ("quick", "full")
STUDIES = ("batch-lr", "train-size", "depth", "parameters", "writers")
DATA_SETS = ("mnist", "fashion-mnist")
"""Those of the catalogue."""

Completion = Callable[[str], list[str]]
"""The words that may follow what is typed so far."""


def one_of(words: tuple[str, ...]) -> Completion:
    """Completes to one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def data_sets(incomplete: str) -> list[str]:
    """Completes to a data set: of the catalogue, or imported on this machine."""
    from digitlab.data import registry

    try:
        names = registry.names()
    except OSError:
        names = list(DATA_SETS)
    return [name for name in names if name.startswith(incomplete)]


def studies(incomplete: str) -> list[str]:
    """Completes to a built-in study, to a TOML file, or to a folder on the way to one."""
    folder, _, start = incomplete.rpartition(os.sep)
    try:
        found = sorted(Path(f"{folder}{os.sep}" if folder or incomplete else ".").iterdir())
    except OSError:
        found = []
    front = incomplete[: len(incomplete) - len(start)]
    files = [f"{front}{path.name}" for path in found if path.suffix == ".toml"]
    folders = [f"{front}{path.name}{os.sep}" for path in found if path.is_dir() and path.name[0] != "."]
    words = [*one_of(STUDIES)(incomplete), *files, *folders]
    return [word for word in words if word.startswith(incomplete) and word.isprintable()]


def studies_or_all(incomplete: str) -> list[str]:
    """The same, or all built-in ones."""
    return [*one_of(("all",))(incomplete), *studies(incomplete)]
