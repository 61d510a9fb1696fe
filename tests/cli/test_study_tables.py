"""`digitlab study tables`: every table of what a study found as CSV, with all digits; and the JSON of the same."""

import csv
import json
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from digitlab.analysis.findings import (
    Axis,
    Effect,
    Estimate,
    Finding,
    Forest,
    HeatMap,
    Square,
    StudyFindings,
    Table,
)
from digitlab.cli.terminal import json_text
from digitlab.errors import RunError
from digitlab.report.table_files import write_tables
from tests.report.test_build import SMALL


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "digitlab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def found(tables: tuple[Table, ...] = (), name: str = "mine") -> StudyFindings:
    estimate = Estimate(0.1 + 0.2, -math.inf, math.nan)
    grid = HeatMap(
        "grid",
        "A grid",
        "",
        Axis("batch size", "category"),
        Axis("momentum", "category"),
        Axis("loss"),
        (Square("20", "0", 1 / 3, "best"), Square("20", "0.9", math.nan, "diverged")),
    )
    forest = Forest("effects", "Effects", "", Axis("points"), (Effect("a, b", "", estimate),))
    finding = Finding("one", estimate, "points", 5, "seeds", "by hand", 'Said "so", it seems.')
    return StudyFindings(
        name, "Mine", "What?", "full", (), (finding,), (grid, forest), tables, (), 3, "5 seeds"
    )


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_numbers_keep_all_their_digits_and_texts_come_back(tmp_path: Path) -> None:
    table = Table("Of all kinds", ("what", "value"), (('a, "b"\nc', 0.1), ("π", 60_000), ("none", None)))
    write_tables(found((table,)), tmp_path)
    assert read(tmp_path / "mine-of-all-kinds.csv") == [
        ["what", "value"],
        ['a, "b"\nc', "0.1"],
        ["π", "60000"],
        ["none", ""],
    ]
    heads, row = read(tmp_path / "mine-findings.csv")
    cells = dict(zip(heads, row, strict=True))
    assert float(cells["estimate"]) == 0.1 + 0.2
    assert float(cells["from"]) == -math.inf
    assert math.isnan(float(cells["to"]))
    assert (cells["n"], cells["n of"], cells["unit"]) == ("5", "seeds", "points")
    assert cells["verdict"] == 'Said "so", it seems.'


def test_pictures_are_tables_too_named_as_their_figures(tmp_path: Path) -> None:
    paths = write_tables(found(), tmp_path)
    assert [path.name for path in paths] == ["mine-grid.csv", "mine-effects.csv", "mine-findings.csv"]
    assert read(tmp_path / "mine-grid.csv")[1:] == [["0", repr(1 / 3)], ["0.9", "diverged"]]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Best learning rates, 15 epochs", "mine-best-learning-rates-15-epochs.csv"),
        ("../../etc/passwd", "mine-etc-passwd.csv"),
        ("NUL", "mine-nul.csv"),
        ("Größe: 1 × 100?", "mine-gr-e-1-100.csv"),
        ("×", "mine.csv"),
        ("long " * 60, f"mine-{'long-' * 15}.csv".replace("-.", ".")),
    ],
)
def test_names_are_safe_on_every_file_system(title: str, name: str, tmp_path: Path) -> None:
    paths = write_tables(found((Table(title, ("a",), ()),)), tmp_path / "out")
    assert paths[-1] == tmp_path / "out" / name
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_tables_of_one_title_do_not_replace_each_other(tmp_path: Path) -> None:
    tables = tuple(Table(title, ("a",), ((title,),)) for title in ("Same", "same!", "SAME"))
    paths = write_tables(found(tables), tmp_path)
    names = [path.name for path in paths[-3:]]
    assert names == ["mine-same.csv", "mine-same-2.csv", "mine-same-3.csv"]
    assert [read(path)[1] for path in paths[-3:]] == [["Same"], ["same!"], ["SAME"]]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"file: the tables cannot be written \(File exists\); make room"):
        write_tables(found(), tmp_path / "file")
    with pytest.raises(RunError, match=r"\(Not a directory\); make room there, or name a folder that you"):
        write_tables(found(), tmp_path / "file" / "below")
    with pytest.raises(RunError, match="/proc/nowhere: the tables cannot be written"):
        write_tables(found(), Path("/proc/nowhere"))
    assert (tmp_path / "file").read_text() == "mine"


def test_the_command_writes_what_was_found_and_says_how_to_find_it(tmp_path: Path) -> None:
    file, store, folder = tmp_path / "small.toml", tmp_path / "runs.db", tmp_path / "a" / "tables"
    file.write_text(SMALL)
    done = run("study", "tables", file, "--output", folder, "--store", store, "--seed-base", 7)
    assert done.returncode == 1
    command = f"`digitlab study run {file} --scale full --seed-base 7`"
    assert f"{file} is not done, so there are no tables; {command} trains the rest" in done.stderr
    assert not folder.exists()
    assert not store.exists()
    assert run("study", "run", file, "--store", store).returncode == 0
    done = run("study", "tables", file, "--output", folder, "--store", store)
    assert done.returncode == 0, done.stderr
    assert set(map(Path, done.stdout.splitlines())) == set(folder.iterdir())
    shown = json.loads(run("study", "show", file, "--store", store, "--json").stdout)
    (table,) = [table for table in shown["tables"] if table["title"] == "Accuracy by setting"]
    heads, *rows = read(folder / "small-accuracy-by-setting.csv")
    assert heads == table["columns"]
    assert [[row[0], *map(float, row[1:])] for row in rows] == table["rows"]


def numbers_again(value: object) -> object:
    """A document with its numbers that are not finite, as their words say."""
    if isinstance(value, dict):
        return {name: numbers_again(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_again(member) for member in value]
    words = ("NaN", "Infinity", "-Infinity")
    return repr(float(value)) if isinstance(value, float) or value in words else value  # NaN != NaN


def test_numbers_that_are_not_finite_come_back_from_the_json_of_findings() -> None:
    findings = found((Table("Broken", ("a", "b"), ((math.nan, -math.inf), (math.inf, None))),))
    text = json_text(asdict(findings))
    document = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert numbers_again(document) == numbers_again(asdict(findings))
    assert document["pictures"][0]["squares"][1]["value"] == "NaN"
    assert document["tables"][0]["rows"] == [["NaN", "-Infinity"], ["Infinity", None]]
    assert document["findings"][0]["estimate"]["low"] == "-Infinity"
