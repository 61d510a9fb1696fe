"""`digitlab runs` and `digitlab store`."""

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.errors import SpecError, StoreError
from digitlab.result import RunResult
from digitlab.store import Filter, open_store
from tests.cli.in_process import output, run
from tests.store.conftest import rewrite, with_a_later_field

DIGITLAB = Path(sys.executable).with_name("digitlab")


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    short = {"budget": {"steps": 20}, "train_size": 200}
    return [
        lab.train(short, hidden=(8,), seed=1),
        lab.train(short, hidden=(8,), seed=2),
        lab.train(short, hidden=(9,), learning_rate=1e18),
        lab.train(short, optimiser="adam"),
    ]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: list[RunResult]) -> Path:
    """A store of four runs, which the environment names."""
    monkeypatch.setenv("DIGITLAB_STORE", str(tmp_path / "runs.db"))
    store = open_store()
    store.add(results)
    store.close()
    return tmp_path / "runs.db"


def refusal(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, StoreError | SpecError)
    return str(error)


def test_list_shows_runs_and_how_many_there_are(path: Path, results: list[RunResult]) -> None:
    lines = output("runs", "list").splitlines()
    assert lines[0].split() == ["key", "network", "batch", "rate", "seed", "outcome", "accuracy", "finished"]
    assert {line.split()[0] for line in lines[1:5]} == {result.key[:12] for result in results}
    first = next(line for line in lines if line.startswith(results[0].key[:12]))
    accuracy, finished = results[0].metrics.test_accuracy, results[0].provenance.finished[:19]
    assert first.split()[1:] == [
        *("784-8-10", "100", "0.01", "1", "completed", f"{accuracy:.4f}"),
        *finished.split("T"),
    ]
    assert any("1e+18" in line and "diverged" in line and "nan" in line for line in lines)
    assert lines[-1] == "4 of 4 runs"


def test_list_filters(path: Path) -> None:
    assert output("runs", "list", "--limit", 1).splitlines()[-1] == "1 of 4 runs"
    for options, count in [
        (("--network", "784-8-10"), 2),
        (("--outcome", "diverged"), 1),
        (("--seed", 2), 1),
        (("--batch-size", 100, "--data", "mnist", "--seed", 0), 2),
    ]:
        assert output("runs", "list", *options).splitlines()[-1] == f"{count} of {count} runs"
    assert output("runs", "list", "--data", "other") == "0 of 0 runs\n"
    assert refusal("runs", "list", "--outcome", "lost") == (
        "outcome: 'lost' is not known; use one of completed, diverged, collapsed"
    )


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    for command in (("list",), ("export",), ("show", "ab"), ("delete", "ab")):
        assert "there is no store" in refusal("runs", *command, "--store", tmp_path / "no.db")
    assert "there is no store" in refusal("store", "verify", "--store", tmp_path / "no.db")
    assert "there is no store" in refusal("store", "merge", tmp_path / "no.db", "--store", tmp_path / "x.db")
    assert not list(tmp_path.iterdir())


def test_show_tells_all_of_a_run(path: Path, results: list[RunResult]) -> None:
    shown = dict(line.split(maxsplit=1) for line in output("runs", "show", results[0].key[:10]).splitlines())
    assert shown["key"].strip() == results[0].key
    assert shown["spec.hidden"].strip() == "[8]"
    assert float(shown["metrics.test_loss"]) == results[0].metrics.test_loss
    assert shown["provenance.versions.torch"].strip() == results[0].provenance.versions.torch
    assert (
        RunResult.from_json(output("runs", "show", results[2].key, "--json")).to_json()
        == results[2].to_json()
    )


def test_a_key_that_is_unknown_or_not_enough(path: Path) -> None:
    assert refusal("runs", "show", "xyz") == (
        "xyz: no run's key begins with that; `digitlab runs list` shows the runs that there are"
    )
    assert ": 4 runs' keys begin with that (" in refusal("runs", "show", "")


def test_a_damaged_run_is_told(path: Path, results: list[RunResult]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runs SET seed = 77 WHERE key = ?", (results[0].key,))
    connection.close()
    assert "cannot be read: it was damaged" in refusal("runs", "show", results[0].key)
    done = run("runs", "list")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(results[0].key[:12])]
    assert line.split() == [results[0].key[:12], "?", "?", "?", "?", "damaged", "?", "?"]
    assert done.stdout.splitlines()[-1] == "4 of 4 runs"
    assert done.stderr == (
        "1 run of these not as written; `digitlab store verify` sets damaged runs aside, to be computed again\n"
    )
    done = run("runs", "export")
    assert len(json.loads(done.stdout)) == 3
    assert done.stderr.startswith("1 of 4 runs are left out: they were damaged")
    done = run("store", "verify")
    assert done.exit_code == 1
    assert done.stdout == "4 runs read, 1 set aside\n"
    assert done.stderr == f"error: {results[0].key[:12]}: is not as it was written\n"
    assert output("store", "verify") == "3 runs read, 0 set aside\n"


def test_a_run_of_another_version_is_told(path: Path, results: list[RunResult]) -> None:
    rewrite(path, results[0].key, with_a_later_field(results[0]))
    assert "or written by another version of digitlab" in refusal("runs", "show", results[0].key)
    done = run("store", "verify")
    assert (done.exit_code, done.stdout) == (0, "4 runs read, 0 set aside\n")
    assert done.stderr.startswith(
        f"{results[0].key[:12]}: cannot be read by this version of digitlab: another one wrote it"
    )


def test_a_pipe_named_as_store_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for command in (("runs", "list"), ("study", "list"), ("store", "verify"), ("study", "run", "depth")):
        assert "is not a regular file" in refusal(*command, "--store", tmp_path / "pipe")


def test_json_holds_the_results(path: Path, results: list[RunResult], tmp_path: Path) -> None:
    text = output("runs", "export", "--format", "json")
    found = {document["key"]: RunResult.from_json(json.dumps(document)) for document in json.loads(text)}
    assert {key: result.to_json() for key, result in found.items()} == {
        result.key: result.to_json() for result in results
    }
    assert json.loads(output("runs", "export", "--seed", 5)) == []
    assert output("runs", "export", "--output", tmp_path / "runs.json") == ""
    assert (tmp_path / "runs.json").read_text() == text


def test_csv_has_a_row_a_run(path: Path, results: list[RunResult]) -> None:
    rows = {
        row["key"]: row for row in csv.DictReader(io.StringIO(output("runs", "export", "--format", "csv")))
    }
    assert len(rows) == 4
    row = rows[results[0].key]
    assert row["spec.hidden"] == "[8]"
    assert float(row["metrics.test_loss"]) == results[0].metrics.test_loss
    assert row["provenance.finished"] == results[0].provenance.finished
    assert "provenance.host" not in row
    assert (row["spec.optimiser.momentum"], row["spec.optimiser.beta1"]) == ("0.0", "")
    assert rows[results[3].key]["spec.optimiser.beta1"] == "0.9"
    assert rows[results[2].key]["metrics.test_loss"] == "nan"
    assert output("runs", "export", "--format", "csv", "--seed", 5) == "key,outcome,provenance.finished\n"


def test_parquet_has_a_row_a_run(path: Path, results: list[RunResult], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "runs.parquet"
    assert output("runs", "export", "--format", "parquet", "--output", target) == ""
    columns = parquet.read_table(target).to_pydict()
    losses = dict(zip(columns["key"], columns["metrics.test_loss"], strict=True))
    assert {key: repr(loss) for key, loss in losses.items()} == {
        result.key: repr(result.metrics.test_loss) for result in results
    }
    assert "give --output FILE" in refusal("runs", "export", "--format", "parquet")


def test_parquet_without_its_library(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "in digitlab's folder: pip install '.[parquet]'" in refusal(
        "runs", "export", "--format", "parquet"
    )


def test_no_other_formats(path: Path) -> None:
    assert refusal("runs", "export", "--format", "xml") == (
        "format: 'xml' is not known; use one of json, csv, parquet"
    )


def test_delete_asks_and_tells(path: Path, results: list[RunResult]) -> None:
    answered = run("runs", "delete", results[0].key[:12], answer="n\n")
    assert answered.exit_code == 0
    assert answered.stdout.endswith("nothing deleted\n")
    assert answered.stderr.startswith(f"Delete 1 run from {path}? [y/N]")
    assert output("runs", "delete", results[0].key[:12], answer="y\n").endswith("1 run deleted\n")
    assert output("runs", "delete", "--outcome", "completed", "--yes") == "2 runs deleted\n"
    assert output("runs", "delete", "--seed", 9) == "nothing deleted\n"
    assert [row.key for row in open_store(path).list(Filter())] == [results[2].key]
    for unclear in ((), (results[2].key, "--seed", 0)):
        assert "give either keys or options that choose runs" in refusal("runs", "delete", *unclear, "--yes")


@pytest.mark.parametrize("stdin", ["<&-", "< /dev/null"])
def test_a_question_that_nobody_answers_ends_in_a_sentence(
    stdin: str, path: Path, results: list[RunResult]
) -> None:
    command = f"'{sys.executable}' -m digitlab runs delete {results[0].key} {stdin}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)  # noqa: S602
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert "Traceback" not in done.stderr
    assert "stdin: cannot be read, and there is a question: Delete 1 run from" in done.stderr
    assert done.stderr.endswith("Give --yes to answer it beforehand.\n")
    assert len(open_store(path).list(Filter())) == 4


def test_merge_takes_over(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    assert output("store", "merge", path, "--store", other) == "4 of 4 runs taken over\n"
    assert output("store", "merge", path, "--store", other) == "0 of 4 runs taken over\n"


@pytest.fixture
def differing(path: Path, results: list[RunResult]) -> Iterator[RunResult]:
    """The store with one run only, whose stored loss is not what it is, but rightly hashed."""
    store = open_store()
    store.delete([result.key for result in results])
    metrics = results[0].metrics.model_copy(update={"test_loss": 1.25})
    yield results[0].model_copy(update={"metrics": metrics})
    store.close()


def test_recomputing_finds_the_same_bits(path: Path) -> None:
    lines = output("store", "verify", "--recompute", 9).splitlines()
    assert lines[0] == "4 runs read, 0 set aside"
    assert [line.split(maxsplit=1)[1] for line in lines[1:]] == ["the same to the last bit"] * 4


def test_recomputing_finds_what_differs(path: Path, differing: RunResult) -> None:
    open_store().add([differing])
    done = run("store", "verify", "--recompute", 1)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1] == f"{differing.key[:12]}  DIFFERS"


def test_recomputing_compares_only_what_was_computed_likewise(path: Path, differing: RunResult) -> None:
    elsewhere = differing.provenance.model_copy(update={"processor": "an abacus"})
    open_store().add([differing.model_copy(update={"provenance": elsewhere})])
    line = output("store", "verify", "--recompute", 1).splitlines()[1]
    assert line.startswith(f"{differing.key[:12]}  not compared: processor was an abacus, is ")


def test_an_error_is_told_without_a_stack_trace(tmp_path: Path) -> None:
    environment = os.environ | {"DIGITLAB_STORE": str(tmp_path)}
    done = subprocess.run([DIGITLAB, "runs", "list"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert (
        done.stderr == f"error: {tmp_path}: is a folder; name a file in it, such as {tmp_path}/digitlab.db\n"
    )
