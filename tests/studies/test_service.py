"""What a person does with a study, called from Python as the command line and a web page call it."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from digitlab import lab
from digitlab.data import load, load_writers
from digitlab.errors import DataError, SpecError
from digitlab.lab import Advance
from digitlab.result import RunResult
from digitlab.store import Filter, open_store
from digitlab.studies import read_study_at
from digitlab.studies.findings import findings
from digitlab.studies.progress import Status, status
from digitlab.studies.service import Tally, cannot_run, estimate, run_to_findings
from digitlab.studies.stages import Stage
from tests.report.test_build import SMALL


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path / "small.toml"


# --- reading ---


def test_a_study_is_read_at_a_scale_with_changes(file: Path) -> None:
    study, scale = read_study_at("depth", "quick")
    assert (study.name, scale, study.scales) == ("depth", "quick", {})
    assert read_study_at("depth")[1] == "full"
    study, scale = read_study_at(file, seeds=1)
    assert (scale, study.seeds.tune, study.seeds.report) == ("full", 1, 1)
    assert read_study_at(file, seeds=7)[0].seeds.tune == 2  # rates are tuned on no more than the study says
    study, _ = read_study_at("batch-lr", hidden=[9, 9])
    assert study.fixed["hidden"] == [9, 9]


def test_the_hidden_layers_that_a_study_varies_are_not_changed(file: Path) -> None:
    with pytest.raises(SpecError, match=r"hidden: '9,9' is what small varies; leave it out"):
        read_study_at(file, hidden=[9, 9])


# --- how far it is, and what it will take ---


def test_a_study_is_nowhere_without_a_store(file: Path) -> None:
    study, _ = read_study_at(file)
    current = status(study, None)
    assert (current.planned_count, current.stage.known_count, len(current.stage.missing)) == (24, 0, 12)


def test_the_estimate_is_the_plans_for_all_stages(file: Path) -> None:
    current = status(read_study_at(file)[0], None)
    plan = lab.estimated(current.stage.missing, workers=1)
    left = estimate(current, workers=1)
    assert left.seconds == pytest.approx(plan.seconds * 24 / 12)
    assert left.memory_bytes == plan.memory_bytes


# --- running ---


def test_a_study_is_run_until_the_time_is_over_and_then_to_its_findings(file: Path, tmp_path: Path) -> None:
    study, scale = read_study_at(file)
    statuses: list[Status] = []
    stages: list[Stage] = []
    advances: list[Advance] = []
    results: list[RunResult] = []

    def on_results(ended: Sequence[RunResult]) -> None:
        results.extend(ended)

    with closing(open_store(tmp_path / "runs.db")) as store:
        reached = run_to_findings(study, scale, store, workers=1, seconds_limit=0, on_results=on_results)
        assert reached.findings is None
        assert 0 < len(results) < 24
        assert not reached.stage.is_done
        reached = run_to_findings(
            study,
            scale,
            store,
            workers=1,
            on_status=statuses.append,
            on_stage=stages.append,
            on_results=on_results,
            on_advance=advances.append,
        )
        # Reported once, before anything is trained.
        assert [current.stage.is_done for current in statuses] == [False]
        assert stages[-1].title == "fresh seeds"
        assert advances[-1].share == 1.0
        assert reached.stage.is_done
        # As text: NaN is not equal to itself, and since Python 3.13 no dataclass that holds it is.
        assert repr(reached.findings) == repr(findings(study, scale, reached.stage, store))
        assert len({result.key for result in results}) == len(results)  # nothing twice
        second_run = run_to_findings(study, scale, store, on_status=statuses.append, on_stage=stages.append)
        assert repr(second_run) == repr(reached)
        assert statuses[-1].stage.is_done
        assert stages[-1].title == "fresh seeds"


def test_a_tally_counts_what_broke_and_keeps_the_best() -> None:
    recipe = {"train_size": 200, "validation_size": 100, "budget": {"steps": 20}}
    results = [lab.train(recipe, learning_rate=rate) for rate in (0.01, 0.5)]
    broken = lab.train(recipe, hidden=(9,), learning_rate=1e18)
    assert broken.outcome == "diverged"
    tally = Tally()
    tally.see([results[0], broken])
    tally.see([results[1]])
    assert tally.best == max(result.metrics.validation_accuracy or 0 for result in results)
    assert (tally.diverged, tally.collapsed) == (1, 0)


# --- whose handwriting ---

WRITERS = """\
name = "small-writers"
title = "A small study of writers"
question = "Whose digits are harder?"
analysis = "writers"

[fixed]
hidden = [8]
learning_rate = 0.5
steps = 40

[[axes]]
name = "train_size"
values = [200, 800]

[seeds]
report = 2
"""


def test_a_study_of_writers_is_refused_before_it_trains_where_nobody_knows_them(
    tmp_path: Path, empty_data_directory: Path
) -> None:
    study, scale = read_study_at("writers", "quick")
    results: list[RunResult] = []
    with closing(open_store(tmp_path / "runs.db")) as store:
        with pytest.raises(DataError, match="run `digitlab data fetch mnist --writers`"):
            run_to_findings(study, scale, store, on_results=results.extend)
        assert results == []
    assert "`digitlab data fetch mnist --writers`" in str(cannot_run(study))
    assert cannot_run(read_study_at("depth", "quick")[0]) is None


def test_a_study_of_writers_is_run_to_its_findings(tmp_path: Path, with_writers: Path) -> None:
    (tmp_path / "writers.toml").write_text(WRITERS)
    study, scale = read_study_at(tmp_path / "writers.toml")
    with closing(open_store(tmp_path / "runs.db")) as store:
        found = run_to_findings(study, scale, store, workers=1).findings
        assert found is not None
        (table,) = found.tables
        assert [row[0] for row in table.rows] == [200, 800]
        predictions = store.predictions(store.keys(Filter()))
        results = store.get(list(predictions))
    # The error on pupils' digits, by hand: the first half of the test images and one more.
    labels, pupils = load("mnist").test.labels, load_writers("mnist").test_series == 4
    of_largest = [key for key, result in results.items() if result.spec.train_size == 800]
    wrong = [np.frombuffer(predictions[key], np.uint8)[pupils] != labels[pupils] for key in of_largest]
    assert table.rows[1][2] == pytest.approx(np.mean(wrong))
    assert "by QMNIST" in found.methods[0]
    assert cannot_run(study) is None
