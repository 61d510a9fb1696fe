"""Documents that are held true: their commands exist, their figures are those that were measured."""

import json
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from digitlab import lab
from digitlab.handout import figures_of, handout_runs, measured_spread

PROJECT = Path(__file__).parent.parent
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]


def test_the_readmes_table_is_what_was_measured() -> None:
    text = (PROJECT / "README.md").read_text()
    for run in handout_runs():
        spec, spread = lab.make_spec(hidden=run.hidden), measured_spread(run.name)
        labels = ("loss at epoch 0", "loss at epoch 14", "test accuracy")
        figures = figures_of(run.training_loss, run.accuracy)
        cells = [
            "-".join(map(str, spec.layer_sizes)),
            f"{spec.parameter_count:,}",
            *(f"{spread[label].mean:.4f} ± {spread[label].sd:.4f}" for label in labels),
            ", ".join(f"{figures[label]:.4f}" for label in labels),
        ]
        assert f"| {' | '.join(cells)} |" in text
        # "All … lie within 2 standard deviations of these means."
        assert all(abs(spread[label].z(value)) <= 2 for label, value in figures.items())


def test_the_speed_tables_words_are_true() -> None:
    results = json.loads((PROJECT / "benchmarks" / "results" / "speed.json").read_text())["results"]
    medians = {result["name"]: sorted(result["seconds"])[len(result["seconds"]) // 2] for result in results}
    # docs/design.md: about a tenth.
    assert 0.05 < medians["load MNIST, later"] / medians["load MNIST, first time"] < 0.2
    assert medians["digitlab --help"] < 2 * medians["python -c 'import typer, rich'"]


def test_the_readmes_speeds_are_what_was_measured() -> None:
    document = json.loads((PROJECT / "benchmarks" / "results" / "speed.json").read_text())
    seconds = document["training"]["seconds_an_epoch_a_network"]["784-100-100-10, batch 100"]
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    plain = medians["plain PyTorch loop (reference engine)"]
    rows = re.findall(
        r"^\| ([^|]+) \| (\d\.\d{4}) \| ([\d.]+) \|$", (PROJECT / "README.md").read_text(), re.MULTILINE
    )
    assert len(rows) >= 6
    for name, shown, ratio in rows:
        assert (shown, ratio) == (f"{medians[name]:.4f}", f"{plain / medians[name]:.1f}")


def _commands() -> list[str]:
    lines = [
        line.strip()
        for path in DOCUMENTS
        for line in path.read_text().splitlines()
        if line.startswith("    ")
    ]
    found = [re.sub(r"^\.venv/bin/", "", line).split("#")[0].split(">")[0].strip() for line in lines]
    return sorted({line for line in found if line.startswith("digitlab ")})


@pytest.mark.parametrize("command", _commands())
def test_commands_in_documents_exist_with_their_options(command: str) -> None:
    _, *words = shlex.split(command)
    name = words[: 2 if words[0] in {"data", "study", "runs", "store"} else 1]
    done = subprocess.run([sys.executable, "-m", "digitlab", *name, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for word in words:
        if word.startswith("--"):
            assert word in done.stdout


def test_the_spec_file_in_the_documents_is_the_default_with_two_hidden_layers(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "runspec.md").read_text()
    (tmp_path / "spec.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    assert lab.make_spec(lab.read_document(tmp_path / "spec.toml")) == lab.make_spec(hidden=(100, 100))


def test_links_in_documents_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.slow
def test_the_readmes_python_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("completed 0.9")
    assert re.search(r"^0.5 0.9", done.stdout, re.MULTILINE)
