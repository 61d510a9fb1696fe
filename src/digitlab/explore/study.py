"""One study at one scale as it stands now: how far it is, its cells, and what it says once it is done."""

import threading
from dataclasses import dataclass

from digitlab.analysis.findings import StudyFindings
from digitlab.errors import DataError
from digitlab.store import Store
from digitlab.studies import Study
from digitlab.studies.cells import Cell, cells
from digitlab.studies.findings import findings
from digitlab.studies.progress import StudyProgress


@dataclass(frozen=True)
class Standing:
    """How far a study is.

    planned:  runs that it has before any range grows
    known:    runs that are known, of those that are due
    due:      runs of the stage that is due and those before
    stage:    what is due, in words
    """

    planned: int
    known: int
    due: int
    stage: str
    is_done: bool


class WatchedStudy:
    """A study that is looked at again and again while runs come in; each result is read once.

    Any number of threads may look. What is deleted from the store later is still seen.
    """

    def __init__(self, study: Study, scale: str, store: Store) -> None:
        self.study, self.scale = study, scale
        self._store, self._progress = store, StudyProgress(study, store)
        self._taken = threading.Lock()
        self._findings: StudyFindings | DataError | None = None

    def standing(self) -> Standing:
        """How far it is."""
        return self.look()[0]

    def look(self) -> tuple[Standing, tuple[Cell, ...]]:
        """How far it is, and its cells. Raises StoreError."""
        with self._taken:
            stage = self._progress.stage()
            planned = self._progress.planned_count
            standing = Standing(planned, stage.known_count, stage.run_count, stage.title, stage.is_done)
            return standing, cells(self._progress.asked())

    def findings(self) -> StudyFindings | DataError | None:
        """What it says; None while it is not done; a DataError: what it needs and is not here."""
        with self._taken:
            if self._findings is None:
                stage = self._progress.stage()
                if stage.is_done:
                    try:
                        self._findings = findings(self.study, self.scale, stage, self._store)
                    except DataError as missing:
                        return missing
            return self._findings
