"""Runs of one's own: kept, listed, compared, continued and stopped early from the command line."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from digitlab import lab
from digitlab.errors import RunError, SpecError, StoreError, WeightsError
from digitlab.models.trained import load
from digitlab.result import RunResult
from digitlab.store import open_store
from tests.cli.in_process import output, run

SHORT = ("--train-size", 500, "--validation-size", 300, "--epochs", 2)


def refusal(*arguments: object) -> str:
    error = run(*arguments).exception
    assert isinstance(error, StoreError | SpecError | RunError | WeightsError), error
    return str(error)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIGITLAB_STORE", str(tmp_path / "runs.db"))
    return tmp_path / "runs.db"


@pytest.fixture
def keys(store: Path) -> list[str]:
    """Of two runs that are kept."""
    for hidden in ("", "20"):
        done = run("train", *SHORT, "--hidden", hidden, "--lr", 0.5, "--keep")
        assert done.exit_code == 0
        assert "; `digitlab runs list` shows it" in done.stderr
    return [
        lab.make_spec(hidden=hidden, learning_rate=0.5, train_size=500, validation_size=300, epochs=2).key
        for hidden in [(), (20,)]
    ]


def test_own_runs_are_kept_and_listed(keys: list[str], store: Path) -> None:
    lines = output("runs", "list").splitlines()
    assert {line.split()[0] for line in lines[1:3]} == {key[:12] for key in keys}
    shown = RunResult.from_json(output("runs", "show", keys[1], "--json"))
    assert shown.spec.hidden == (20,)
    again = run("train", *SHORT, "--lr", 0.5, "--keep")
    assert f"kept: {keys[0][:12]}, which the store knew; `digitlab runs list` shows it" in again.stderr
    assert output("runs", "list").splitlines()[-1] == "2 of 2 runs"


def test_nothing_is_kept_that_nobody_asked_for(store: Path) -> None:
    output("train", *SHORT)
    assert not store.exists()
    lab.train(train_size=200, steps=2)
    assert not store.exists()
    result = lab.train(train_size=200, steps=2, keep=True)
    opened = open_store()
    (kept,) = opened.get([result.key], predictions=True).values()
    opened.close()
    assert kept.predictions == result.predictions


def test_what_cannot_be_kept_is_told_before_the_training(store: Path, tmp_path: Path) -> None:
    forever = ("--epochs", 1_000_000, "--evaluate-at", 1)
    problem = (
        "engine: 'reference' is not the engine whose results are kept; train with lockstep, or keep nothing"
    )
    assert refusal("train", *forever, "--keep", "--engine", "reference") == problem
    assert "is a folder; name a file in it" in refusal("train", *forever, "--keep", "--store", tmp_path)
    assert refusal("train", *forever, "--store", "x.db") == (
        f"store: '{Path('x.db').absolute()}' is for a result that is kept; say --keep too"
    )
    with pytest.raises(SpecError, match=re.escape(problem)):
        lab.train(epochs=1_000_000, evaluate_at=[1], engine="reference", keep=True)
    assert not store.exists()


def test_two_runs_are_compared(keys: list[str]) -> None:
    shown = " ".join(output("runs", "compare", *(key[:10] for key in keys)).split())
    assert "95 % interval" in shown
    assert "McNemar's exact test" in shown
    assert "This compares two networks, not two settings" in shown
    assert "hidden none 20" in shown
    for words in ("Settings that differ", "How they ended", "Test images", "Curves"):
        assert words in shown
    document = json.loads(output("runs", "compare", *keys, "--json"))
    assert document["keys"] == keys
    counts = document["images"]
    assert sum(counts.values()) == 10_000
    assert document["tables"][0]["rows"] == [["hidden", "none", "20"]]


def test_a_comparison_is_written_as_a_page_or_a_picture(keys: list[str], tmp_path: Path) -> None:
    done = run("runs", "compare", *keys, "--output", tmp_path / "page.html")
    assert done.exit_code == 0
    assert done.stderr.strip() == f"comparison: {tmp_path / 'page.html'}"
    assert "Settings that differ" not in done.stdout
    page = (tmp_path / "page.html").read_text()
    for words in ("Two runs compared", "McNemar", "Validation accuracy", "A: 784-10", *keys):
        assert words in page
    assert "<script" not in page
    output("runs", "compare", *keys, "--output", tmp_path / "curves.svg")
    root = ET.fromstring((tmp_path / "curves.svg").read_text())  # noqa: S314  # our own
    assert root.tag.endswith("svg")
    output("runs", "compare", *keys, "--json", "--output", tmp_path / "pair.json")
    assert json.loads((tmp_path / "pair.json").read_text())["keys"] == keys


def test_what_cannot_be_compared_is_told(keys: list[str], tmp_path: Path) -> None:
    assert "no run's key begins with that" in refusal("runs", "compare", keys[0], "xyz")
    assert refusal("runs", "compare", *keys, "--output", "curves.png") == (
        "output: 'curves.png' is neither a page nor a picture; name it .html for all of it, or .svg for the curves"
    )
    assert "the comparison cannot be written" in refusal(
        "runs", "compare", *keys, "--output", tmp_path / "no" / "page.html"
    )


def test_early_stopping_says_which_network_is_kept() -> None:
    options = ("--train-size", 200, "--validation-size", 300, "--batch-size", 50, "--hidden", 30, "--lr", 1)
    shown = " ".join(output("train", *options, "--epochs", 200, "--patience", 3).split())
    found = re.search(r"network kept of step ([\d,]+), the lowest validation loss; stopped before 800", shown)
    assert found
    result = RunResult.from_json(output("train", *options, "--epochs", 200, "--patience", 3, "--json"))
    assert f"{result.metrics.kept_step:,}" == found[1]
    assert refusal("train", "--patience", 3) == (
        "patience: 3 has no effect without a validation_size; give one such as 10000, or leave patience out"
    )


def test_training_goes_on_from_a_file(tmp_path: Path, store: Path) -> None:
    parent, child = tmp_path / "parent.safetensors", tmp_path / "child.safetensors"
    output("train", *SHORT, "--hidden", 20, "--lr", 0.5, "--save", parent)
    shown = output("train", "--from", parent, "--epochs", 1, "--seed", 4, "--keep", "--save", child)
    parent_spec, spec = load(parent).spec, load(child).spec
    assert spec.parent is not None
    assert spec.parent.key == parent_spec.key
    assert parent_spec.key in " ".join(shown.split())
    assert (spec.hidden, spec.optimiser, spec.seed, spec.step_count) == ((20,), parent_spec.optimiser, 4, 5)
    # The child's result is a spec file too: the same run again, without the parent's file.
    output("runs", "show", spec.key, "--json", "--output", tmp_path / "child.json")
    parent.unlink()
    again = RunResult.from_json(output("train", "--spec", tmp_path / "child.json", "--json"))
    assert again.key == spec.key
    assert "the same to the last bit" in output("store", "verify", "--recompute", 1)
    assert refusal("train", "--from", child, "--hidden", "7") == (
        "hidden: [7] are not the layers of the parent, 784-20-10; use [20], or leave hidden out"
    )
    assert "there is no such file" in refusal("train", "--from", parent)
