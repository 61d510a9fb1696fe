"""Many images: an import and a training hold none of them in memory of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digitlab.data.catalog import FILE_NAMES

_IMAGES = 200_000  # 157 MB

_SCRIPT = """
import json, re, sys, threading
from pathlib import Path
from digitlab import lab
from digitlab.data import load
from digitlab.data.importing import import_directory
from digitlab.engine.lockstep import train_cohort

def anonymous_mb():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

load("mnist"), lab.make_spec()
peak, over, before = 0.0, threading.Event(), anonymous_mb()
def watch():
    global peak
    while not over.wait(0.005):
        peak = max(peak, anonymous_mb())
watcher = threading.Thread(target=watch)
watcher.start()
import_directory("many", Path(sys.argv[1]))
dataset = load("many")
spec = lab.make_spec(data="many", train_size=5_000, steps=50, scaling="standard")
((result, network),) = train_cohort([spec], dataset)
over.set(); watcher.join()
print(json.dumps([peak - before, result.outcome]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what memory no file backs")
def test_many_images_are_imported_and_trained_on_without_holding_them(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for role, count in (("train", _IMAGES), ("test", 100)):
        images = np.random.default_rng(1).integers(0, 256, (100, 784), dtype=np.uint8)
        images[:, 100:] = 0
        with (source / FILE_NAMES[f"{role}_images"]).open("wb") as file:  # type: ignore[index]
            file.write(np.array([0x803, count, 28, 28], ">u4").tobytes())
            for _ in range(count // 100):
                file.write(images.tobytes())
        labels = np.arange(count, dtype=np.uint8) % 10
        header = np.array([0x801, count], ">u4").tobytes()
        (source / FILE_NAMES[f"{role}_labels"]).write_bytes(header + labels.tobytes())  # type: ignore[index]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(source)],
        env=os.environ | {"DIGITLAB_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak_mb, outcome = json.loads(done.stdout)
    assert outcome == "completed"
    assert peak_mb < 80  # of 157
