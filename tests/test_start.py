"""What nobody waits for who does not need it: where there is a kernel, no training loads torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from digitlab.engine.lockstep.c.build import kernel

needs_kernel = pytest.mark.skipif(kernel("float32") is None, reason="no C compiler here: torch computes")
STUDY = """
name = "small"
title = "Small"
question = "?"
[fixed]
train_size = 1000
validation_size = 100
steps = 20
[[axes]]
name = "learning_rate"
values = [0.1, 0.2]
[seeds]
report = 2
"""
SLOW = {"torch", "scipy", "sqlalchemy", "altair", "requests"}


def python(*arguments: object) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def loaded_by(*arguments: object) -> set[str]:
    """The libraries among SLOW that `digitlab` loads for a command."""
    import_times = python("-X", "importtime", "-m", "digitlab", *arguments).stderr
    names = {
        line.rpartition("|")[2].strip()
        for line in import_times.splitlines()
        if line.startswith("import time:")
    }
    assert "digitlab.lab" in names
    return {name.partition(".")[0] for name in names} & SLOW


@needs_kernel
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_training_in_python_loads_no_torch(precision: str, data_directory: Path, tmp_path: Path) -> None:
    script = f"""
import sys
import digitlab as dl
result = dl.train(hidden=(20,), steps=20, precision={precision!r}, save={str(tmp_path / "n.safetensors")!r})
images = dl.load_dataset("mnist").test.images
dl.load({str(tmp_path / "n.safetensors")!r}).predict(images)
assert "torch" not in sys.modules
assert not {SLOW!r} & set(sys.modules), {SLOW!r} & set(sys.modules)
print(result.provenance.versions.torch)
"""
    assert python("-c", script).stdout.strip() == str(torch.__version__)


@needs_kernel
def test_commands_that_train_and_evaluate_load_no_torch(data_directory: Path, tmp_path: Path) -> None:
    network = tmp_path / "n.safetensors"
    assert loaded_by("train", "--steps", 20, "--save", network) == set()
    assert loaded_by("exercise", "--no-studies", "--epochs", 1, "--workers", 1) == set()
    assert "torch" not in python("-X", "importtime", "-m", "digitlab", "evaluate", network).stderr
    study = tmp_path / "small.toml"
    study.write_text(STUDY)
    assert "torch" not in loaded_by("study", "run", study, "--store", tmp_path / "runs.db", "--workers", 1)
