"""`digitlab export` and `digitlab mistakes`: of a file, and of a run of the store."""

import json
from pathlib import Path

import numpy as np
import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.errors import DigitlabError, SpecError, StoreError, WeightsError
from digitlab.models.trained import load
from digitlab.result import RunResult
from digitlab.store import open_store
from tests.cli.in_process import output, run

OPTIONS = {"hidden": (8,), "train_size": 300, "steps": 40, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[RunResult]:
    return [lab.train(seed=seed, **OPTIONS) for seed in range(5)]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: list[RunResult]) -> Path:
    """A store of five runs, which the environment names; the cache and the current folder are empty ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DIGITLAB_STORE", str(tmp_path / "runs.db"))
    opened = open_store()
    opened.add(results)
    opened.close()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "runs.db"


def refusal(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, DigitlabError)
    return str(error)


def test_a_run_of_the_store_is_exported_as_it_was(results: list[RunResult], mnist: Dataset) -> None:
    key = results[3].key
    done = run(
        "export", key[:10], "--onnx", "n.onnx", "--safetensors", "n.safetensors", "--pytorch", "digits.py"
    )
    assert done.exit_code == 0, done.output
    assert done.stderr == f"{key[:12]}: 784-8-10 is trained again\n"
    sentence, *files, agreement = done.stdout.splitlines()
    accuracy = results[3].metrics.test_accuracy
    assert sentence == f"784-8-10, trained on mnist, test accuracy {accuracy:.4f}"
    assert files == ["n.onnx", "n.safetensors", "digits.safetensors", "digits.py"]
    assert sorted(path.name for path in Path().iterdir()) == sorted(files)
    assert agreement.startswith("onnxruntime and torch differ by at most ")
    assert agreement.endswith(" on 1,000 test images")
    assert float(agreement.split()[7]) < 1e-5
    predicted = load("n.safetensors").probabilities(mnist.test.images).argmax(1)
    assert float(np.mean(predicted == mnist.test.labels)) == pytest.approx(accuracy, abs=2e-4)


def test_a_run_of_the_store_is_evaluated(results: list[RunResult]) -> None:
    done = run("evaluate", results[2].key[:8])
    assert done.exit_code == 0, done.output
    assert done.stderr == f"{results[2].key[:12]}: 784-8-10 is trained again\n"
    lines = done.stdout.splitlines()
    assert lines[0] == f"{results[2].key[:8]}: 784-8-10, trained on mnist, tested on mnist"
    assert lines[2] == f"Accuracy: {results[2].metrics.test_accuracy:.4f}"
    assert run("evaluate", results[2].key[:8]).stderr == ""  # its weights are kept


def test_a_file_is_exported(results: list[RunResult]) -> None:
    lab.run(results[0].spec)[1].save("0123")  # a file may be called like a key
    assert output("export", "0123", "--safetensors", "n.safetensors").splitlines()[1:] == ["n.safetensors"]
    assert load("n.safetensors").spec == results[0].spec


def test_what_cannot_be_exported() -> None:
    assert refusal("export", "n.safetensors", "--onnx", "n.onnx") == (
        "n.safetensors: there is no such file; use a file that `digitlab train --save FILE` wrote"
    )
    assert refusal("export", "0123456789", "--onnx", "n.onnx").startswith(
        "0123456789: no run's key begins with that; `digitlab runs list` shows"
    )
    assert "names no file to write" in refusal("export", "0123456789")
    for option, name in (("--onnx", "none/n.onnx"), ("--pytorch", "none/n.py")):
        assert "there is no such folder" in refusal("export", "0123456789", option, name)
    assert list(Path().iterdir()) == []


def test_mistakes_are_told(results: list[RunResult]) -> None:
    done = run("mistakes", results[0].key[:12], "--count", 3)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    accuracy = results[0].metrics.test_accuracy
    assert lines[0].startswith(f"784-8-10, run {results[0].key[:12]}: Trained on 300 images of mnist")
    assert lines[2].split() == ["class", "images", "wrong", "accuracy", "95", "%", "interval"]
    head, images, wrong, share, *interval = lines[3].split()
    assert (head, images, share) == ("all", "10,000", f"{accuracy:.4f}")
    assert int(wrong.replace(",", "")) == round(10_000 * (1 - accuracy))
    low, high = float(interval[0]), float(interval[2])
    assert low < accuracy < high
    assert "The most confident mistakes" in lines
    assert sum(" All 5 networks that differ in their seed alone miss" in f" {line}" for line in lines) == 1
    assert [line for line in lines if " by 5" in line]


def test_a_contact_sheet_is_written(results: list[RunResult]) -> None:
    for name in ("m.html", "m.svg", "m.png"):
        said = output("mistakes", results[0].key[:12], "--count", 3, "--output", name)
        assert said.splitlines()[-1] == name
    assert Path("m.html").read_text().count("<img") == 6
    assert Path("m.svg").read_text().count("<image") == 6
    error = run("mistakes", "0123", "--output", "m.pdf").exception
    assert isinstance(error, SpecError)


def test_mistakes_as_json(results: list[RunResult]) -> None:
    found = json.loads(output("mistakes", results[0].key[:12], "--json", "--count", 2))
    assert found["key"] == results[0].key
    assert found["accuracy"]["value"] == pytest.approx(results[0].metrics.test_accuracy, abs=2e-4)
    assert len(found["class_accuracy"]) == 10
    assert sum(map(sum, found["confusion"])) == 10_000
    assert len(found["mistakes"]) == len(found["missed_by_all"]["images"]) == 2
    assert found["missed_by_all"]["networks"] == 5
    assert sum(found["missed_by_all"]["images"][0]["votes"].values()) == 5
    assert output("mistakes", results[0].key[:12], "--json", "--output", "m.json") == ""
    assert json.loads(Path("m.json").read_text())["key"] == results[0].key


def test_a_file_has_mistakes_without_a_store(
    results: list[RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITLAB_STORE", str(Path("none.db").absolute()))
    lab.run(results[0].spec)[1].save("n.safetensors")
    said = output("mistakes", "n.safetensors", "--count", 2)
    assert "seed alone miss" not in said
    assert not Path("none.db").exists()
    assert json.loads(output("mistakes", "n.safetensors", "--json"))["missed_by_all"] is None
    assert isinstance(run("mistakes", results[0].key).exception, StoreError)


def test_a_diverged_network_has_no_mistakes() -> None:
    result = lab.train(hidden=(8,), train_size=200, steps=9, learning_rate=1e19)
    opened = open_store()
    opened.add([result])
    opened.close()
    for command in (("mistakes",), ("export", "--safetensors", "n.safetensors")):
        error = run(command[0], result.key, *command[1:]).exception
        assert isinstance(error, WeightsError)


def test_a_training_is_logged_where_it_is_asked_for() -> None:
    done = run("train", "--train-size", 200, "--steps", 5, "--log", "tensorboard:runs")
    assert (done.exit_code, done.stderr) == (0, "")
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("784-10-batch100-rate0.01-seed0-")
    Path("file").write_text("")
    done = run("train", "--train-size", 200, "--steps", 5, "--log", "tensorboard:file")
    assert done.exit_code == 0
    assert "test accuracy" in done.stdout
    assert done.stderr.startswith("warning: tensorboard: nothing more is logged: Not a directory (file")
    assert done.stderr.count("\n") == 1
    error = run("train", "--log", "wandb").exception
    assert isinstance(error, SpecError)
