"""The figures and pictures in docs/exercise.md, from a store in which the studies are done in full.

    digitlab study run all --scale full --store runs.db
    python benchmarks/studies.py runs.db

Writes benchmarks/results/studies.json, docs/pictures/*.svg, and what stands between the page's marks
(`<!-- answer NAME -->`, `<!-- table NAME TITLE -->`, `<!-- where -->`, each up to `<!-- end -->`).
"""

import argparse
import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

from tables import table

from digitlab.analysis.findings import Table
from digitlab.report import build
from digitlab.report.cells import written
from digitlab.report.charts import svg
from digitlab.store import open_store
from digitlab.studies import OBSERVATIONS, read_study

ROOT = Path(__file__).parent.parent
PICTURES = {
    "batch-lr": ("map-equal-epochs", "law", "steps", "accuracy"),
    "train-size": ("error", "gap"),
    "depth": ("accuracy", "differences"),
    "parameters": ("effects", "tuning"),
}
"""Those that the page shows."""


def filled(page: str, documents: dict[str, Any]) -> str:
    """The page with what the documents say between its marks."""

    def content(mark: re.Match[str]) -> str:
        kind, _, rest = mark[1].partition(" ")
        if kind == "answer":
            lines = [f"> - {sentence}" for sentence in documents[rest]["answer"]]
        elif kind == "table":
            name, _, title = rest.partition(" ")
            tables = {table["title"]: table for table in documents[name]["tables"]}
            if title not in tables:
                raise SystemExit(f"{name} has no table {title!r}, but {', '.join(map(repr, tables))}")
            lines = markdown(tables[title])
        else:
            lines = [documents["work"], ""]
            lines += [line for table in documents["where"] for line in markdown(table)]
        return "\n".join([f"<!-- {mark[1]} -->", *lines, "<!-- end -->"])

    return re.sub(r"<!-- ((?:answer|table|where)[^\n]*) -->\n.*?<!-- end -->", content, page, flags=re.DOTALL)


def markdown(found: dict[str, Any]) -> list[str]:
    """A table, its numbers written as in the report."""
    whole = written(Table(**found))
    return [
        *table([head.name for head in whole.heads], whole.rows),
        *(["", whole.note] if whole.note else []),
    ]


def finite(value: Any) -> Any:
    """The same for JSON, which has no numbers that are not finite: they become null."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main() -> None:
    """Read the store, and write what the page needs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    store = open_store(parser.parse_args().store, must_exist=True)
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    documents: dict[str, Any] = {}
    completed = []
    for name in OBSERVATIONS:
        done = build.completed_study(read_study(name).at("full"), "full", store)
        if done is None:
            raise SystemExit(f"{name} is not done in this store; run `digitlab study run {name}` first")
        completed.append(done)
        findings = dataclasses.asdict(done.findings)
        documents[name] = {field: value for field, value in findings.items() if field != "pictures"}
        for picture in done.findings.pictures:
            if picture.name in PICTURES[name]:
                (folder / f"{name}-{picture.name}.svg").write_text(svg(picture))
    report = build.report(completed, [], store)
    runs = {run.key: run for study in completed for run in build.runs_of(study.stage)}
    hours = sum(run.provenance.seconds for run in runs.values()) / 3_600
    documents["work"] = f"{len(runs):,} runs, {hours:.2f} hours of one core's time."
    documents["where"] = [dataclasses.asdict(table) for table in report.tables if "come from" in table.title]
    page = ROOT / "docs" / "exercise.md"
    page.write_text(filled(page.read_text(), documents))
    (ROOT / "benchmarks" / "results" / "studies.json").write_text(
        json.dumps(finite(documents), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )


if __name__ == "__main__":
    main()
