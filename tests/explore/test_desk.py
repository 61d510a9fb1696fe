"""Studies watched and run as jobs of a laboratory: with real networks, small ones."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digitlab.analysis.findings import StudyFindings
from digitlab.data import Dataset
from digitlab.errors import SpecError
from digitlab.explore.desk import Desk
from digitlab.live import Laboratory
from digitlab.store import Filter, Store, open_store
from digitlab.studies import Study
from tests.studies.documents import RATES, SIZES, study

FIXED = {"train_size": 500, "validation_size": 100, "epochs": 1}
BRIEF = {"brief": {"seeds": {"tune": 1, "report": 2}}}
LONG = {"long": {"fixed": {"train_size": 5_000, "epochs": 40}, "seeds": {"tune": 4, "report": 4}}}


@pytest.fixture
def store(tmp_path: Path, mnist: Dataset) -> Iterator[Store]:
    store = open_store(tmp_path / "runs.db")
    yield store
    store.close()


@pytest.fixture
def laboratory(store: Store) -> Iterator[Laboratory]:
    laboratory = Laboratory(store, workers=1)
    yield laboratory
    laboratory.close()


def mine() -> Study:
    return study(fixed=FIXED, axes=[SIZES, RATES], scales=BRIEF | LONG)


@pytest.fixture
def desk(laboratory: Laboratory) -> Desk:
    return Desk(laboratory, {"mine": mine()})


def wait(until: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


def has_ended(desk: Desk) -> bool:
    running = desk.running("mine")
    return running is not None and running.has_ended


def test_a_study_is_run_to_its_findings_while_its_cells_fill(desk: Desk, laboratory: Laboratory) -> None:
    news: list[tuple[str, ...]] = []
    end = laboratory.subscribe(lambda: news.append(laboratory.changes(0).studies))
    before = desk.watched("mine", "brief")
    assert before.standing().known == 0
    assert before.findings() is None
    assert desk.running("mine") is None
    assert desk.start("mine", "brief").scale == "brief"
    wait(lambda: has_ended(desk))
    end()
    running = desk.running("mine")
    assert running is not None
    assert (running.status, running.says) == ("done", None)
    assert running.best is not None
    assert ("mine",) in news
    standing, cells = before.look()
    assert standing.is_done
    assert standing.known == standing.due == laboratory.store.count(Filter())
    assert len(cells) == 6
    assert [cell.state for cell in cells].count("best") == 2
    found = before.findings()
    assert isinstance(found, StudyFindings)
    assert found.scale == "brief"
    assert desk.shown_scale("mine") == "brief"


def test_a_study_is_stopped_and_goes_on_where_it_was(desk: Desk, store: Store) -> None:
    desk.start("mine", "long")
    assert desk.shown_scale("mine") == "long"
    with pytest.raises(SpecError, match="is under way at scale long; stop that first"):
        desk.start("mine", "brief")
    assert desk.start("mine", "long").scale == "long"  # nothing happens
    desk.stop("mine")
    wait(lambda: has_ended(desk))
    running = desk.running("mine")
    assert running is not None
    assert running.status == "stopped"
    assert not desk.watched("mine", "long").standing().is_done
    known = store.count(Filter())
    desk.start("mine", "brief")
    wait(lambda: has_ended(desk))
    assert store.count(Filter()) > known


def test_of_two_scales_the_one_that_says_most_is_shown(laboratory: Laboratory) -> None:
    desk = Desk(laboratory)
    assert {name: desk.shown_scale(name) for name in ("depth", "writers")} == {
        "depth": "quick",
        "writers": "quick",
    }
    with pytest.raises(SpecError, match=r"study: 'deepness' is not known; use one of batch-lr, .*writers"):
        desk.watched("deepness")
    with pytest.raises(SpecError, match="is not a scale of depth; use full or quick"):
        desk.watched("depth", "enormous")
