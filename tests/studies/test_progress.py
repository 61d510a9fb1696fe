"""A study on its way: stages in order, ranges that grow, rates that are chosen; then with real runs in a real store."""

import itertools
import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from digitlab import lab
from digitlab.analysis.registry import NOISE_SCALE
from digitlab.analysis.studies.batch_rate import networks_to_measure
from digitlab.analysis.summary import tuning_gain
from digitlab.data import Dataset
from digitlab.engine.inputs import run_split
from digitlab.engine.noise_scale import noise_scale
from digitlab.errors import StoreError
from digitlab.execution.events import Event, Progress
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import Filter, Store, open_store
from digitlab.studies import OBSERVATIONS, Study, read_study, runner
from digitlab.studies.expansion import MOST_EXTENSIONS, checked, scouting_seeds, spec_of
from digitlab.studies.findings import findings
from digitlab.studies.progress import StudyProgress
from digitlab.studies.runner import run_study
from digitlab.studies.stages import NothingKnown, Stage
from digitlab.studies.strategies.around_optimum import early_stopped
from tests.store.conftest import rewrite, with_a_later_field
from tests.studies.documents import RATES, SIZES, study
from tests.test_result import PROVENANCE

Loss = Callable[[RunSpec], float]
"""Last validation loss of a run; NaN where it diverges."""


def made_up(spec: RunSpec, loss: float, curve: tuple[float, ...] | None = None) -> RunResult:
    """A result as if the run had ended so; `curve` holds the validation losses before the last."""
    losses = (*(curve or (loss,) * (len(spec.evaluation_steps) - 1)), loss)
    names = (
        *("training_loss", "training_set_loss", "training_set_accuracy", "validation_loss", "test_loss"),
        *("test_accuracy", "validation_accuracy", "first_batch_loss", "peak_batch_loss"),
    )
    points = dict.fromkeys(("training_loss", "validation_loss", "validation_accuracy"), losses)
    return RunResult.of(
        spec,
        outcome="diverged" if math.isnan(loss) else "completed",
        curve={"step": spec.evaluation_steps, **points},
        metrics={**dict.fromkeys(names, loss), "steps": spec.step_count},
        provenance=PROVENANCE,
    )


def bowl(best: float) -> Loss:
    """A loss that is least at a rate, the same for all seeds."""
    return lambda spec: 1 + math.log2(spec.optimiser.learning_rate / best) ** 2


@dataclass
class World:
    """Results that come as they are asked for, with the stages in which they were."""

    loss: Loss
    curve: Callable[[RunSpec], tuple[float, ...] | None] = lambda _: None
    known: dict[str, RunResult] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    read: list[str] = field(default_factory=list)

    def get(self, keys: Iterable[str]) -> Mapping[str, RunResult]:
        requested = list(keys)
        self.read += [key for key in requested if key in self.known]
        return {key: self.known[key] for key in requested if key in self.known}

    def measurements(self, _keys: Iterable[str], _name: str) -> Mapping[str, Mapping[str, float]]:
        return {}

    def pursue(self, definition: Study) -> Stage:
        """Run a study to its end; the stages that had something to do are kept."""
        progress, self.stages = StudyProgress(definition, self), []
        while (stage := progress.stage()).missing:
            self.stages.append(stage)
            for spec in stage.missing:
                assert spec.key not in self.known, "a run was asked for twice"
                self.known[spec.key] = made_up(spec, self.loss(spec), self.curve(spec))
        return stage

    @property
    def run_count(self) -> int:
        return sum(len(stage.missing) for stage in self.stages)


def tuned(start: float, end: float, **more: Any) -> dict[str, Any]:
    return {**RATES, "range": {"from": start, "to": end}, "extend": True, **more}


def rates_of(stage: Stage) -> list[float]:
    return sorted({spec.optimiser.learning_rate for spec in stage.missing})


def seeds_of(stage: Stage) -> list[int]:
    return sorted({spec.seed for spec in stage.missing})


FIXED = {"steps": 10, "train_size": 200, "validation_size": 100}


def small(*axes: dict[str, Any], **more: Any) -> Study:
    return study(axes=list(axes), fixed=FIXED, seeds={"tune": 2, "report": 3}, **more)


# --- stages ---


SCOUT, REPEAT = "trying the range of learning rates", "all seeds around the best learning rate"


def test_the_range_is_tried_first_and_all_seeds_around_the_best_then() -> None:
    world, definition = World(bowl(1)), small(SIZES, tuned(0.25, 4, also=[0.01]))
    done = world.pursue(definition)
    first, second = world.stages
    assert (first.title, second.title, done.title) == (SCOUT, REPEAT, "done")
    assert rates_of(first) == [0.25, 0.5, 1, 2, 4]
    assert seeds_of(first) == [0, 1]
    assert len(first.missing) == first.run_count == 2 * 5 * 2
    # The third seed at three rates, all three at 0.01.
    assert rates_of(second) == [0.01, 0.5, 1, 2]
    assert {spec.seed for spec in second.missing if spec.optimiser.learning_rate > 0.01} == {2}
    assert len(second.missing) == 2 * (3 + 3)
    assert second.run_count == done.run_count == 20 + 12 == StudyProgress(definition, world).planned_count
    assert (second.known_count, done.known_count) == (20, 32)
    assert done.notes == ()


def test_a_study_that_is_done_has_its_conditions() -> None:
    world = World(bowl(1))
    done = world.pursue(small(SIZES, tuned(0.25, 4, also=[0.01])))
    assert [condition.labels for condition in done.conditions] == [
        {"batch_size": "50"},
        {"batch_size": "100"},
    ]
    for condition, size in zip(done.conditions, (50, 100), strict=True):
        assert (condition.rates, condition.near) == ((0.25, 0.5, 1, 2, 4), (0.5, 1, 2))
        assert (condition.chosen, condition.is_best) == (1, False)
        pairs = [[(r.spec.optimiser.learning_rate, r.spec.seed) for r in runs] for runs in condition.trials]
        seeds = {0.25: 2, 0.5: 3, 1: 3, 2: 3, 4: 2}
        assert pairs == [[(rate, seed) for seed in range(count)] for rate, count in seeds.items()]
        assert condition.judged == condition.reported == condition.trials[1:4]
        assert condition.reports == condition.trials[2]
        assert {run.spec.batch_size for run in condition.reports} == {size}
        assert [run.spec.optimiser.learning_rate for run in condition.also[0.01]] == [0.01] * 3


def test_rates_that_are_reported_besides_can_have_fewer_seeds() -> None:
    def loss(spec: RunSpec) -> float:
        return bowl(1)(spec) + (0.01 if spec.optimiser.learning_rate > 0.01 else -0.02) * spec.seed**2

    world = World(loss)
    fewer = study(
        axes=[SIZES, tuned(0.25, 4, also=[0.01])], fixed=FIXED, seeds={"tune": 2, "report": 4, "also": 3}
    )
    done = world.pursue(fewer)
    for condition in done.conditions:
        assert [run.spec.seed for run in condition.also[0.01]] == [0, 1, 2]
        assert [run.spec.seed for run in condition.reports] == [0, 1, 2, 3]
        # The difference is taken within the first three seeds; what is made up as accuracy is the loss.
        lost = tuning_gain(condition, condition.also[0.01])
        within = 100 * (0.03 * np.array([0, 1, 4]) - math.log2(0.01) ** 2)
        interval = scipy.stats.t.interval(0.95, 2, within.mean(), scipy.stats.sem(within))
        assert (lost.value, lost.low, lost.high) == pytest.approx((within.mean(), *interval))


@given(st.integers(3, 7), st.integers(1, 4), st.integers(1, 5), st.booleans(), st.data())
def test_the_count_beforehand_is_that_of_a_study_whose_ranges_do_not_grow(
    rates: int, tune: int, report: int, has_own: bool, data: st.DataObject
) -> None:
    own = [{"label": "own", "learning_rate": 0.03}] if has_own else []
    kind = {"name": "kind", "levels": [{"label": "tuned"}, {"label": "wide", "hidden": [9]}, *own]}
    also = data.draw(st.sampled_from([[], [0.01], [0.01, 0.02]]))
    definition = study(
        axes=[kind, tuned(0.5, 0.5 * 2 ** (rates - 1), also=also)],
        fixed=FIXED,
        seeds={"tune": tune, "report": report},
    )
    world = World(bowl(0.5 * 2 ** data.draw(st.integers(1, rates - 2))))
    done = world.pursue(definition)
    assert done.notes == ()
    assert done.run_count == len(world.known) == StudyProgress(definition, world).planned_count


def test_another_first_seed_draws_everything_anew() -> None:
    world, axes = World(bowl(1)), (tuned(0.25, 4, also=[0.01]),)
    first = world.pursue(small(*axes))
    seeds = {"tune": 2, "report": 3, "first": 100}
    other = world.pursue(study(axes=list(axes), fixed=FIXED, seeds=seeds))
    assert [seeds_of(stage) for stage in world.stages] == [[100, 101], [100, 101, 102]]
    assert other.run_count == first.run_count
    assert {run.spec.seed for condition in other.conditions for run in condition.runs} == {100, 101, 102}


def test_the_range_may_be_tried_on_more_seeds_than_are_repeated() -> None:
    world, definition = (
        World(bowl(1)),
        study(axes=[tuned(0.5, 2)], fixed=FIXED, seeds={"tune": 4, "report": 2}),
    )
    (condition,) = (done := world.pursue(definition)).conditions
    assert [len(runs) for runs in condition.judged] == [2, 2, 2]
    assert done.run_count == 3 * 4 == StudyProgress(definition, world).planned_count
    assert len(world.stages) == 1


def test_a_level_with_its_own_learning_rate_is_not_tuned() -> None:
    levels = [{"label": "tuned"}, {"label": "own", "learning_rate": 0.03}]
    world, definition = World(bowl(1)), small({"name": "kind", "levels": levels}, tuned(0.5, 2, also=[0.01]))
    done = world.pursue(definition)
    free, own = done.conditions
    assert (free.is_tuned, own.is_tuned) == (True, False)
    assert (own.rates, own.trials, own.near, own.also) == ((), (), (0.03,), {})
    assert [run.spec.optimiser.learning_rate for run in own.reports] == [0.03] * 3
    assert done.run_count == StudyProgress(definition, world).planned_count == 3 * 3 + 3 + 3


def test_each_result_is_read_once_and_what_is_known_is_not_asked_for() -> None:
    world, definition = World(bowl(1)), small(SIZES, tuned(0.5, 2))
    world.pursue(definition)
    assert len(world.read) == len(set(world.read)) == len(world.known)
    assert world.pursue(definition).is_done
    assert world.stages == []


def test_a_study_without_a_tuned_axis_has_one_stage() -> None:
    world = World(bowl(1))
    done = world.pursue(small(SIZES))
    (only,) = world.stages
    assert (only.title, len(only.missing)) == ("all seeds", 2 * 3)
    assert rates_of(only) == [0.01]
    assert [
        (condition.rates, condition.trials, condition.near, len(condition.reports))
        for condition in done.conditions
    ] == [((), (), (0.01,), 3)] * 2


def test_a_rate_that_is_chosen_and_reported_beside_is_run_once() -> None:
    world = World(bowl(1))
    done = world.pursue(small(tuned(0.5, 2, also=[1])))
    assert len(world.stages[-1].missing) == 3  # the third seed at each rate
    assert done.conditions[0].also[1] == done.conditions[0].reports


# --- the best rate ---


def test_the_rate_of_the_least_mean_logarithm_is_chosen() -> None:
    losses = {(0.5, 0): 1.0, (0.5, 1): 3.0, (1, 0): 1.6, (1, 1): 1.6, (2, 0): 0.9, (2, 1): 3.4}
    world = World(lambda spec: losses.get((spec.optimiser.learning_rate, spec.seed), 1.0))
    definition = study(
        axes=[{**RATES, "range": {"from": 0.5, "to": 2}}], fixed=FIXED, seeds={"report": 2, "tune": 2}
    )
    assert world.pursue(definition).conditions[0].chosen == 1  # squares of the geometric means: 3, 2.56, 3.06


def test_a_network_that_breaks_counts_as_a_guess() -> None:
    def loss(spec: RunSpec) -> float:
        breaks = spec.optimiser.learning_rate == 1 and spec.seed == 1
        return math.nan if breaks else 0.1 * bowl(1)(spec) - 0.01 * (spec.optimiser.learning_rate > 1)

    # At 1: 0.1 and log 10, whose geometric mean is 0.48; at 2: 0.19.
    done = World(loss).pursue(small(tuned(0.25, 4)))
    assert done.conditions[0].chosen == 2


def test_a_condition_that_every_rate_breaks_is_told_and_not_reported() -> None:
    def loss(spec: RunSpec) -> float:
        return math.nan if spec.batch_size == 50 and spec.optimiser.learning_rate > 0.01 else bowl(1)(spec)

    done = World(loss).pursue(small(SIZES, tuned(0.5, 2, also=[0.01])))
    grew = [0.25, 0.125, 0.0625, 0.03125]  # downwards, to where training may be stable
    assert done.notes == (
        *(
            f"batch size 50: the best learning rate lay at the end of its range, which grew to {rate:g}"
            for rate in grew
        ),
        "batch size 50: most networks broke at every learning rate",
    )
    broken, intact = done.conditions
    assert (broken.chosen, broken.reports) == (None, ())
    assert len(broken.also[0.01]) == 3
    assert (intact.chosen, len(intact.reports)) == (1, 3)


def test_a_study_whose_every_rate_breaks_ends() -> None:
    done = World(lambda _: math.nan).pursue(small(SIZES, tuned(0.5, 2)))
    assert [condition.chosen for condition in done.conditions] == [None, None]
    assert len(done.notes) == 2 * (MOST_EXTENSIONS + 1)


# --- ranges that grow ---


@pytest.mark.parametrize(("start", "end", "grown"), [(0.125, 0.5, [1, 2]), (2, 8, [1, 0.5])])
def test_a_range_grows_while_the_best_rate_lies_at_its_end(
    start: float, end: float, grown: list[float]
) -> None:
    world = World(bowl(1))
    done = world.pursue(small(tuned(start, end)))
    assert [rates_of(stage) for stage in world.stages[1:3]] == [[grown[0]], [grown[1]]]
    assert [stage.title for stage in world.stages] == [SCOUT] * 3 + [REPEAT]
    assert len(done.conditions[0].near) == 3
    assert done.conditions[0].chosen == 1
    assert list(done.conditions[0].rates) == sorted(done.conditions[0].rates)
    assert done.notes == tuple(
        f"the study: the best learning rate lay at the end of its range, which grew to {rate:g}"
        for rate in grown
    )


@pytest.mark.parametrize("best", [1e-6, 1e6])
def test_a_range_grows_so_often_and_no_more(best: float) -> None:
    world = World(bowl(best))
    done = world.pursue(small(tuned(0.5, 2)))
    edge = 2 * 2**MOST_EXTENSIONS if best > 1 else 0.5 / 2**MOST_EXTENSIONS
    assert done.conditions[0].chosen == edge
    assert len(done.conditions[0].rates) == 3 + MOST_EXTENSIONS
    assert len(done.notes) == MOST_EXTENSIONS + 1
    assert done.notes[-1] == "the study: the best learning rate lies at the end of its range"


def test_a_range_that_may_not_grow_is_told() -> None:
    world = World(bowl(8))
    done = world.pursue(small(SIZES, RATES))
    assert [rates_of(stage) for stage in world.stages] == [[0.1, 0.2, 0.4], [0.2, 0.4]]
    assert [condition.near for condition in done.conditions] == [(0.2, 0.4)] * 2
    assert done.notes == tuple(
        f"batch size {size}: the best learning rate lies at the end of its range" for size in (50, 100)
    )


def test_ranges_grow_for_the_conditions_that_need_it_alone() -> None:
    world = World(lambda spec: bowl(1 if spec.batch_size == 50 else 4)(spec))
    done = world.pursue(small(SIZES, tuned(0.5, 2)))
    assert [condition.rates for condition in done.conditions] == [(0.5, 1, 2), (0.5, 1, 2, 4, 8)]
    assert [condition.chosen for condition in done.conditions] == [1, 4]
    assert all(spec.batch_size == 100 for stage in world.stages[1:-1] for spec in stage.missing)
    assert done.run_count == world.run_count == (3 + 5) * 2 + 2 * 3


def test_a_range_of_one_value_grows_to_either_side() -> None:
    done = World(bowl(0.5)).pursue(small(tuned(1, 1)))
    assert (done.conditions[0].rates, done.conditions[0].chosen) == ((0.25, 0.5, 1), 0.5)


def late(scouted: float, truth: float) -> Loss:
    """The first two seeds are best at another rate than the third, which decides."""
    return lambda spec: math.exp(
        (1 if spec.seed < 2 else 9) * (bowl(scouted if spec.seed < 2 else truth)(spec) - 1) / 10
    )


def test_all_seeds_may_put_the_best_rate_elsewhere() -> None:
    """Then a further rate is taken, of the range first, and beyond it where that is at an end."""
    world = World(late(scouted=1, truth=8))
    (condition,) = (done := world.pursue(small(tuned(0.5, 2)))).conditions
    assert [stage.title for stage in world.stages] == [SCOUT] + [REPEAT] * (len(world.stages) - 1)
    assert 0 < condition.near.index(condition.chosen or 0) < len(condition.near) - 1
    assert condition.near[0] == 0.5
    assert condition.rates == condition.near
    assert condition.near[-1] > 2
    assert done.notes == tuple(
        f"the study: the best learning rate lay at the end of its range, which grew to {rate:g}"
        for rate in condition.rates[3:]
    )
    inside = World(late(scouted=1, truth=8)).pursue(small(tuned(0.5, 32)))
    assert inside.notes == ()
    assert inside.conditions[0].near == condition.near


def test_the_end_of_a_range_is_told_by_all_seeds_not_by_the_first() -> None:
    done = World(late(scouted=4, truth=1)).pursue(small({**RATES, "range": {"from": 0.25, "to": 2}}))
    assert done.conditions[0].chosen == 1
    assert done.notes == ()


# --- what a change of the study asks for ---


def test_a_wider_grid_asks_for_its_new_cells_alone() -> None:
    world = World(bowl(1))
    world.pursue(small(SIZES, tuned(0.5, 2)))
    wider = {"name": "batch_size", "values": [25, 50, 100]}
    done = world.pursue(small(wider, tuned(0.25, 4)))
    # 2 batch sizes x 2 new rates, and one new batch size x 5 rates, on 2 seeds; then its third seed
    assert [len(stage.missing) for stage in world.stages] == [(2 * 2 + 5) * 2, 3]
    assert done.run_count == 3 * 5 * 2 + 3 * 3


def test_more_seeds_ask_for_the_new_ones_alone() -> None:
    world, definition = World(bowl(1)), small(tuned(0.5, 2))
    world.pursue(definition)
    more = definition.model_copy(update={"seeds": study(seeds={"tune": 3, "report": 5}).seeds})
    world.pursue(more)
    assert [seeds_of(stage) for stage in world.stages] == [[3, 4]]


# --- early-stopped networks ---


def test_where_the_best_counts_the_runs_up_to_it_are_asked_for() -> None:
    """At every rate that all seeds were trained at, and at those reported besides."""

    def curve(spec: RunSpec) -> tuple[float, ...] | None:
        best = 0.5 * bowl(1)(spec)
        return (3.0, best, 2.0) if len(spec.evaluation_steps) == 4 else None

    definition = study(
        axes=[tuned(0.25, 4, also=[0.01])],
        fixed={**FIXED, "evaluate_at": [2, 4, 8]},
        seeds={"tune": 2, "report": 3},
        select="best",
    )
    world = World(lambda spec: 9.0 if len(spec.evaluation_steps) == 4 else 0.5 * bowl(1)(spec), curve)
    done = world.pursue(definition)
    last = world.stages[-1]
    assert [stage.title for stage in world.stages] == [SCOUT, REPEAT, "early-stopped networks"]
    assert [(spec.step_count, spec.evaluate_at) for spec in last.missing] == [
        *([(4, (4,))] * 9),
        *([(8, (8,))] * 3),  # at 0.01, which falls to the end
    ]
    (condition,) = done.conditions
    assert condition.is_best
    assert {run.spec.step_count for runs in condition.judged for run in runs} == {10}
    stopped = [run.spec for runs in (*condition.reported, condition.also[0.01]) for run in runs]
    assert stopped == list(last.missing)
    assert condition.losses == pytest.approx(np.tile([1, 0.5, 1], (3, 1)))
    assert done.run_count == StudyProgress(definition, world).planned_count + 4 * 3


def test_a_level_may_count_the_best_where_the_others_count_the_last() -> None:
    levels = [{"label": "best", "select": "best", "momentum": 0.5}, {"label": "last"}]
    world = World(bowl(1), lambda spec: (0.1, 2.0) if len(spec.evaluation_steps) == 3 else None)
    definition = study(
        axes=[{"name": "kind", "levels": levels}],
        fixed={**FIXED, "evaluate_at": [2, 4]},
        seeds={"tune": 1, "report": 2},
    )
    best, last = world.pursue(definition).conditions
    assert [run.spec.step_count for run in (*best.reports, *last.reports)] == [2, 2, 10, 10]
    assert (best.is_best, last.is_best) == (True, False)


def test_what_cannot_be_stopped_early_is_the_run_itself(mnist_spec: Any) -> None:
    spec = lab.make_spec(steps=10, train_size=200, validation_size=100, evaluate_at=[2, 4])
    assert early_stopped(made_up(spec, 1.0, (2.0, 3.0))) == spec
    assert early_stopped(made_up(spec, 1.0, (0.5, 0.5))) == spec.until(2)
    assert early_stopped(made_up(spec, math.nan, (0.5, 2.0))) == spec
    cooled = lab.make_spec(spec, schedule="warmup-cosine")
    assert early_stopped(made_up(cooled, 1.0, (0.5, 2.0))) == cooled


# --- real runs ---


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "runs.db")


def tiny(**more: Any) -> Study:
    fixed = {"hidden": [8], "train_size": 200, "steps": 20, "validation_size": 100}
    return study(axes=[SIZES, tuned(0.25, 1)], fixed=fixed, seeds={"tune": 1, "report": 2}, points=4, **more)


def test_a_study_is_run_into_a_store_and_nothing_is_trained_twice(store: Store, mnist: Dataset) -> None:
    added: list[str] = []
    titles: list[str] = []

    def pursue(definition: Study) -> Stage:
        return run_study(
            definition,
            store,
            workers=1,
            on_stage=lambda stage: titles.append(stage.title),
            on_results=lambda results: added.extend(result.key for result in results),
        )

    done = pursue(tiny(select="best"))
    assert done.is_done
    # Those that were best before their end are trained once more, until then.
    judged = [run for condition in done.conditions for runs in condition.judged for run in runs]
    until_best = [run for run in judged if early_stopped(run) != run.spec]
    last = ["early-stopped networks"] if until_best else []
    assert list(dict.fromkeys(titles)) == [SCOUT, REPEAT, *last]
    assert len(added) == len(set(added)) == store.count(Filter()) == done.run_count
    assert findings(tiny(), "full", done, store).run_count > 0
    titles.clear()
    before = store.get(added)
    second_stage = pursue(tiny(select="best"))
    assert (titles, second_stage.run_count, store.get(added)) == ([], done.run_count, before)
    assert second_stage.conditions == done.conditions


def test_a_study_whose_time_is_over_goes_on_where_it_was(store: Store, mnist: Dataset) -> None:
    counts = [0]
    for _ in range(100):
        stage = run_study(tiny(), store, workers=1, seconds_limit=0)
        counts.append(store.count(Filter()))
        if stage.is_done:
            break
    assert stage.is_done
    assert len(counts) > 3
    assert all(a < b for a, b in itertools.pairwise(counts))
    assert counts[-1] == stage.run_count


def test_when_the_time_is_over_a_long_cohort_is_not_waited_for(
    store: Store, mnist: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock jumps past the end when something is kept and the longest still train."""
    levels = [{"label": "short", "steps": 10}, {"label": "endless", "epochs": 1_000_000}]
    definition = study(
        axes=[{"name": "length", "levels": levels}],
        fixed={"train_size": 200, "validation_size": 100, "evaluate_at": [1]},
        seeds={"report": 2},
    )
    real, ahead = time.monotonic, [0.0]
    kept: list[RunResult] = []

    def see(events: Sequence[Event]) -> None:
        if kept and any(isinstance(event, Progress) for event in events):
            ahead[0] = 2000.0

    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: real() + ahead[0]))
    stage = run_study(definition, store, workers=3, seconds_limit=1000, on_events=see, on_results=kept.extend)
    assert [result.spec.step_count for result in kept] == [10, 10]
    assert len(stage.missing) == 2
    assert set(store.keys(Filter())) == {result.key for result in kept}


def test_a_study_goes_on_over_a_run_that_this_version_cannot_read(tmp_path: Path, mnist: Dataset) -> None:
    path = tmp_path / "runs.db"
    store = open_store(path)
    done = run_study(tiny(), store, workers=1)
    unreadable = done.conditions[0].reports[0]
    rewrite(path, unreadable.key, with_a_later_field(unreadable))
    assert not StudyProgress(tiny(), store).stage().is_done
    second_stage = run_study(tiny(), store, workers=1)
    assert second_stage.is_done
    assert second_stage.conditions[0].reports[0].metrics == unreadable.metrics


def test_a_study_whose_results_do_not_stay_ends_with_a_sentence(tmp_path: Path, mnist: Dataset) -> None:
    path = tmp_path / "runs.db"
    store = open_store(path)
    with sqlite3.connect(path) as connection:
        lose = "CREATE TRIGGER lose AFTER INSERT ON runs BEGIN DELETE FROM runs WHERE key = NEW.key; END"
        connection.execute(lose)
    connection.close()
    expected = (
        r"^6 of 6 runs were trained and put into the store, which does not know them; .* another --store$"
    )
    with pytest.raises(StoreError, match=expected):
        run_study(tiny(), store, workers=1)


def test_an_early_stopped_network_is_the_one_at_that_step(mnist: Dataset) -> None:
    whole = lab.make_spec(
        hidden=(8,), train_size=200, validation_size=100, steps=20, evaluate_at=[5, 10, 15], learning_rate=2.0
    )
    result, network = lab.run(whole)
    for at, step in enumerate(result.curve.step[:-1]):
        until, _ = lab.run(whole.until(step))
        assert until.curve.step == (step,)
        assert until.curve.validation_loss == (result.curve.validation_loss[at],)
        assert until.curve.validation_accuracy == (result.curve.validation_accuracy[at],)
        assert until.metrics.validation_loss == result.curve.validation_loss[at]
    best = early_stopped(result)
    assert lab.run(best)[0].metrics.validation_loss == min(result.curve.validation_loss)
    # The same last step, reached on the way of a longer run: every parameter and every prediction.
    longer = lab.make_spec(whole, steps=60)
    until, stopped = lab.run(longer.until(20))
    assert until.key != result.key
    for layer, expected in zip(stopped.layers, network.layers, strict=True):
        assert (layer.weight == expected.weight).all()
        assert (layer.bias == expected.bias).all()
    assert until.predictions == result.predictions


def test_the_noise_scale_is_measured_where_that_was_left_undone(store: Store, mnist: Dataset) -> None:
    changes = {
        "fixed": {"hidden": [4], "train_size": 200, "validation_size": 100},
        "axes": [
            {"name": "budget", "levels": [{"label": "equal steps", "steps": 4}]},
            {"name": "batch_size", "values": [64, 128]},
            RATES,
        ],
        "seeds": {"tune": 1, "report": 2},
        "points": 2,
    }
    definition = study(analysis="batch-lr", **changes)
    stage = run_study(definition.model_copy(update={"analysis": "comparison"}), store, workers=1)
    assert stage.is_done  # all runs are known, nothing is measured
    left = StudyProgress(definition, store).stage()
    assert (left.title, left.measurement) == (NOISE_SCALE, NOISE_SCALE)
    assert left.missing == tuple(networks_to_measure(stage.conditions)) != ()
    assert left.conditions == stage.conditions
    assert left.known_count == left.run_count == stage.run_count
    assert run_study(definition, store, workers=1).is_done
    assert store.measured() == {(spec.key, NOISE_SCALE) for spec in left.missing}
    measured = store.measurements([spec.key for spec in left.missing], NOISE_SCALE)
    for spec in left.missing:
        seen = run_split(spec, mnist).train
        _, network = lab.run(spec)
        assert measured[spec.key] == noise_scale(network, mnist.train.images[seen], mnist.train.labels[seen])


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_the_built_in_studies_ask_for_what_they_say(name: str) -> None:
    definition = read_study(name).at("quick")
    stage = StudyProgress(definition, NothingKnown()).stage()
    expected = {
        spec_of(definition, combination, rate, seed)
        for combination in checked(definition)
        for rate in (combination.range.values if combination.range else ())
        for seed in scouting_seeds(definition)
    }
    assert stage.title == SCOUT
    assert set(stage.missing) == expected
    assert len(stage.missing) == stage.run_count == len(expected)
