"""`digitlab study`: real processes, killed with real signals; nothing that was finished is lost."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from digitlab.result import RunResult
from digitlab.store import Filter, open_store
from digitlab.studies import built_in_names, built_in_text, read_study
from digitlab.studies.expansion import run_count
from tests.execution.test_workers import assert_gone, worker_processes
from tests.execution.trainings import bits
from tests.lengths import length

KILLS = length(5, 30)
KILLS_WITH_WORKERS = length(2, 3)
SECONDS = 120
"""Longer than anything here takes, on a busy machine too."""
WORK = float(os.environ.get("DIGITLAB_TEST_WORK", "1"))
"""A tenth of the work is done as fast as all of it on a machine ten times as fast; what is tested holds on both."""

SMALL = """\
name = "small"
title = "A small study"
question = "Does anything change?"
points = 3

[fixed]
hidden = [6]
steps = 40
train_size = 500
validation_size = 100

[[axes]]
name = "batch_size"
values = [20, 50]

[[axes]]
name = "learning_rate"
range = { from = 0.0625, to = 1 }
tune = true
also = [0.01]

[seeds]
tune = 3
report = 6
"""
SMALL_RUNS = 2 * (5 * 3 + 3 * 3 + 6)

# Many cohorts, for each width trains by itself.
LONG = """\
name = "long"
title = "A long study"
question = "How wide?"

[fixed]
steps = {steps}
train_size = 1000
validation_size = 100

[[axes]]
name = "hidden"
values = [{widths}]

[[axes]]
name = "learning_rate"
range = {{ from = 0.125, to = 0.25 }}
tune = true

[seeds]
tune = 1
report = 2
""".format(steps=round(900 * WORK), widths=", ".join(f"[{width}]" for width in range(4, 34)))
LONG_RUNS = 30 * (2 + 2)

# Ctrl-C is ignored by whoever is started in a shell's background; here it is meant to be heard. And workers are
# started for however little work, unless it is said that there is one.
COMMAND = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from digitlab import lab; lab._SECONDS_TO_START_WORKERS = -1\n"
    "from digitlab.cli.main import main; main()",
    "study",
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path / "small.toml"


@pytest.fixture
def long(tmp_path: Path) -> Path:
    (tmp_path / "long.toml").write_text(LONG)
    return tmp_path / "long.toml"


def start(*arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def study(*arguments: object, code: int = 0) -> tuple[str, str]:
    """What a command prints, on stdout and on stderr; lines that were wrapped are joined."""
    process = start(*arguments)
    out, error = process.communicate(timeout=SECONDS)
    assert process.returncode == code, error
    assert "Traceback" not in out + error
    return out, re.sub(r"\s+", " ", error)


def row_count(path: Path) -> int:
    """Rows of runs in a store, without touching it; 0 while it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def results_in(path: Path) -> dict[str, RunResult]:
    with closing(open_store(path, must_exist=True)) as store:
        found = store.get([row.key for row in store.list(Filter())], predictions=True)
        assert store.verify().checked == len(found)
    return found


def bits_in(path: Path) -> dict[str, tuple[str, bytes | None]]:
    """All that is in a store outside provenance."""
    return {key: bits(result) for key, result in results_in(path).items()}


def finished_in(path: Path) -> dict[str, str]:
    """When each run ended, which tells two computations of it apart."""
    return {key: result.provenance.finished for key, result in results_in(path).items()}


def wait_for_rows(process: "subprocess.Popen[str]", path: Path, count: int) -> bool:
    """Wait until there are so many rows; False when the process ended before."""
    while process.poll() is None:
        if row_count(path) >= count:
            return True
        time.sleep(0.005)
    return False


@contextmanager
def running(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    process = start(*arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# --- run ---


def test_a_study_from_the_first_word_to_the_findings(small: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    _, messages = study("run", small, "--store", store, "--dry-run")
    assert f"small: {SMALL_RUNS} runs planned, 0 known; about " in messages
    assert "seconds and 0." in messages
    out, _ = study("status", small, "--store", store)
    assert out.splitlines() == [
        f"small, full, seeds 0-5: {SMALL_RUNS} runs planned, 0 known of those that are due",
        "next: trying the range of learning rates, 30 runs",
    ]
    out, _ = study("show", small, "--store", store)
    assert (
        out.splitlines()
        == [
            "A small study",
            "Does anything change?",
            "",
            "fixed: hidden [6], steps 40, train_size 500, validation_size 100",
            "batch_size: 20, 50",
            "learning_rate (tuned): 0.0625, 0.125, 0.25, 0.5, 1",
            "seeds: 6, the range of learning rates tried on 3",
            f"{SMALL_RUNS} runs planned, 0 known; `digitlab study run {small}` trains the rest",
        ]
        or str(small) in out
    )  # a long path is wrapped
    assert not store.exists()  # who only looks makes no store

    _, messages = study("run", small, "--store", store, "--time-limit", 0, "--workers", 1)
    first = row_count(store)
    assert 0 < first < 30
    assert (
        f"the time is over; {30 - first} runs are left of this stage (trying the range of learning rates)"
        in messages
    )
    before = results_in(store)

    found, messages = study("run", small, "--store", store, "--workers", 1)
    assert f"small: {SMALL_RUNS} runs planned, {first} known" in messages
    assert (
        f"small: trying the range of learning rates, {30 - first} runs small: all seeds around the best "
        "learning rate, 30 runs" in messages
    )
    assert "A small study\nDoes anything change?" in found
    assert row_count(store) == SMALL_RUNS
    assert before.items() <= results_in(store).items()  # nothing was computed twice

    found_again, messages = study("run", small, "--store", store)
    assert messages == f"small: {SMALL_RUNS} runs planned; all {SMALL_RUNS} that it needs are known "
    assert found_again == found
    assert study("show", small, "--store", store)[0] == found
    out, _ = study("status", small, "--store", store)
    assert out.splitlines()[1] == "done"
    assert row_count(store) == SMALL_RUNS

    for seeds, planned, known in ((7, SMALL_RUNS + 8, SMALL_RUNS), (2, 24, 24)):
        out, _ = study("status", small, "--store", store, "--seeds", seeds)
        assert f"small, full, seeds 0-{seeds - 1}: {planned} runs planned, {known} known" in out
    _, messages = study("run", small, "--store", store, "--hidden", "9,9", "--dry-run")
    assert f"small: {SMALL_RUNS} runs planned, 0 known" in messages


def test_a_study_without_a_tuned_axis(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text(
        re.sub(r"\[\[axes\]\]\nname = \"learning.*also = \[0.01\]\n", "", SMALL, flags=re.DOTALL)
    )
    out, messages = study("run", tmp_path / "plain.toml", "--store", tmp_path / "runs.db", "--workers", 1)
    assert "small: all seeds, 12 runs" in messages
    assert "A small study" in out
    assert row_count(tmp_path / "runs.db") == 12


def test_a_study_with_one_scale_runs_at_it(tmp_path: Path) -> None:
    path = tmp_path / "quick.toml"
    path.write_text(f"{SMALL}\n[scales.quick]\npoints = 2\n")
    _, messages = study("run", path, "--store", tmp_path / "runs.db", "--dry-run")
    assert messages.startswith(f"small: {SMALL_RUNS} runs planned")
    assert study("status", path, "--store", tmp_path / "runs.db")[0].startswith("small, quick, seeds 0-5: ")


def test_a_level_with_every_seed_broken_is_told(tmp_path: Path) -> None:
    text = SMALL.replace("from = 0.0625, to = 1", "from = 1e18, to = 2e18").replace("also = [0.01]\n", "")
    (tmp_path / "broken.toml").write_text(text)
    store = tmp_path / "runs.db"
    study("run", tmp_path / "broken.toml", "--store", store, "--workers", 1)
    out, _ = study("status", tmp_path / "broken.toml", "--store", store)
    assert out.splitlines()[1:] == [
        "done",
        *(f"batch size {size}: most networks broke at every learning rate" for size in (20, 50)),
    ]


def test_two_processes_at_once_on_one_study(small: Path, tmp_path: Path) -> None:
    both = [start("run", small, "--store", tmp_path / "both.db", "--workers", 1) for _ in range(2)]
    ended = [process.communicate(timeout=SECONDS) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert ended[0][0] == ended[1][0]
    study("run", small, "--store", tmp_path / "one.db", "--workers", 1)
    assert bits_in(tmp_path / "both.db") == bits_in(tmp_path / "one.db")


# --- list and new ---


def test_list_tells_every_built_in_study_at_every_scale(tmp_path: Path) -> None:
    out, _ = study("list", "--store", tmp_path / "runs.db")
    lines = out.splitlines()
    assert lines[0].split() == ["name", "question", "scale", "runs", "known"]
    assert [line.split()[0] for line in lines[1::2]] == list(built_in_names())
    counts = [run_count(read_study("batch-lr").at(scale)) for scale in ("full", "quick")]
    assert [line.split()[-3:] for line in lines[1:3]] == [
        [scale, f"{count:,}", "0"] for scale, count in zip(("full", "quick"), counts, strict=True)
    ]
    assert not (tmp_path / "runs.db").exists()


def test_new_copies_a_study_and_overwrites_none(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    out, _ = study("new", file, "--like", "depth")
    assert out == f"wrote {file}; run it with `digitlab study run {file}`\n"
    assert file.read_text() == built_in_text("depth")
    out, _ = study("status", file, "--store", tmp_path / "runs.db", "--scale", "quick")
    depth = read_study("depth").at("quick")
    assert f"depth, quick, seeds 0-{depth.seeds.report - 1}: {run_count(depth):,} runs planned" in out
    _, messages = study("new", file, code=1)
    assert messages == f"error: {file}: there is a file of this name; choose another name, or remove it "
    assert file.read_text() == built_in_text("depth")


# --- mistakes ---


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "dept"], 2, "error: study: 'dept' is neither a file nor built in; did you mean depth?"),
        (
            ["run", "no.toml"],
            2,
            "error: study: 'no.toml' cannot be read (No such file or directory); name a TOML",
        ),
        (
            ["show", "depth", "--scale", "slow"],
            2,
            "error: scale: 'slow' is not a scale of depth; use full or quick",
        ),
        (["run", "depth", "--hidden", "9"], 2, "error: hidden: '9' is what depth varies; leave it out"),
        (["run", "all", "--hidden", "9"], 2, "error: hidden: '9' is what depth varies; leave it out"),
        (
            ["run", "SMALL", "--hidden", "9,x"],
            2,
            "error: small, batch_size 20: hidden.1: 'x' is not a whole number",
        ),
        (["run", "SMALL", "--hidden", "1" * 5_000], 2, "error: small, batch_size 20: hidden.0: '111"),
        (["run", "SMALL", "--seeds", "0"], 2, "Invalid value for '--seeds'"),
        (
            ["run", "SMALL", "--seeds", "100001"],
            2,
            "error: seeds.report: 100001 is too large; it must be at most 100000",
        ),
        (["run", "SMALL", "--workers", "0"], 2, "Invalid value for '--workers'"),
        (["run", "SMALL", "--time-limit", "-1"], 2, "Invalid value for '--time-limit'"),
        (["run", "SMALL", "--device", "tpu"], 1, "error: device: 'tpu' is not known"),
        (["new", "mine.txt"], 2, "error: file: 'mine.txt' is not a name for a study; let it end in .toml"),
        (
            ["new", "no/folder/mine.toml"],
            1,
            "error: no/folder/mine.toml: cannot be written (No such file or directory); make",
        ),
        (["new", "mine.toml", "--like", "mine"], 2, "error: study: 'mine' is neither a file nor built in"),
    ],
)
def test_mistakes_end_with_a_sentence(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.setenv("DIGITLAB_STORE", str(tmp_path / "runs.db"))
    monkeypatch.chdir(tmp_path)
    out, messages = study(*(str(small) if word == "SMALL" else word for word in arguments), code=code)
    assert message in messages
    assert out == ""
    assert not (tmp_path / "mine.toml").exists()
    assert row_count(tmp_path / "runs.db") == 0


def test_faults_of_a_file_are_told_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(
        SMALL.replace("report = 6", "reports = 6").replace("points = 3", "points = 0")
    )
    _, messages = study("run", tmp_path / "x.toml", "--store", tmp_path / "runs.db", code=2)
    assert "x.toml, line 4: points: 0 is too small; it must be at least 1" in messages
    assert (
        "x.toml, line 24: seeds.reports: 6 is for a field that does not exist here; did you mean report?"
        in messages
    )


# --- a store that cannot be written ---


def test_a_file_that_may_not_grow_ends_it_and_keeps_what_it_has(small: Path, tmp_path: Path) -> None:
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from digitlab.cli.main import main; main()"
    )
    store = tmp_path / "runs.db"
    command = [
        sys.executable,
        "-c",
        limited,
        "study",
        "run",
        str(small),
        "--store",
        str(store),
        "--workers",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (
        f"error: {store}: the disk failed (disk I/O error); see that it is intact and has room" in done.stderr
    )
    kept = results_in(store)
    assert 0 < len(kept) < SMALL_RUNS
    study("run", small, "--store", store, "--workers", 1)
    assert kept.items() <= results_in(store).items()
    assert row_count(store) == SMALL_RUNS


def test_a_store_where_none_can_be_made(small: Path) -> None:
    _, messages = study("run", small, "--store", "/proc/nowhere/runs.db", code=1)
    assert "/proc/nowhere/runs.db: no store can be made there (" in messages


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_store_that_may_not_be_written(small: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    study("run", small, "--store", store, "--time-limit", 0, "--workers", 1)
    store.chmod(0o444)
    _, messages = study("run", small, "--store", store, "--workers", 1, code=1)
    assert "or name another place by --store" in messages


# --- signals ---


@pytest.mark.parametrize("workers_wanted", [1, 2])
def test_ctrl_c_keeps_what_is_finished(long: Path, tmp_path: Path, workers_wanted: int) -> None:
    store = tmp_path / "runs.db"
    with running("run", long, "--store", store, "--workers", workers_wanted) as process:
        assert wait_for_rows(process, store, 2)
        crew = worker_processes(process.pid)
        assert len(crew) == (2 if workers_wanted == 2 else 0)
        finished_count = row_count(store)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in error
    assert_gone(crew)
    assert finished_count <= len(results_in(store)) < LONG_RUNS


def test_ctrl_c_twice_leaves_at_once(long: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    with running("run", long, "--store", store, "--workers", 2) as process:
        assert wait_for_rows(process, store, 2)
        crew = worker_processes(process.pid)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        _, error = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert_gone(crew)
    assert results_in(store)


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # each of the many starts loads torch, which takes its time on a busy machine
def test_however_often_it_is_killed_nothing_is_lost_or_done_twice(long: Path, tmp_path: Path) -> None:
    draw, known = random.Random(20_260), dict[str, str]()
    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    with running("run", long, "--store", whole, "--workers", 1) as uninterrupted:
        for kill in range(KILLS):
            if len(known) > LONG_RUNS * 3 / 4:  # so fast a machine finishes many while a kill is on its way
                break
            count = 2 if kill < KILLS_WITH_WORKERS else 1
            with running("run", long, "--store", killed, "--workers", count) as process:
                row_target = len(known) + draw.choice([1, 1, 2, 3])
                assert wait_for_rows(process, killed, row_target), process.communicate()
                crew = worker_processes(process.pid)
                os.killpg(process.pid, signal.SIGKILL)
            assert (len(crew) == 2) == (count == 2)
            assert_gone(crew)
            now = finished_in(killed)
            assert known.items() <= now.items()  # what was there was not computed again
            known = now
        assert kill > KILLS_WITH_WORKERS
        assert len(known) < LONG_RUNS
        out, _ = study("run", long, "--store", killed, "--workers", 1)
        assert known.items() <= finished_in(killed).items()
        expected, _ = uninterrupted.communicate()
    assert bits_in(killed) == bits_in(whole)
    assert row_count(killed) == LONG_RUNS
    assert out == expected
