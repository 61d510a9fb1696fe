"""A study's chapter, as the report has it: answer, findings, pictures with their tables, in words."""

import math
import threading
from dataclasses import dataclass
from functools import lru_cache

from digitlab.analysis.findings import Picture, StudyFindings, Table
from digitlab.report import numbers
from digitlab.report.cells import Written, written
from digitlab.report.charts import svg
from digitlab.report.opening import Answer, answer_of
from digitlab.report.tables import table_of

_DRAWS = threading.Lock()
_MOST_DRAWN = 256


@dataclass(frozen=True)
class FindingInWords:
    """A finding as it is written; the numbers beside it, NaN where there are none."""

    title: str
    estimate: str
    interval: str
    value: float
    low: float
    high: float
    unit: str
    n: int
    n_of: str
    method: str
    verdict: str


@dataclass(frozen=True)
class WrittenTable:
    """A table as it is written, with its title."""

    title: str
    table: Written


@dataclass(frozen=True)
class Chapter:
    """All that a study says.

    pictures: each with the table of its numbers
    """

    answer: Answer
    sentences: tuple[str, ...]
    findings: tuple[FindingInWords, ...]
    pictures: tuple[tuple[Picture, WrittenTable], ...]
    tables: tuple[WrittenTable, ...]
    methods: tuple[str, ...]
    run_count: int
    seeds: str


def chapter(study: StudyFindings) -> Chapter:
    """A study's findings, laid out."""
    return Chapter(
        answer=answer_of(study),
        sentences=study.answer,
        findings=tuple(
            FindingInWords(
                title=finding.title,
                estimate=numbers.estimate(finding.estimate, finding.unit),
                interval=numbers.interval(finding.estimate, finding.unit),
                value=finding.estimate.value,
                low=finding.estimate.low,
                high=finding.estimate.high,
                unit=finding.unit,
                n=finding.n,
                n_of=finding.n_of,
                method=finding.method,
                verdict=finding.verdict,
            )
            for finding in study.findings
        ),
        pictures=tuple((picture, written_table(table_of(picture))) for picture in study.pictures),
        tables=tuple(map(written_table, study.tables)),
        methods=study.methods,
        run_count=study.run_count,
        seeds=study.seeds,
    )


def written_table(table: Table) -> WrittenTable:
    """A table as it is written."""
    return WrittenTable(table.title, written(table))


def drawn(picture: Picture, theme: str, pixels: int, prefix: str) -> str:
    """A picture as an SVG document; see `report.charts.svg`. Drawn once, one at a time.

    Raises ValueError for another theme than `light`, `dark` and `page`.
    """
    if theme not in ("light", "dark", "page") or not math.isfinite(pixels):
        raise ValueError(theme)
    with _DRAWS:  # so that who asks for one that is being drawn gets that
        return _drawn(picture, theme, pixels, prefix)


@lru_cache(maxsize=_MOST_DRAWN)
def _drawn(picture: Picture, theme: str, pixels: int, prefix: str) -> str:
    return svg(picture, theme, pixels=pixels, prefix=prefix)  # type: ignore[arg-type]
