"""Expansion: the conditions of a study, the number of its runs, its seeds and the points of its curves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab.errors import SpecError
from digitlab.spec import RunSpec, geometric_steps
from digitlab.studies import Study, built_in_names, expansion, read_study
from digitlab.studies.definition import MOST_RUNS
from digitlab.studies.expansion import (
    RATES_FOR_ALL,
    all_seeds,
    checked,
    combinations,
    run_count,
    scouting_seeds,
    spec_of,
)
from tests.studies.documents import RATES, SIZES, study


def all_specs(definition: Study) -> list[RunSpec]:
    """Every run of a study, made one by one; the first rates stand for those around the best."""
    specs = []
    for combination in combinations(definition):
        rates = combination.range.values if combination.range else ()
        also = definition.tuned.also if definition.tuned and rates else ()
        for_all: list[float | None] = [*rates[:RATES_FOR_ALL]] or [None]
        pairs: list[tuple[float | None, int]] = [
            (rate, seed) for rate in rates for seed in scouting_seeds(definition)
        ]
        pairs += [(rate, seed) for rate in for_all for seed in all_seeds(definition)]
        pairs += [(rate, seed) for rate in also for seed in all_seeds(definition)[: definition.seeds.also]]
        specs += [spec_of(definition, combination, rate, seed) for rate, seed in dict.fromkeys(pairs)]
    return specs


# --- conditions ---


def test_conditions_are_all_combinations_the_last_axis_fastest() -> None:
    levels = [{"label": "a", "group": "g", "momentum": 0.5}, {"label": "b", "select": "best"}]
    found = list(
        combinations(study(axes=[{"name": "kind", "levels": levels}, RATES, SIZES], fixed={"epochs": 2}))
    )
    assert [combination.labels for combination in found] == [
        {"kind": kind, "batch_size": size} for kind in "ab" for size in ("50", "100")
    ]
    assert [combination.groups["kind"] for combination in found] == ["g", "g", "", ""]
    assert [combination.select for combination in found] == ["last", "last", "best", "best"]
    assert found[0].options == {"epochs": 2, "momentum": 0.5, "batch_size": 50}
    assert found[3].options == {"epochs": 2, "batch_size": 100}


def test_a_level_may_have_a_range_of_its_own_and_other_fixed_options() -> None:
    levels = [
        {"label": "sgd"},
        {
            "label": "adam",
            "optimiser": "adam",
            "hidden": [5],
            "tune": {"from": 0.01, "to": 0.1, "factor": 10},
        },
    ]
    definition = study(
        axes=[{"name": "optimiser", "levels": levels}, RATES], fixed={"hidden": [9], "validation_size": 100}
    )
    sgd, adam = checked(definition)
    assert sgd.range == definition.axes[1].range
    assert adam.range is not None
    assert adam.range.values == (0.01, 0.1)
    spec = spec_of(definition, adam, 0.1, 7)
    assert (spec.optimiser.kind, spec.optimiser.learning_rate, spec.hidden, spec.seed) == (
        "adam",
        0.1,
        (5,),
        7,
    )
    assert spec_of(definition, sgd, 0.2, 7).hidden == (9,)


def test_a_combination_that_cannot_be_run_is_named() -> None:
    definition = study(axes=[SIZES, {"name": "train_size", "values": [1_000, 80]}], fixed={"epochs": 1})
    with pytest.raises(SpecError) as refused:
        checked(definition)
    assert str(refused.value) == (
        "mine, batch_size 100, train_size 80: batch_size: 100 is more than the 80 images trained on; use at most 80"
    )


def test_what_is_judged_by_a_validation_split_needs_one() -> None:
    problem = "leaves nothing to choose the best by; fix one, such as validation_size = 10_000"
    for definition, condition_name in [
        (study(fixed={}), "mine, batch_size 50"),
        (study(fixed={}, axes=[RATES]), "mine"),
        (study(fixed={}, axes=[SIZES], select="best"), "mine, batch_size 50"),
    ]:
        with pytest.raises(SpecError) as refused:
            checked(definition)
        assert str(refused.value) == f"{condition_name}: validation_size: 0 {problem}"
    assert len(checked(study(fixed={}, axes=[SIZES]))) == 2


def test_a_run_has_the_points_that_the_study_asks_for() -> None:
    definition = study(points=3, fixed={"steps": 1_000})
    (combination, _) = combinations(definition)
    assert spec_of(definition, combination, 0.1, 0).evaluation_steps == (1, 32, 1_000)
    definition = study(fixed={"steps": 1_000, "evaluate_at": [7]})
    (combination, _) = combinations(definition)
    assert spec_of(definition, combination, 0.1, 0).evaluation_steps == (7, 1_000)


# --- counts ---


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # conditions x (rates x 3 seeds + 3 rates x the seeds besides + 0.01 x all seeds)
        ("batch-lr", 20 * (13 * 3 + 3 * 2 + 5)),
        ("train-size", 18 * (6 * 3 + 3 * 7 + 10)),
        ("depth", 22 * (7 * 3 + 3 * 7 + 10)),
        # 14 of 19 variants at 6 rates, two with momentum and two with Adam at 7, one at its own rate alone
        ("parameters", 14 * (6 * 3 + 3 * 7 + 10) + 4 * (7 * 3 + 3 * 7 + 10) + 10),
        ("writers", 4 * 6 * 10),
    ],
)
def test_counts_of_the_built_in_studies(name: str, count: int) -> None:
    assert run_count(read_study(name).at("full")) == count


def axis_of(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(values, min_size=1, max_size=3, unique_by=repr)
    return lists.map(lambda values: {"name": name, "values": values})


def levels_axis(level: dict[str, Any]) -> dict[str, Any]:
    return {"name": "kind", "levels": [{"label": "plain"}, {"label": "other", **level}]}


spans = st.builds(
    lambda start, steps: {"from": start, "to": start * 2**steps}, st.floats(1e-3, 1), st.integers(0, 4)
)
tuned_axes = st.builds(
    lambda span, also: {**RATES, "range": span, "also": also},
    spans,
    st.lists(st.floats(2e-4, 9e-4), max_size=2, unique=True),
)


@st.composite
def studies(draw: st.DrawFn) -> Study:
    axes = [draw(axis_of("batch_size", st.integers(1, 200)))]
    axes += draw(st.lists(axis_of("hidden", st.lists(st.integers(1, 9), max_size=2)), max_size=1))
    if draw(st.booleans()):
        kinds: list[dict[str, Any]] = [{}, {"tune": draw(spans)}, {"learning_rate": 2.0}]
        own = draw(st.sampled_from(kinds))
        axes += [levels_axis({"momentum": 0.5, **own}), draw(tuned_axes)]
    seeds = {"tune": draw(st.integers(1, 3)), "report": draw(st.integers(1, 5))}
    if draw(st.booleans()):
        seeds["also"] = draw(st.integers(1, 6))
    return study(axes=draw(st.permutations(axes)), seeds=seeds, fixed={"steps": 3, "train_size": 500})


@given(studies())
def test_the_count_is_that_of_the_runs(definition: Study) -> None:
    specs = all_specs(definition)
    assert run_count(definition) == len(specs)
    assert len({spec.key for spec in specs}) == len(specs)


def test_a_thousand_million_runs_are_refused_before_one_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "make_spec", lambda *_, **__: pytest.fail("a run was built"))
    sizes, widths = list(range(1, 1_001)), [[width] for width in range(1, 1_001)]
    momenta = [{"label": str(i), "momentum": i / 1_000} for i in range(1_000)]
    axes = [
        {"name": "batch_size", "values": sizes},
        {"name": "hidden", "values": widths},
        {"name": "momentum", "levels": momenta},
    ]
    definition = study(axes=axes, seeds={"report": 1})
    with pytest.raises(SpecError) as refused:
        checked(definition)
    assert str(refused.value) == (
        "study: 'mine' makes 1,000,000,000 runs, more than 200,000; leave out values, levels or seeds"
    )
    momenta[3]["tune"] = {"from": 0.1, "to": 1}
    definition = study(axes=[*axes, RATES])
    with pytest.raises(SpecError, match="makes 1,000,000,000 runs, more than 200,000"):
        checked(definition)
    assert MOST_RUNS == 200_000


# --- seeds ---


@given(st.integers(1, 1_000), st.integers(1, 100_000), st.integers(0, 2**62))
def test_the_range_is_tried_on_the_first_of_the_seeds(tune: int, report: int, first: int) -> None:
    definition = study(seeds={"tune": tune, "report": report, "first": first})
    assert (len(scouting_seeds(definition)), len(all_seeds(definition))) == (tune, report)
    assert scouting_seeds(definition)[0] == all_seeds(definition)[0] == first


@pytest.mark.parametrize("name", built_in_names())
def test_more_seeds_keep_those_before(name: str) -> None:
    few, many = (
        read_study(name).model_copy(update={"seeds": study(seeds=seeds).seeds})
        for seeds in ({"tune": 2, "report": 2}, {"tune": 3, "report": 5})
    )
    assert set(scouting_seeds(few)) < set(scouting_seeds(many))
    assert set(all_seeds(few)) < set(all_seeds(many))


# --- levels with a learning rate of their own ---


def test_a_level_that_sets_the_learning_rate_is_not_tuned_whatever_comes_after() -> None:
    own = {"name": "kind", "levels": [{"label": "own", "learning_rate": 0.03}, {"label": "tuned"}]}
    wide = {"name": "other", "levels": [{"label": "wide", "tune": {"from": 1, "to": 8}}, {"label": "usual"}]}
    for axes in ([own, wide, RATES], [wide, own, RATES]):
        found = {
            (combination.labels["kind"], combination.labels["other"]): combination.range
            for combination in combinations(study(axes=axes))
        }
        assert found["own", "wide"] is found["own", "usual"] is None
        assert [len(span.values) for span in (found["tuned", "wide"], found["tuned", "usual"]) if span] == [
            4,
            3,
        ]


# --- points ---


@given(st.integers(1, 10**9), st.integers(1, 1_000))
def test_geometric_steps_rise_to_the_last(step_count: int, points: int) -> None:
    steps = geometric_steps(step_count, points)
    assert steps == sorted(set(steps))
    assert steps[0] >= 1
    assert steps[-1] == step_count
    assert len(steps) <= points + 1


def test_geometric_steps_grow_by_a_factor() -> None:
    assert geometric_steps(1_000_000, 4) == [1_000, 10_000, 100_000, 1_000_000]
    assert geometric_steps(800, 8) == [1, 3, 7, 18, 46, 118, 308, 800]
    assert geometric_steps(3, 8) == [1, 2, 3]
    assert geometric_steps(500, 1) == [500]
    assert geometric_steps(1, 9) == [1]
