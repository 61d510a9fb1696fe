"""What a study says, and what the whole exercise says, for a notebook."""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from digitlab.analysis.findings import StudyFindings
from digitlab.errors import StoreError
from digitlab.report.build import completed_studies, completed_study, known_exercise, runs_of
from digitlab.report.html import fragment, opening_fragment
from digitlab.report.opening import Opening, opening
from digitlab.store import open_store
from digitlab.studies import read_study


@dataclass(frozen=True)
class StudyView:
    """Findings that show themselves."""

    findings: StudyFindings

    def _repr_html_(self) -> str:
        """In a notebook: the answer, then text, pictures and tables."""
        return fragment(self.findings)


@dataclass(frozen=True)
class ExerciseView:
    """The exercise's networks and questions, as a report says them first, and each study below."""

    opening: Opening
    studies: tuple[StudyFindings, ...]

    def _repr_html_(self) -> str:
        """In a notebook: networks, answers, and each study, folded."""
        return opening_fragment(self.opening, self.studies)


def findings_of(
    source: str | os.PathLike[str], scale: str = "full", store: str | os.PathLike[str] | None = None
) -> StudyView:
    """What a study says; in a notebook it shows itself.

    source: the name of a built-in study, or a TOML file
    store:  where its runs are kept; by default where the command keeps them
    Raises SpecError when there is no such study, StoreError when its runs are not all known.
    """
    with closing(open_store(store, must_exist=True)) as opened:
        found = completed_study(read_study(source).at(scale), scale, opened, str(source))
    if found is None:
        raise StoreError(f"{source} is not done; `digitlab study run {source} --scale {scale}` does it")
    return StudyView(found.findings)


def exercise_of(
    studies: Sequence[str] = (),
    scale: str | None = None,
    store: str | os.PathLike[str] | None = None,
) -> ExerciseView:
    """What the exercise says: its networks beside the handout, and its questions; a notebook shows it.

    studies: names or files; by default all built-in ones that are done
    scale:   None: of each the usual one if it is done, else another
    store:   where runs are kept; by default where the command keeps them
    Raises SpecError when there is no such study, StoreError when none is done.
    """
    with closing(open_store(store, must_exist=True)) as opened:
        found = completed_studies(studies, scale, opened)
        data_names = {run.spec.data.name for study in found for run in runs_of(study.stage)}
        exercise = known_exercise(opened, data_names)
    told = tuple(study.findings for study in found)
    return ExerciseView(opening(exercise, told), told)
