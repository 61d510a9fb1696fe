"""A driver on Ray that is killed: the next one goes on from the store, and nothing of the first is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digitlab.store import Filter, open_store
from tests.execution.trainings import bits

STUDY = """name = "tiny"
title = "Batch size and learning rate"
question = "How should they be changed together?"
analysis = "batch-lr"
points = 4
target = 0.85
[fixed]
hidden = [20]
validation_size = 2000
train_size = 4000
[[axes]]
name = "budget"
levels = [ { label = "equal epochs", epochs = 3 } ]
[[axes]]
name = "batch_size"
values = [16, 64]
[[axes]]
name = "learning_rate"
range = { from = 0.125, to = 1, factor = 2 }
tune = true
extend = true
also = [0.01]
[seeds]
tune = 2
report = 3
also = 2
"""


def command(study: Path, store: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "digitlab", "study", "run", str(study), "--store", str(store), *options]


def contents(path: Path) -> dict[str, object]:
    store = open_store(path)
    try:
        return {
            key: bits(result) for key, result in store.get(store.keys(Filter()), predictions=True).items()
        }
    finally:
        store.close()


def ray_processes(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder) in (text := process.read_bytes().decode(errors="replace")):
                found.append(text)
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_a_killed_driver_goes_on_from_its_store(tmp_path: Path, data_directory: Path) -> None:
    study = tmp_path / "tiny.toml"
    study.write_text(STUDY)
    temporary = Path(f"/tmp/dl{os.getpid()}")  # noqa: S108  # short: Ray's sockets lie in it
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    first = subprocess.Popen(
        command(study, tmp_path / "ray.db", "--on", "ray", "--workers", "2"),
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not (tmp_path / "ray.db").exists() or not contents(tmp_path / "ray.db"):
        assert first.poll() is None
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = contents(tmp_path / "ray.db")
    again = subprocess.run(
        command(study, tmp_path / "ray.db", "--on", "ray", "--workers", "2"),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    assert "Ray: 2 workers on" in again.stderr
    assert f"{len(kept):,} known" in again.stderr
    subprocess.run(command(study, tmp_path / "local.db"), env=environment, check=True, capture_output=True)
    assert contents(tmp_path / "ray.db") == contents(tmp_path / "local.db")
    end = time.monotonic() + 30
    while ray_processes(temporary) and time.monotonic() < end:
        time.sleep(0.2)
    assert not ray_processes(temporary)
    assert not list(temporary.iterdir())
    temporary.rmdir()
