"""Documents that are held true: their commands exist, their figures are those that were measured."""

import json
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    # docs/design.md: a tenth to a third.
    assert 0.05 < medians["load MNIST, later"] / medians["load MNIST, first time"] < 0.4
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
    code = "\n".join(re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("completed 0.9")
    assert re.search(r"^0.5 0.9", done.stdout, re.MULTILINE)


def _teaching() -> str:
    return (PROJECT / "docs" / "teaching.md").read_text()


def _measured(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROJECT / "benchmarks" / "results" / f"{name}.json").read_text())
    return found


def _median_and_range(accuracies: list[float]) -> str:
    return f"{statistics.median(accuracies):.4f} | {min(accuracies):.4f} – {max(accuracies):.4f}"


def test_the_teachers_table_of_seeds_is_the_readmes() -> None:
    rows = re.findall(r"^\| 784-.* ± .*$", (PROJECT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 3
    assert re.findall(r"^\| 784-.* ± .*$", _teaching(), re.MULTILINE) == rows


def test_the_teachers_mistakes_look_as_measured() -> None:
    text, measured = _teaching(), _measured("mistakes")
    for name, runs in measured["ways"].items():
        first, last = (statistics.median(run["training_loss"][at] for run in runs) for at in (0, -1))
        accuracies = _median_and_range([run["test_accuracy"] for run in runs])
        assert f"| {name} | {first:#.4g} | {last:#.4g} | {accuracies} |" in text
    assert all(
        run["test_accuracy"] == run["test_accuracy_in_training_mode"] for run in measured["ways"]["right"]
    )
    in_training = [run["test_accuracy_in_training_mode"] for run in measured["ways"]["dropout 0.5"]]
    assert f"{statistics.median(in_training):.4f} in training mode" in text


def test_the_teachers_figures_of_tuning_on_the_test_set_are_measured() -> None:
    text, tuned = " ".join(_teaching().split()), _measured("mistakes")["chosen_on_the_test_images"]
    best, others = tuned["best_of_first_half"], tuned["mean_of_other_half"]
    assert (
        f"the best of 20 had {best:.4f} on the test images, and the mean of the 20 others was {others:.4f}"
        in text
    )
    here, elsewhere = tuned["best_on_the_half_it_was_chosen_on"], tuned["best_on_the_other_half"]
    assert f"gave {here:.4f} there, and {elsewhere:.4f} on the other half" in text
    error = (others * (1 - others) / 10_000) ** 0.5
    assert f"one accuracy of {others:.4f} is {100 * error:.2f} percentage points" in text


def test_the_teachers_answers_are_measured() -> None:
    text = _teaching()
    for command, accuracies in _measured("answers")["test_accuracies"].items():
        assert f"| `{command}` | {_median_and_range(accuracies)} |" in text
    answers = {
        f"{statistics.median(found):.4f}" for found in _measured("answers")["test_accuracies"].values()
    }
    for number in re.findall(r"0\.\d{4}", text.split("**2. ")[1].split("**7. ")[0]):
        assert number in answers


def test_the_teachers_table_of_writers_is_measured() -> None:
    text, measured = _teaching(), _measured("writers")
    for name, found in measured["networks"].items():
        errors = " | ".join(f"{100 * found[f'{kind}_error']:.2f} %" for kind in ("pupils", "staff"))
        factors = f"{min(found['factors']):.2f} – {max(found['factors']):.2f}"
        assert f"| {name} | {errors} | {factors} |" in text
    # "Of the difference between the two networks with hidden layers the factor is about 1."
    assert all(
        0.8 < factor < 1.2 for factor in measured["differences"]["784-100-10 less 784-100-100-10"]["factors"]
    )


def test_the_exercises_answers_are_what_the_studies_say() -> None:
    page = (PROJECT / "docs" / "exercise.md").read_text()
    documents = json.loads((PROJECT / "benchmarks" / "results" / "studies.json").read_text())
    for name in ("batch-lr", "train-size", "depth", "parameters"):
        (block,) = re.findall(rf"<!-- answer {name} -->\n(.*?)<!-- end -->", page, re.DOTALL)
        assert block == "".join(f"> - {sentence}\n" for sentence in documents[name]["answer"])
    for name, title in re.findall(r"<!-- table (\S+) (.*?) -->", page):
        assert [table["title"] for table in documents[name]["tables"]].count(title) == 1
