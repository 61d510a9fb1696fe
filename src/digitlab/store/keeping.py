"""Keeping runs of one's own: their results into the store, beside those of studies."""

import os
from collections.abc import Iterable
from contextlib import closing

from digitlab.errors import Fault, SpecError
from digitlab.result import RunResult
from digitlab.store.location import open_store

KEPT_ENGINE = "lockstep"


def keep(results: RunResult | Iterable[RunResult], store: str | os.PathLike[str] | None = None) -> int:
    """Put results into the store, where `digitlab runs list` shows them; how many of them were new.

    A run that the store knows stays as it is.

    store: the file; by default where the commands keep theirs
    Raises SpecError for a result of another engine than the store holds, and what `open_store` raises.
    """
    given = [results] if isinstance(results, RunResult) else list(results)
    for result in given:
        check_engine(result.provenance.engine)
    with closing(open_store(store)) as opened:
        return opened.add(given)


def check_engine(engine: str) -> None:
    """Raise SpecError when the store holds no results of this engine: a key stands for one result there."""
    if engine != KEPT_ENGINE:
        problem = f"is not the engine whose results are kept; train with {KEPT_ENGINE}, or keep nothing"
        raise SpecError([Fault("engine", engine, problem)])
