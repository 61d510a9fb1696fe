"""The figures and pictures of docs/exercise.md, from a store in which the studies are done in full.

    digitlab study run all --scale full --store runs.db
    python benchmarks/studies.py runs.db

Writes benchmarks/results/studies.json, which the tests hold the page to, and docs/pictures/*.svg.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from digitlab import contents
from digitlab.report.charts import svg
from digitlab.store import open_store
from digitlab.studies import built_in_names, read_study

ROOT = Path(__file__).parent.parent
PICTURES = {
    "batch-lr": ("map-equal-epochs", "law", "steps", "accuracy"),
    "train-size": ("error", "gap"),
    "depth": ("accuracy", "differences"),
    "parameters": ("effects", "tuning"),
}
"""Those that the page shows."""


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
    told = []
    for name in built_in_names():
        done = contents.told(read_study(name).at("full"), "full", store)
        if done is None:
            raise SystemExit(f"{name} is not done in this store; run `digitlab study run {name}` first")
        told.append(done)
        findings = dataclasses.asdict(done.findings)
        documents[name] = {field: value for field, value in findings.items() if field != "pictures"}
        for picture in done.findings.pictures:
            if picture.name in PICTURES[name]:
                (folder / f"{name}-{picture.name}.svg").write_text(svg(picture))
    report = contents.report(told, [], store)
    documents["where"] = [dataclasses.asdict(table) for table in report.tables if "come from" in table.title]
    (ROOT / "benchmarks" / "results" / "studies.json").write_text(
        json.dumps(documents, indent=1, ensure_ascii=False) + "\n"
    )


if __name__ == "__main__":
    main()
