"""The program in plain PyTorch: it is short, runs without digitlab, and computes the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digitlab.data import Dataset
from digitlab.errors import SpecError, WeightsError
from digitlab.exports.plain import program, write_program
from digitlab.models.trained import load
from tests.exports.networks import facts

ASK = """
import json, runpy, sys, torch
names = runpy.run_path(sys.argv[1])
images = torch.frombuffer(bytearray(open(sys.argv[2], "rb").read()[16:]), dtype=torch.uint8).reshape(-1, 28, 28)
assert not [name for name in sys.modules if name.startswith("digitlab")]
print(json.dumps(names["probabilities"](images).tolist()))
"""


def without_digitlab(tmp_path: Path, *arguments: object) -> str:
    """What a program prints where digitlab cannot be imported."""
    blocked = tmp_path / "blocked"
    blocked.mkdir(exist_ok=True)
    (blocked / "digitlab.py").write_text("raise ImportError('digitlab is not here')\n")
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(blocked)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "options", [{"hidden": (30, 20), "scaling": "standard"}, {"precision": "float64"}], ids=str
)
def test_it_computes_the_same_without_digitlab(
    options: dict[str, object], mnist: Dataset, tmp_path: Path
) -> None:
    shown, file = facts(mnist, **options), tmp_path / "digits.py"
    assert write_program(shown, file) == tmp_path / "digits.safetensors"
    images = mnist.test.images[:20]
    (tmp_path / "images").write_bytes(bytes(16) + images.tobytes())
    ours = shown.network.probabilities(images)
    (tmp_path / "ask.py").write_text(ASK)
    theirs = np.array(json.loads(without_digitlab(tmp_path, tmp_path / "ask.py", file, tmp_path / "images")))
    assert theirs == pytest.approx(ours, abs=1e-6)
    printed = json.loads(without_digitlab(tmp_path, file, tmp_path / "images"))
    assert printed == ours.argmax(1).tolist()


def test_it_is_short_and_says_what_it_is(mnist: Dataset) -> None:
    text = program(facts(mnist, hidden=(30,)))
    assert len([line for line in text.splitlines() if line.strip()]) <= 16
    assert text.startswith(
        '"""784-30-10, trained on mnist, test accuracy 0.1250. Needs torch and safetensors."""\n'
    )
    assert "nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10)).to(torch.float32)" in text


def test_the_weights_beside_are_a_network_again(mnist: Dataset, tmp_path: Path) -> None:
    shown = facts(mnist, hidden=(30,))
    again = load(write_program(shown, tmp_path / "digits.py"))
    assert again.spec == shown.network.spec
    assert again.probabilities(mnist.test.images[:9]).tobytes() == (
        shown.network.probabilities(mnist.test.images[:9]).tobytes()
    )


def test_faults(mnist: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^pytorch: '.* is not a name for a program; let it end in .py$"):
        write_program(facts(mnist), tmp_path / "digits")
    with pytest.raises(WeightsError, match="cannot be written"):
        write_program(facts(mnist), tmp_path / "none" / "digits.py")
    assert list(tmp_path.iterdir()) == []
