"""The contents of a report: from a study that is done, and what belongs to the whole."""

from pathlib import Path

import pytest

import digitlab as dl
from digitlab import lab
from digitlab.errors import SpecError, StoreError
from digitlab.handout import handout_runs, measured_spread
from digitlab.report import build
from digitlab.report.writing import write_report
from digitlab.result import RunResult
from digitlab.store import Filter, Store, open_store
from digitlab.studies.definition import Study
from digitlab.studies.files import parse_study
from digitlab.studies.runner import run_study
from tests.report import samples

SMALL = """
name = "small"
title = "A small study"
question = "Does width matter?"
baseline = "4"

[fixed]
train_size = 200
validation_size = 100
steps = 12

[[axes]]
name = "width"
levels = [{ label = "4", hidden = [4] }, { label = "8", hidden = [8] }]

[[axes]]
name = "learning_rate"
range = { from = 0.25, to = 1 }
tune = true
also = [0.01]

[seeds]
tune = 2
report = 3
"""


@pytest.fixture(scope="module")
def study() -> Study:
    return parse_study(SMALL, "small.toml")


@pytest.fixture(scope="module")
def store(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that knows the whole study."""
    opened = open_store(tmp_path_factory.mktemp("store") / "runs.db")
    assert run_study(study, opened).is_done
    return opened


def test_a_study_that_is_not_done_tells_nothing(study: Study, tmp_path: Path) -> None:
    assert build.completed_study(study, "full", open_store(tmp_path / "empty.db")) is None


def test_studies_that_are_done_are_found_and_the_others_told(store: Store, tmp_path: Path) -> None:
    file, other = tmp_path / "small.toml", tmp_path / "other.toml"
    file.write_text(f"{SMALL}[scales.quick]\n[scales.full]\nseeds = {{ report = 9 }}\n")
    other.write_text(SMALL.replace("steps = 12", "steps = 13"))
    left_out: list[tuple[str, str]] = []
    (found,) = build.completed_studies(
        [str(file), str(other)], None, store, lambda name, scale: left_out.append((name, scale))
    )
    assert (found.source, found.scale) == (str(file), "quick")  # full is not done
    assert left_out == [(str(other), "full")]
    for names, scale in (([str(file)], "full"), ([], None)):
        with pytest.raises(StoreError, match="no study is done in this store"):
            build.completed_studies(names, scale, store)


def test_a_page_is_written(study: Study, store: Store, tmp_path: Path) -> None:
    completed = build.completed_study(study, "full", store)
    assert completed is not None
    write_report([completed], store, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "A small study" in text
    assert "data:image/png;base64," in text  # the example network, trained again
    with pytest.raises(SpecError, match=r"is not the name of a web page; name a file that ends in .html"):
        write_report([completed], store, tmp_path / "report.pdf")


def test_networks_beside_an_example_differ_in_their_seeds(study: Study, store: Store) -> None:
    completed = build.completed_study(study, "full", store)
    assert completed is not None
    shown = build.example_network([completed])
    assert shown is not None
    beside = store.get(build.networks_beside([completed], shown))
    assert sorted(run.spec.seed for run in beside.values()) == [0, 1, 2]
    assert {run.spec.hidden for run in beside.values()} == {shown.hidden}
    assert shown.key in beside
    assert build.networks_beside([], shown) == []


def test_a_report_holds_its_studies_and_how_to_make_them_again(study: Study, store: Store) -> None:
    completed = build.completed_study(study, "full", store)
    assert completed is not None
    report = build.report([completed], [], store)
    assert report.studies == (completed.findings,)
    assert report.commands == ("digitlab study run small --scale full", "digitlab report small")
    assert report.mixture == ""
    (origins,) = [table for table in report.tables if table.title == "Where the results come from"]
    runs = {run.key for condition in completed.stage.conditions for run in condition.runs}
    assert [row[-1] for row in origins.rows] == [len(runs)] == [completed.findings.run_count]


def test_a_mixture_of_machines_is_named(study: Study, store: Store, tmp_path: Path) -> None:
    mixed = open_store(tmp_path / "mixed.db")
    runs = list(store.get([row.key for row in store.list(Filter())]).values())
    elsewhere = runs[0].provenance.model_copy(update={"processor": "another"})
    mixed.add([runs[0].model_copy(update={"provenance": elsewhere}), *runs[1:]])
    completed = build.completed_study(study, "full", mixed)
    assert completed is not None
    report = build.report([completed], [], mixed)
    assert report.mixture.startswith("These results come from 2 kinds of machine")
    (origins,) = [table for table in report.tables if table.title == "Where the results come from"]
    assert origins.columns[:5] == ("engine", "arithmetic", "device", "processor", "numpy")
    assert [row[3] == "another" for row in origins.rows] == [False, True]
    assert [row[-1] for row in origins.rows] == [len(runs) - 1, 1]


def test_the_exercises_networks_stand_beside_the_handout(tmp_path: Path, study: Study, store: Store) -> None:
    exercise_store = open_store(tmp_path / "exercise.db")
    run = handout_runs()[0]
    spec = lab.make_spec(hidden=run.hidden)
    small = lab.train(spec, train_size=500, validation_size=0, epochs=15)
    exercise_store.add([RunResult.of(spec, **small.model_dump(exclude={"spec", "key"}))])
    completed = build.completed_study(study, "full", store)
    assert completed is not None
    report = build.report([completed], [], exercise_store)
    (table,) = [table for table in report.tables if table.title.startswith("The exercise's networks")]
    assert table.columns[2] == "ours, seed 0"
    assert table.columns[4] == f"mean of {measured_spread(run.name)['test accuracy'].seeds} seeds"
    assert [row[1] for row in table.rows] == ["loss at epoch 0", "loss at epoch 14", "test accuracy"]
    assert table.rows[1][:4] == (
        "linearRegression",
        "loss at epoch 14",
        small.curve.training_loss[14],
        run.training_loss[14],
    )
    assert table.rows[2][2:4] == (small.metrics.test_accuracy, run.accuracy)
    networks = report.opening.networks
    assert networks is not None
    (picture,) = networks.losses
    assert [point.y for point in picture.lines[0].points] == list(small.curve.training_loss)
    assert report.title == "Multilayer perceptrons on MNIST, measured"
    assert report.commands[0] == "digitlab exercise"


def test_all_seeds_of_the_exercise_that_a_store_knows_are_shown(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs.db")
    specs = [lab.make_spec(hidden=run.hidden, seed=seed) for run in handout_runs() for seed in range(5)]
    template = samples.exercise_results(5)
    store.add(
        [
            RunResult.of(spec, **made.model_dump(exclude={"spec", "key"}))
            for spec, made in zip(specs, template, strict=True)
        ]
    )
    report = build.report([], [], store, build.known_exercise(store, {"mnist"}))
    assert report.opening.networks is not None
    assert report.opening.networks.losses[0].lines[0].name == "ours, mean of 5 seeds"
    assert report.commands == ("digitlab exercise --no-studies --seeds 5",)
    (table,) = [table for table in report.tables if table.title.startswith("The exercise's networks")]
    assert (table.columns[2], table.columns[4]) == ("ours, mean of 5 seeds", "mean of 5 seeds")
    # A report about other data has no place for them.
    assert build.known_exercise(store, {"fashion-mnist"}) is None


def test_the_published_results_stand_in_a_report_on_mnist_alone() -> None:
    for data, has_them in (("mnist", True), ("fashion-mnist", False)):
        report = build.report([], [], None, samples.exercise(data=data))
        assert any(table.title.startswith("Published results") for table in report.tables) == has_them
    assert report.title == "Multilayer perceptrons on Fashion-MNIST, measured"


def test_an_example_network_is_looked_at_closely(study: Study) -> None:
    spec = lab.make_spec(hidden=(8,), train_size=500, validation_size=300, steps=60, learning_rate=0.5)
    shown = lab.inspection_of(spec)
    result = lab.train(spec)
    assert shown.key == spec.key
    assert {name: shares[0] for name, shares in shown.accuracy.items()} == pytest.approx(
        {
            "training": result.metrics.training_set_accuracy,
            "validation": result.metrics.validation_accuracy,
            "test": result.metrics.test_accuracy,
        }
    )
    right = sum(shown.confusion[i][i] for i in range(10))
    assert right == round(10_000 * result.metrics.test_accuracy)
    assert sum(map(sum, shown.confusion)) == 10_000
    surest = [max(digit.probabilities) for digit in shown.misclassified]
    assert surest == sorted(surest, reverse=True)
    assert all(digit.probabilities[digit.label] < max(digit.probabilities) for digit in shown.misclassified)
    assert len(shown.weights) == 8


def test_findings_show_themselves_in_a_notebook(study: Study, store: Store, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    path = tmp_path / "runs.db"
    other = open_store(path)
    with pytest.raises(
        StoreError, match=r"small.toml is not done; `digitlab study run .*small.toml --scale full`"
    ):
        dl.findings_of(tmp_path / "small.toml", store=path)
    other.merge(store)
    found = dl.findings_of(tmp_path / "small.toml", store=path)
    assert found.findings.title == "A small study"
    assert "<svg" in found._repr_html_()
    assert "A small study" in found._repr_html_()
    whole = dl.exercise_of([str(tmp_path / "small.toml")], store=path)
    assert whole.studies == (found.findings,)
    assert [answer.title for answer in whole.opening.answers] == ["A small study"]
    assert whole.opening.networks is None  # this store does not know them
    text = whole._repr_html_()
    assert text.index('class="said"') < text.index("What was found")
