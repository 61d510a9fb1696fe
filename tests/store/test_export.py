"""Runs as files, written from Python."""

import csv
import io
import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from digitlab.errors import StoreError
from digitlab.result import RunResult
from digitlab.store import export, open_store
from tests.store.conftest import Numbered


def test_a_document_becomes_a_row() -> None:
    document = {"a": 1, "b": {"c": None, "d": {"e": "x"}}, "f": (1, 2)}
    assert export.flat(document) == {"a": 1, "b.c": None, "b.d.e": "x", "f": "[1, 2]"}


def test_runs_are_read_and_written(tmp_path: Path, numbered: Numbered) -> None:
    results = [numbered(number) for number in range(3)]
    with closing(open_store(tmp_path / "runs.db")) as store:
        store.add(results)
        found = list(export.results_of(store, [result.key for result in results]))
    assert {run.key for run in found} == {run.key for run in results}
    whole, table = io.StringIO(), io.StringIO()
    assert export.write_json(whole, results) == 3
    assert [RunResult.from_json(json.dumps(document)).key for document in json.loads(whole.getvalue())] == [
        result.key for result in results
    ]
    assert export.write_csv(table, results) == 3
    rows = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert [row["spec.seed"] for row in rows] == ["0", "1", "2"]
    assert (export.write_json(io.StringIO(), []), export.write_csv(io.StringIO(), [])) == (0, 0)


def test_a_table_goes_into_parquet(tmp_path: Path, numbered: Numbered) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with (tmp_path / "runs.parquet").open("wb") as file:
        assert export.parquet_writer()(file, [numbered(1)]) == 1
    assert parquet.read_table(tmp_path / "runs.parquet").to_pydict()["key"] == [numbered(1).key]


def test_parquet_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StoreError, match=r"in digitlab's folder: pip install '\.\[parquet\]'"):
        export.parquet_writer()
