"""The cells of a study that is half done: what is known where, and which rate is ahead."""

import math

import pytest

from digitlab.spec import RunSpec
from digitlab.studies.cells import Cell, cells
from digitlab.studies.progress import StudyProgress
from tests.studies.documents import SIZES
from tests.studies.test_progress import World, made_up, small, tuned

STUDY = small(SIZES, tuned(0.25, 2))


def bowl(spec: RunSpec) -> float:
    """Least at rate 1; at 2 every network breaks."""
    rate = spec.optimiser.learning_rate
    return math.nan if rate == 2 else 0.5 + math.log2(rate) ** 2 / 10 + spec.seed / 100


def at(found: tuple[Cell, ...], size: str, rate: float) -> Cell:
    (cell,) = [cell for cell in found if (cell.labels["batch_size"], cell.rate) == (size, rate)]
    return cell


def test_at_first_every_cell_of_the_range_is_asked_for_and_unknown() -> None:
    progress = StudyProgress(STUDY, World(bowl))
    assert cells(progress.asked()) == ()
    progress.stage()
    found = cells(progress.asked())
    assert [(cell.labels["batch_size"], cell.rate) for cell in found] == [
        (size, rate) for size in ("50", "100") for rate in (0.25, 0.5, 1.0, 2.0)
    ]
    assert {cell.state for cell in found} == {None}
    assert {(cell.seeds, cell.runs) for cell in found} == {(STUDY.seeds.tune, ())}
    assert all(math.isnan(cell.validation_loss) for cell in found)


def test_cells_fill_as_runs_come_in_and_the_best_so_far_is_marked() -> None:
    world = World(bowl)
    progress = StudyProgress(STUDY, world)
    for spec in progress.stage().missing:
        if spec.batch_size == 50 and spec.optimiser.learning_rate in (0.25, 0.5) and spec.seed == 0:
            world.known[spec.key] = made_up(spec, bowl(spec))
    progress.stage()
    found = cells(progress.asked())
    ahead, behind, unknown = (at(found, *which) for which in (("50", 0.5), ("50", 0.25), ("100", 0.5)))
    assert (ahead.state, behind.state, unknown.state) == ("best", "fine", None)
    assert ahead.validation_loss == pytest.approx(0.6)
    assert [(run.seed, run.outcome) for run in ahead.runs] == [(0, "completed")]
    assert ahead.outcomes == {"completed": 1}


def test_a_study_that_is_done_has_a_best_rate_a_row_and_says_where_networks_broke() -> None:
    world = World(bowl)
    stage = world.pursue(STUDY)
    progress = StudyProgress(STUDY, world)
    assert progress.stage().is_done
    found = cells(progress.asked())
    for condition in stage.conditions:
        size = condition.labels["batch_size"]
        (best,) = [cell for cell in found if cell.labels["batch_size"] == size and cell.state == "best"]
        assert best.rate == condition.chosen == 1.0
        assert best.seeds == len(best.runs) == STUDY.seeds.report
        assert best.validation_loss == pytest.approx(condition.losses[:, condition.near.index(1.0)].mean())
        broken = at(found, size, 2.0)
        assert broken.state == "diverged"
        assert set(broken.outcomes) == {"diverged"}
        assert math.isnan(broken.validation_accuracy)
    assert len({run.key for cell in found for run in cell.runs}) == stage.run_count
