"""Exports as a person asks for them: several files at once, and what stands against them beforehand."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from digitlab.data import Dataset
from digitlab.errors import DataError, SpecError
from digitlab.exports.service import Targets, export
from digitlab.models.trained import load
from tests.exports.networks import network


def test_every_form_at_once(mnist: Dataset, tmp_path: Path) -> None:
    made = network(mnist, hidden=(8,))
    written = export(
        made, Targets(tmp_path / "n.onnx", tmp_path / "weights.safetensors", tmp_path / "digits.py")
    )
    assert [path.name for path in written.files] == [
        "n.onnx",
        "weights.safetensors",
        "digits.safetensors",
        "digits.py",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written.files)
    assert written.agreement is not None
    assert written.agreement.difference < 1e-5
    assert load(tmp_path / "weights.safetensors").spec == made.spec
    with safe_open(tmp_path / "weights.safetensors", framework="numpy") as file:
        said = file.metadata()
    assert said["data_sha256"] == mnist.entry.sha256
    assert written.sentence.endswith(f"test accuracy {float(said['test_accuracy']):.4f}")


def test_what_stands_against_it_is_told_beforehand(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="names no file to write; give --onnx FILE, --safetensors FILE or"):
        Targets().check()
    with pytest.raises(SpecError, match="would be written twice; give each form a name of its own"):
        Targets(safetensors=tmp_path / "n.safetensors", pytorch=tmp_path / "n.py").check()
    with pytest.raises(SpecError, match=r"let it end in .py"):
        Targets(pytorch=tmp_path / "n.txt").check()


def test_another_data_set_of_the_same_name_is_refused(mnist: Dataset, tmp_path: Path) -> None:
    made = network(mnist)
    before = made.spec.data.model_copy(update={"sha256": "0" * 64})
    other = replace(made, spec=made.spec.model_copy(update={"data": before}))
    with pytest.raises(DataError, match="import the one that it was trained on, under its name"):
        export(other, Targets(safetensors=tmp_path / "n.safetensors"))
    assert list(tmp_path.iterdir()) == []
