"""`digitlab predict`, as its users run it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digitlab import lab
from digitlab.data import Dataset
from tests.vision.photographs import photograph_of


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, data_directory: Path) -> Path:
    path = tmp_path_factory.mktemp("network") / "n.safetensors"
    lab.train(hidden=(64,), learning_rate=0.5, epochs=2, train_size=20_000, validation_size=2_000, save=path)
    return path


def run(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "digitlab", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=240, **options)


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory, mnist: Dataset) -> Path:
    made = photograph_of(mnist.test.images[0], 7, 3, plain=True)
    path = tmp_path_factory.mktemp("photographs") / f"seven{made.suffix}"
    path.write_bytes(made.content)
    return path


def test_a_photograph_is_read(network: Path, photograph: Path, tmp_path: Path) -> None:
    done = run(photograph, "--model", network, "--explain", tmp_path / "steps")
    assert done.returncode == 0
    assert done.stderr.decode() == f"how far its probabilities hold: {tmp_path}/steps/reliability.svg\n"
    first, second = done.stdout.decode().splitlines()
    assert re.match(re.escape(f"{photograph}: 7  (7 ") + r"(9\d\.\d|100\.0)%", first)
    assert second == f"  steps: {tmp_path}/steps/seven-steps.png"
    with Image.open(tmp_path / "steps" / "seven-steps.png") as image:
        image.load()


def test_many_files_as_json_and_one_of_them_at_fault(network: Path, photograph: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((60, 80), 250, np.uint8)).save(tmp_path / "blank.png")
    (tmp_path / "x.png").write_bytes(b"<svg/>")
    output = tmp_path / "answers.json"
    done = run(
        photograph,
        tmp_path,
        "-",
        "--model",
        network,
        "--json",
        "--output",
        output,
        input=photograph.read_bytes(),
    )
    assert (done.returncode, done.stdout) == (1, b"")
    seven, blank, svg, stdin = json.loads(output.read_text())
    assert [digit["digit"] for digit in seven["digits"]] == [7]
    assert len(seven["digits"][0]["probabilities"]) == 10
    assert blank == {
        "file": f"{tmp_path}/blank.png",
        "digits": [],
        "reason": "no digit found: the picture is blank",
    }
    assert svg["reason"] == f"{tmp_path}/x.png: is a drawing in SVG, whatever its name says; export it as PNG"
    assert stdin == seven | {"file": "standard input"}


def test_nothing_named_is_a_fault_of_usage() -> None:
    done = run()
    assert done.returncode == 2
    assert done.stderr.startswith(
        b"error: file: 'nothing' is missing; name a picture, a folder, - for standard input"
    )


def test_where_nothing_can_be_kept_there_is_an_answer_all_the_same(
    network: Path, photograph: Path, tmp_path: Path
) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_CACHE_HOME"}
    }
    done = run(photograph, "--model", network, env=environment | {"HOME": "/nonexistent"})
    assert (done.returncode, done.stderr) == (0, b"")
    done = run(photograph, "--model", network, "--explain", "/proc/none")
    assert done.returncode == 1
    assert b"/proc/none: cannot be written (" in done.stderr


def test_no_picture_waits_for_torch(network: Path, photograph: Path) -> None:
    script = (
        "import sys, atexit; sys.argv = ['digitlab', 'predict', *sys.argv[1:]]\n"
        "atexit.register(lambda: print('HEAVY', sorted({'torch', 'sqlalchemy', 'altair'} & set(sys.modules))))\n"
        "from digitlab.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, photograph, "--model", network], capture_output=True, text=True
    )
    assert "HEAVY []" in done.stdout
