"""Reports as pages, made when somebody opens them: of the studies that are done, of one run, of two."""

import threading

from digitlab.comparing import compared_in
from digitlab.mistakes import mistakes_of
from digitlab.models.trained import TrainedNetwork
from digitlab.report.build import completed_studies
from digitlab.report.html import mistakes_page, pair_page, render
from digitlab.report.writing import whole_report
from digitlab.store import Store

_WRITES = threading.Lock()
"""One report at a time: each takes a core for some seconds."""


def study_report(store: Store, names: tuple[str, ...], scale: str | None) -> str:
    """The report of these studies, of all built-in ones that are done where none is named.

    Raises as `completed_studies`.
    """
    with _WRITES:
        return render(whole_report(completed_studies(names, scale, store), store))


def mistakes_report(network: TrainedNetwork, store: Store) -> str:
    """What one network gets wrong, and what all networks like it do. Raises as `mistakes_of`."""
    with _WRITES:
        found = mistakes_of(network, store)
        return mistakes_page(found.network, found.missed)


def pair_report(store: Store, a: str, b: str) -> str:
    """Two runs beside each other, by their keys. Raises as `compared_in`."""
    with _WRITES:
        return pair_page(compared_in(store, a, b))
