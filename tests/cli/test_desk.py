"""What people see: narrow terminals, plain encodings, logs, hostile names, completion, JSON."""

import json
import os
import re
import stat
import subprocess
import sys
import typing
from contextlib import closing
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.analysis.findings import StudyFindings
from digitlab.cli import bar, choices, tables
from digitlab.cli.console import CleanConsole
from digitlab.cli.streams import CONTROL
from digitlab.data.catalog import CATALOG
from digitlab.result import Outcome, RunResult
from digitlab.store import open_store
from digitlab.studies import built_in_names
from tests.cli.test_cli import DIGITLAB, FAST, _in_terminal, run
from tests.data.files import payloads, write_files

ESCAPE = "\x1b[31m\x1b]0;title\x07\x9b2J\u202e[red]"
STUDY = f"""\
name = "mine"
title = {json.dumps(f"A title {ESCAPE}")}
question = "What?"
[fixed]
steps = 5
train_size = 100
[[axes]]
name = "width"
levels = [{{ label = {json.dumps(f"one {ESCAPE}")}, hidden = [3] }}, {{ label = "two", hidden = [4] }}]
[seeds]
report = 2
"""


@pytest.fixture
def result() -> RunResult:
    return lab.train(hidden=(3,), steps=3, train_size=100)


# --- hostile texts ---


def test_no_text_of_a_study_or_an_error_controls_the_terminal(tmp_path: Path) -> None:
    study, store = tmp_path / "mine.toml", tmp_path / "runs.db"
    study.write_text(STUDY)
    store_option = ("--store", str(store))
    for arguments in (
        ("study", "show", str(study), *store_option),
        ("study", "run", str(study), *store_option),
        ("study", "show", str(study), *store_option),
        ("study", "show", str(study), *store_option, "--json"),
        ("study", "show", f"{tmp_path}/{ESCAPE}.toml"),
        ("evaluate", f"{tmp_path}/{ESCAPE}"),
    ):
        screen = _in_terminal(*arguments, NO_COLOR="1", TERM="dumb").replace("\r\n", "\n")
        # Bold and faint are ours.
        assert not CONTROL.search(re.sub(r"\x1b\[[0-3]?m", "", screen)), arguments
    assert "[red]" in run("study", "show", study, *store_option).stdout  # as it is, no markup


def test_no_text_of_a_foreign_store_controls_the_terminal(tmp_path: Path, result: RunResult) -> None:
    provenance = result.provenance.model_copy(update={"host": ESCAPE, "processor": ESCAPE})
    with closing(open_store(tmp_path / "runs.db")) as store:
        store.add([result.model_copy(update={"provenance": provenance})])
    for arguments in (
        ("runs", "list"),
        ("runs", "show", result.key),
        ("runs", "show", result.key, "--json"),
        ("runs", "export"),
        ("runs", "export", "--format", "csv"),
    ):
        screen = _in_terminal(*arguments, "--store", str(tmp_path / "runs.db"), NO_COLOR="1", TERM="dumb")
        assert not CONTROL.search(screen.replace("\r\n", "\n")), arguments
    shown = run("runs", "show", result.key, "--json", "--store", tmp_path / "runs.db").stdout
    assert RunResult.from_json(shown).provenance.host == ESCAPE


def test_no_name_of_a_folder_controls_the_terminal(tmp_path: Path, empty_data_directory: Path) -> None:
    assert run("data", "import", "mine", write_files(tmp_path / "s", payloads(20, 10))).returncode == 0
    (empty_data_directory / "datasets" / "mine").rename(empty_data_directory / "datasets" / "mine\x1b[31m")
    for option in ((), ("--json",)):
        screen = _in_terminal("data", "list", *option, NO_COLOR="1")
        assert "[31m" in screen
        assert not CONTROL.search(screen.replace("\r\n", "\n"))


# --- encodings, widths, logs ---


def test_what_an_encoding_lacks_is_shown_by_something_like_it(tmp_path: Path) -> None:
    study = tmp_path / "mine.toml"
    study.write_text(STUDY.replace("What?", "Höhe × 2 – ±1…", 1), encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run("study", "show", study, "--store", tmp_path / "no.db", env=environment)
    assert "Hohe x 2 - +-1..." in done.stdout


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_numbers_in_tables_stay_whole(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console = CleanConsole(width=width, highlight=False, markup=False)
    monkeypatch.setattr(tables, "stdout", lambda: console)
    heads = ("network", "a long question of many words", "test accuracy", "steps", "finished")
    row = (
        "784-100-100-10",
        "Does a text give way before a number does?",
        "0.9275",
        "1,234,567",
        "2026-01-02",
    )
    for is_ruled in (False, True):
        tables.print_table("llrrl", heads, [row, row], is_ruled=is_ruled)
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= width
        for number in (row[0], *row[2:]):
            assert out.count(number) == 2
        assert "…" not in out


def test_a_pipe_is_as_wide_as_columns_says() -> None:
    for width in (60, 120):
        done = run("study", "list", env=os.environ | {"COLUMNS": str(width)})
        longest = max(len(line.rstrip()) for line in done.stdout.splitlines())
        assert longest <= 60 if width == 60 else 60 < longest <= 120
    assert run("study", "list", env=os.environ | {"COLUMNS": "0"}).returncode == 0


def test_the_bar_keeps_its_length_and_the_time_its_digits() -> None:
    figures = ["12 of 1,234 runs", "best 0.9321", "diverged 0", "collapsed 3"]
    assert bar.layout("batch-lr", figures, 120) == ("batch-lr", 40, "  ".join(figures))
    assert bar.layout("batch-lr", figures, 90)[2] == "12 of 1,234 runs  best 0.9321  collapsed 3"
    assert bar.layout("batch-lr", figures, 80)[2] == "12 of 1,234 runs  best 0.9321"
    for width in (40, 60, 80, 100):
        for title in ("batch-lr", "x" * 64):
            head, length, shown = bar.layout(title, figures, width)
            assert len(head) + length + len(shown) + len("no estimate yet") + 3 <= width
            assert shown.startswith(figures[0])
            assert length >= (20 if width >= 80 and title == "batch-lr" else 5)


def test_a_terminal_of_80_columns_shows_a_bar_and_the_time_left() -> None:
    screen = _in_terminal("train", "--hidden", "50", "--epochs", "3", COLUMNS="80", NO_COLOR="1")
    lines = re.findall(r"784-50-10 ([━╸╺ ]+) loss [\d.]+  accuracy [\d.]+ +\d:\d\d:\d\d left", screen)
    assert lines
    assert all(len(line) >= 20 for line in lines)


def test_forced_colours_draw_no_bars_into_logs(tmp_path: Path) -> None:
    done = run("train", *FAST, env=os.environ | {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    study = tmp_path / "mine.toml"
    study.write_text(STUDY)
    done = run(
        *("study", "run", study, "--store", tmp_path / "runs.db"), env=os.environ | {"FORCE_COLOR": "1"}
    )
    assert "\x1b[1m" in done.stdout  # colours follow it
    assert "━" not in done.stdout + done.stderr
    assert "\x1b[2K" not in done.stderr


# --- the report's file and the browser ---


def test_a_report_is_a_web_page_by_its_name(tmp_path: Path) -> None:
    problem = "is not the name of a web page; name a file that ends in .html"
    for command in (("report",), ("exercise",), ("exercise", "--no-studies")):
        done = run(*command, "--output", tmp_path / "x.pdf")
        assert done.returncode == 2
        assert problem in done.stderr
    assert not list(tmp_path.iterdir())


def test_only_a_browser_with_a_window_is_opened(tmp_path: Path) -> None:
    for name in ("firefox-like", "www-browser", "w3m"):
        file = tmp_path / name
        file.write_text("#!/bin/sh\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    script = "from digitlab.cli.browser import browser_with_window; b = browser_with_window(); print(b.name if b else None)"

    def chosen(**environment: str) -> str:
        inherited = {
            n: v for n, v in os.environ.items() if n not in {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"}
        }
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=inherited | {"PATH": str(tmp_path)} | environment,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    window = str(tmp_path / "firefox-like")
    assert chosen() == "None"
    assert chosen(BROWSER=window) == "None"
    assert chosen(BROWSER=window, DISPLAY=":0") == window
    assert chosen(BROWSER=window, WAYLAND_DISPLAY="wayland-0") == window
    assert chosen(DISPLAY=":0") == "None"
    assert chosen(BROWSER=str(tmp_path / "w3m"), DISPLAY=":0") == "None"


def test_the_exercise_alone_is_kept_and_reported_where_options_say_so(tmp_path: Path) -> None:
    page, store = tmp_path / "x.html", tmp_path / "runs.db"
    done = run(
        "exercise", "--no-studies", "--epochs", 1, "--output", page, "--store", store, "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["report"] == str(page)
    assert [network["network"] for network in document["networks"]] == [
        "784-10",
        "784-100-10",
        "784-100-100-10",
    ]
    assert document["networks"][0]["figures"][0]["label"] == "loss at epoch 0"
    text = page.read_text()
    assert "networks beside the handout" in text
    assert "digitlab exercise --no-studies --epochs 1" in text
    assert json.loads(run("runs", "list", "--json", "--store", store).stdout)["count"] == 3


# --- JSON ---


def test_every_command_with_a_table_has_json(tmp_path: Path, result: RunResult) -> None:
    store = tmp_path / "runs.db"
    with closing(open_store(store)) as opened:
        opened.add([result])

    def document(*arguments: object) -> typing.Any:
        return json.loads(run(*arguments, "--json").stdout)

    assert [entry["name"] for entry in document("data", "list")][:2] == list(CATALOG)
    assert document("data", "show", "mnist")["sha256"] == CATALOG["mnist"].sha256
    assert {entry["fault"] for entry in document("data", "verify", "mnist")} == {None}
    (row,) = document("runs", "list", "--store", store)["runs"]
    assert (row["key"], row["network"], row["test_accuracy"]) == (
        *(result.key, "784-3-10"),
        result.metrics.test_accuracy,
    )
    assert {entry["scale"] for entry in document("study", "list", "--store", store)} == {"full", "quick"}
    assert document("study", "status", "depth", "--store", store)["is_done"] is False
    assert document("study", "show", "depth", "--store", store)["study"]["name"] == "depth"
    verified = document("store", "verify", "--recompute", 1, "--store", store)
    assert verified == {
        "checked": 1,
        "set_aside": [],
        "unreadable": [],
        "recomputed": {result.key: "the same to the last bit"},
    }


def test_a_study_that_is_done_tells_its_findings_as_json(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(STUDY)
    arguments = ("study", "run", tmp_path / "mine.toml", "--store", tmp_path / "runs.db", "--json")
    found = json.loads(run(*arguments).stdout)
    assert found.keys() == set(StudyFindings.__annotations__)
    assert found["run_count"] == 4


# --- completion ---


def completed(*words: str) -> list[str]:
    """What a shell offers for the last word."""
    environment = {
        "_DIGITLAB_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["digitlab", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run([DIGITLAB], env=os.environ | environment, capture_output=True, text=True)
    return done.stdout.split()


def test_values_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-study.toml").touch()
    assert completed("train", "--optimiser", "") == ["sgd", "adam", "adamw"]
    assert completed("train", "--optimiser", "adam") == ["adam", "adamw"]
    assert completed("train", "--schedule", "w") == ["warmup-cosine"]
    assert completed("train", "--engine", "") == ["lockstep", "reference"]
    assert completed("study", "run", "depth", "--scale", "") == ["quick", "full"]
    assert completed("study", "run", "") == ["all", *built_in_names(), "my-study.toml"]
    assert "mnist" in completed("train", "--data", "")
    assert completed("runs", "export", "--format", "p") == ["parquet"]


def test_the_words_that_are_completed_are_those_that_are_known() -> None:
    for words, known in (
        (choices.ENGINES, typing.get_args(lab.Engine)),
        (choices.OUTCOMES, typing.get_args(Outcome)),
        (choices.STUDIES, built_in_names()),
        (choices.DATA_SETS, tuple(CATALOG)),
    ):
        assert words == tuple(known)
