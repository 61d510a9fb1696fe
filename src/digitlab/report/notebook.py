"""What a study says, for a notebook."""

import os
from contextlib import closing
from dataclasses import dataclass

from digitlab.analysis.findings import StudyFindings
from digitlab.errors import StoreError
from digitlab.report.build import completed_study
from digitlab.report.html import fragment
from digitlab.store import open_store
from digitlab.studies import read_study


@dataclass(frozen=True)
class StudyView:
    """Findings that show themselves."""

    findings: StudyFindings

    def _repr_html_(self) -> str:
        """In a notebook: text, pictures and tables."""
        return fragment(self.findings)


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
