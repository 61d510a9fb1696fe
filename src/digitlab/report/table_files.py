"""Files of every table: CSV for a spreadsheet, for pandas, for R."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from digitlab.analysis.findings import StudyFindings, Table
from digitlab.errors import RunError
from digitlab.files import write_whole
from digitlab.report.tables import table_of

_MOST_LETTERS = 80
"""Of a file's name: with what comes behind it short enough everywhere."""


def write_tables(findings: StudyFindings, directory: Path) -> list[Path]:
    """Write the findings, every table and the numbers behind every picture into a directory, a file each.

    The directory is made if it is not there. Files are named by study and title, those of a picture as its
    figures are: `depth-accuracy.csv` beside `depth-accuracy.svg`. Those of the same name are replaced.
    Numbers have all their digits; what is not known is an empty cell, or `nan`. Each file is whole, or not
    there.

    Returns their paths. Raises RunError where they cannot be written.
    """
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, table in _named(findings):
            path = directory / f"{_free(f'{findings.name}-{name}', written)}.csv"
            write_whole(path, as_csv(table))
            written.append(path)
    except OSError as error:
        raise RunError(
            f"{error.filename}: the tables cannot be written ({error.strerror}); make room there, or name a "
            "folder that you can write to"
        ) from None
    return written


def as_csv(table: Table) -> str:
    """A table as CSV: heads, then a line a row; numbers with as many digits as give back the same number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def findings_table(findings: StudyFindings) -> Table:
    """What was found, one finding a row."""
    return Table(
        title="Findings",
        columns=("finding", "estimate", "from", "to", "unit", "n", "n of", "verdict", "method"),
        rows=tuple(
            (
                found.title,
                found.estimate.value,
                found.estimate.low,
                found.estimate.high,
                found.unit,
                found.n,
                found.n_of,
                found.verdict,
                found.method,
            )
            for found in findings.findings
        ),
        note="From and to: 95 % interval.",
    )


def _named(findings: StudyFindings) -> Iterator[tuple[str, Table]]:
    for picture in findings.pictures:
        yield picture.name, table_of(picture)
    for table in (findings_table(findings), *findings.tables):
        yield table.title, table


def _free(name: str, written: list[Path]) -> str:
    """A file's name, without its suffix, that is safe on every file system, and that no file before has."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_MOST_LETTERS].rstrip("-")
    taken, stem, count = {path.stem for path in written}, plain, 1
    while stem in taken:
        count += 1
        stem = f"{plain}-{count}"
    return stem
