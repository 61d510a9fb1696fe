"""`digitlab report`, as users run it; .ci/run does the whole exercise."""

import subprocess
import sys
from pathlib import Path

from tests.report.test_build import SMALL


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "digitlab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_study_becomes_a_page_and_pictures(tmp_path: Path) -> None:
    study, store, page = tmp_path / "small.toml", tmp_path / "runs.db", tmp_path / "report.html"
    study.write_text(SMALL)
    assert run("study", "run", study, "--store", store).returncode == 0
    done = run(
        "report", study, "--store", store, "--output", page, "--figures", tmp_path / "figures", "--no-open"
    )
    assert (done.returncode, done.stdout) == (0, f"{page}\n"), done.stderr
    text = page.read_text()
    assert "A small study" in text
    assert "Does width matter?" in text
    assert f"digitlab study run {study} --scale full" in text
    assert "data:image/png;base64," in text  # the example network
    assert "<script" not in text
    pictures = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert "small-effects.svg" in pictures
    assert "small-effects.png" in pictures


def test_a_store_without_a_study_that_is_done_is_told(tmp_path: Path) -> None:
    study, store = tmp_path / "small.toml", tmp_path / "runs.db"
    study.write_text(SMALL)
    done = run("report", study, "--store", store, "--no-open")
    assert done.returncode == 1
    assert "there is no store" in done.stderr
    assert run("study", "run", study, "--store", store, "--time-limit", 0).returncode == 0
    done = run("report", study, "--store", store, "--no-open")
    assert done.returncode == 1
    assert "no study is done in this store; `digitlab study run all --scale quick`" in done.stderr
