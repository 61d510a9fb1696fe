"""Study: what a document may say, and what is said of one that is wrong."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab.errors import SpecError
from digitlab.studies.definition import MOST_VALUES, Range, Study
from tests.studies.documents import RATES, SIZES, document, study


def faults(**changes: Any) -> dict[str, str]:
    """What is wrong, by field."""
    with pytest.raises(SpecError) as refused:
        study(**changes)
    return {fault.field: fault.problem for fault in refused.value.faults}


def of_axis(**fields: Any) -> dict[str, str]:
    return faults(axes=[{"name": "scaling", **fields}])


# --- what is refused, and how ---


@pytest.mark.parametrize(
    ("axis", "field", "problem"),
    [
        (
            {"levels": [{"label": "a"}, {"label": "b", "hiden": 3}]},
            "axes.0.levels.1.hiden",
            "is not an option; did you mean hidden?",
        ),
        (
            {"levels": [{"label": "a", "seed": 3}]},
            "axes.0.levels.0.seed",
            "is not an option: `seeds` says how often a study repeats; leave it out",
        ),
        (
            {"levels": [{"label": "a"}, {"hidden": [3]}]},
            "axes.0.levels.1",
            "lacks a label; give each level one, such as label = 'Adam'",
        ),
        (
            {"levels": [{"label": 3}]},
            "axes.0.levels.0",
            "lacks a label; give each level one, such as label = 'Adam'",
        ),
        (
            {"levels": [{"label": "a", "group": 16**4_000}]},
            "axes.0.levels.0.group",
            "is not a text; give one in quotation marks",
        ),
        (
            {"levels": [{"label": "a", "select": "first"}]},
            "axes.0.levels.0.select",
            "is not known; use 'last' or 'best'",
        ),
        (
            {"levels": [{"label": "a", "tune": {"from": 1, "until": 2}}]},
            "axes.0.levels.0.tune",
            "is not a range; give one such as { from = 0.01, to = 1 }",
        ),
        (
            {"levels": [{"label": "a", "tune": {"from": 1, "to": 2}, "learning_rate": 0.1}]},
            "axes.0.levels.0.tune",
            "tunes the learning rate that the level sets; leave out one of them",
        ),
        (
            {"levels": [{"label": "a"}], "values": ["unit"]},
            "axes.0",
            "needs exactly one of values, levels, range",
        ),
        ({}, "axes.0", "needs exactly one of values, levels, range"),
        (
            {"name": "depth", "values": [1, 2]},
            "axes.0",
            "has no levels, and depth is not an option; name an option, such as batch_size",
        ),
        (
            {"name": "seed", "values": [1, 2]},
            "axes.0",
            "has no levels, and seed is not an option; name an option, such as batch_size",
        ),
        (
            {"values": ["unit"], "tune": True},
            "axes.0",
            "cannot be tuned; tune the learning_rate, in a range",
        ),
        (
            {"name": "momentum", "range": {"from": 0.1, "to": 0.8}, "tune": True},
            "axes.0",
            "cannot be tuned; tune the learning_rate, in a range",
        ),
        (
            {"values": ["unit"], "extend": True},
            "axes.0",
            "is not tuned, so it takes neither extend nor also; say tune = true",
        ),
        (
            {"name": "learning_rate", "range": {"from": 0.1, "to": 1}, "also": [0.01]},
            "axes.0",
            "is not tuned, so it takes neither extend nor also; say tune = true",
        ),
        (
            {"name": "learning_rate", "range": {"from": 2, "to": 1}},
            "axes.0.range",
            "ends before it begins; give a `to` that is at least `from`",
        ),
        (
            {"name": "learning_rate", "range": {"from": 1, "to": 2, "factor": 1}},
            "axes.0.range.factor",
            "is too small; it must be more than 1",
        ),
        (
            {"name": "learning_rate", "range": {"from": 1, "to": math.e, "factor": math.exp(0.0005)}},
            "axes.0.range",
            "has 2,001 values, more than 1,000; give a larger factor",
        ),
        (
            {"value": [1]},
            "axes.0.value",
            "is for a field that does not exist here; did you mean values?",
        ),
        ({"levels": [1]}, "axes.0.levels.0", "is not a table of fields"),
        ({"values": []}, "axes.0.values", "has too few entries; at least 1 are needed"),
        (
            {"name": "Rate", "values": [1]},
            "axes.0.name",
            "does not have its form; use up to 41 of a-z, 0-9, _ and -, a letter first",
        ),
    ],
)
def test_an_axis_that_is_wrong(axis: dict[str, Any], field: str, problem: str) -> None:
    assert of_axis(**axis).get(field) == problem


@pytest.mark.parametrize(
    ("axes", "problem"),
    [
        ([RATES, RATES], "tunes two axes; one can be tuned"),
        ([SIZES, SIZES], "has two axes of one name; put their levels together"),
        (
            [{"name": "a", "levels": [{"label": "x"}, {"label": "x"}]}],
            "has two levels of one label on an axis; labels tell them apart",
        ),
        (
            [{"name": "batch_size", "values": [8, 8]}],
            "has two levels of one label on an axis; labels tell them apart",
        ),
        (
            [SIZES, {"name": "a", "levels": [{"label": "x", "batch_size": 3}]}],
            "varies batch_size on two axes; leave it to one",
        ),
        (
            [
                {"name": "a", "levels": [{"label": "x", "learning_rate": 3.0}]},
                {"name": "learning_rate", "values": [0.1]},
            ],
            "varies learning_rate on two axes; leave it to one",
        ),
        (
            [{"name": "a", "levels": [{"label": "x", "tune": {"from": 1, "to": 2}}]}],
            "has a level with a range to tune over, and no axis that is tuned; say tune = true of one",
        ),
    ],
)
def test_axes_that_do_not_go_together(axes: list[dict[str, Any]], problem: str) -> None:
    assert faults(axes=axes) == {"axes": problem}


@pytest.mark.parametrize("name", ["batch_size", "learning_rate"])
def test_an_axis_that_is_fixed_too(name: str) -> None:
    expected = {"axes": f"varies {name}, which is fixed as well; leave it out of one"}
    assert faults(fixed={name: 10}) == expected


def test_a_fixed_option_that_is_none() -> None:
    problem = "is not an option: `seeds` says how often a study repeats; leave it out"
    assert faults(fixed={"seed": 1, "momentun": 0.9}) == {
        "fixed.seed": problem,
        "fixed.momentun": "is not an option; did you mean momentum?",
    }
    assert faults(fixed={"zzz": 1})["fixed.zzz"].startswith("is not an option; there are batch_size, beta1, ")


def test_unknown_fields_are_told_with_what_may_be_meant() -> None:
    assert faults(titel="x") == {"titel": "is for a field that does not exist here; did you mean title?"}
    assert faults(seeds={"reports": 3}) == {
        "seeds.reports": "is for a field that does not exist here; did you mean report?"
    }
    unlike = faults(zzz=1)["zzz"]
    assert unlike.startswith(
        "is for a field that does not exist here; leave it out; there are analysis, axes, "
    )


def test_all_faults_are_told_at_once() -> None:
    found = faults(name="My study", seeds={"tune": 0, "report": 1.5}, points=0, target=1, select="first")
    assert found == {
        "name": found["name"],
        "seeds.tune": "is too small; it must be at least 1",
        "seeds.report": "is not a whole number; give one such as 100",
        "points": "is too small; it must be at least 1",
        "target": "is too large; it must be less than 1",
        "select": "is not known; use 'last' or 'best'",
    }


def test_a_baseline_that_is_not_a_label() -> None:
    levels = {"name": "kind", "levels": [{"label": "plain"}, {"label": "deep", "hidden": [9, 9]}]}
    assert study(axes=[levels, SIZES], baseline="plain").baseline == "plain"
    assert study(axes=[levels, SIZES], baseline="50").baseline == "50"
    known = "there are 'plain', 'deep', '50', '100'"
    for baseline, problem in (
        ("plane", f"is the label of no level; did you mean 'plain'? {known}"),
        ("x", f"is the label of no level; {known}"),
        ("kind", f"is the label of no level; {known}"),  # an axis's name
    ):
        assert faults(axes=[levels, SIZES, RATES], baseline=baseline) == {"baseline": problem}
    axis = {"name": "train_size", "values": list(range(100, 200))}
    assert faults(axes=[axis], baseline="x")["baseline"].endswith("'138', '139', …")


def test_a_baseline_that_a_scale_takes_away() -> None:
    small = study(baseline="50", scales={"quick": {"axes": {"batch_size": {"values": [100, 200]}}}})
    with pytest.raises(SpecError, match=r"baseline: '50' is the label of no level; there are '100', '200'"):
        small.at("quick")


def test_points_beside_the_steps_that_they_would_replace() -> None:
    problem = {"points": "would take the place of evaluate_at, which is chosen too; leave out one of them"}
    assert faults(points=3, fixed={"evaluate_at": [5]}) == problem
    levels = [{"label": "a", "evaluate_at": [5]}, {"label": "b"}]
    assert faults(points=3, axes=[{"name": "kind", "levels": levels}]) == problem


def test_fields_that_must_be_there() -> None:
    with pytest.raises(SpecError) as refused:
        Study.model_validate({})
    assert {fault.field for fault in refused.value.faults} == {"name", "title", "question", "axes"}
    assert {fault.problem for fault in refused.value.faults} == {"lacks this field; give it"}


# --- scales ---


def test_an_unknown_scale() -> None:
    scaled = study(scales={"full": {}, "quick": {"points": 3}})
    with pytest.raises(SpecError, match=r"^scale: 'slow' is not a scale of mine; use full or quick$"):
        scaled.at("slow")


def test_a_study_without_scales_is_the_same_at_any() -> None:
    assert study().at("whatever") == study()


def test_a_scale_changes_what_it_names_and_keeps_the_rest() -> None:
    quick = {
        "fixed": {"hidden": [5]},
        "points": 3,
        "seeds": {"report": 2},
        "axes": {
            "batch_size": {"levels": [{"label": "one", "batch_size": 1}]},
            "learning_rate": {"also": [3]},
        },
    }
    whole = study(
        fixed={"hidden": [100], "epochs": 3}, seeds={"tune": 4}, scales={"full": {}, "quick": quick}
    )
    small = whole.at("quick")
    assert small.fixed == {"hidden": [5], "epochs": 3}
    assert (small.points, small.seeds.tune, small.seeds.report) == (3, 4, 2)
    assert [level["label"] for level in small.axes[0].all_levels] == ["one"]  # the values made way
    assert small.axes[0].values is None
    assert (small.axes[1].also, small.axes[1].range) == ((3.0,), whole.axes[1].range)
    assert small.scales == {}
    assert whole.at("full").model_copy(update={"scales": whole.scales}) == whole


@pytest.mark.parametrize(
    ("axes", "fault"),
    [
        (
            {"batchsize": {"values": [1]}},
            "axes.batchsize: {'values': [1]} is for no axis of the study; did you mean batch_size?",
        ),
        ({"batch_size": [1]}, "axes.batch_size: [1] is not a table; give one such as { values = [1, 2] }"),
        ([SIZES], f"axes: {[SIZES]!r} is not a table; change an axis by a table of its name"),
    ],
)
def test_a_scale_changes_only_axes_that_are_there(axes: Any, fault: str) -> None:
    with pytest.raises(SpecError) as refused:
        study(scales={"quick": {"axes": axes}}).at("quick")
    assert str(refused.value) == fault


# --- levels and ranges ---


def test_levels_of_plain_values_have_labels_as_people_write_them() -> None:
    def labels(name: str, *values: Any) -> list[str]:
        axis = {"name": name, "values": list(values)}
        return [level["label"] for level in study(axes=[axis]).axes[0].all_levels]

    assert labels("hidden", [], [100], [100, 50]) == ["none", "100", "100x50"]
    assert labels("train_size", 100, 50_000) == ["100", "50,000"]
    assert labels("momentum", 0.9, 0.5) == ["0.9", "0.5"]
    assert labels("nesterov", True, False) == ["True", "False"]
    assert labels("scaling", "unit") == ["unit"]
    assert labels("scaling", {"a": 1}) == ["{'a': 1}"]  # refused later, when its runs are made


def test_values_of_a_range() -> None:
    assert Range.model_validate({"from": 1, "to": 8}).values == (1, 2, 4, 8)
    assert Range.model_validate({"from": 1, "to": 1}).values == (1,)
    assert Range.model_validate({"from": 0.5, "to": 50, "factor": 10}).values == (0.5, 5, 50)
    assert Range.model_validate({"from": 1, "to": 7}).values == (1, 2, 4, 8)  # it may pass `to` a little
    assert Range.model_validate({"from": 1, "to": 5}).values == (1, 2, 4)


@given(st.floats(1e-6, 1e6), st.floats(1, 1e6), st.floats(1.02, 100))
def test_ranges_rise_by_their_factor_and_end_near_their_end(
    start: float, reach: float, factor: float
) -> None:
    values = Range.model_validate({"from": start, "to": start * reach, "factor": factor}).values
    assert values[0] == start
    assert all(math.isclose(b / a, factor) for a, b in pairwise(values))
    assert 1 / math.sqrt(factor) <= values[-1] / (start * reach) * (1 + 1e-9)
    assert values[-1] / (start * reach) <= math.sqrt(factor) * (1 + 1e-9)
    assert len(values) <= MOST_VALUES


def test_a_range_without_end_is_refused_at_once() -> None:
    for span in ({"from": 1e-300, "to": 1e19}, {"from": 1, "to": 2, "factor": math.nextafter(1, 2)}):
        problem = faults(axes=[{"name": "learning_rate", "range": span, "tune": True}])["axes.0.range"]
        assert problem.endswith(" values, more than 1,000; give a larger factor")


def test_the_tuned_axis_is_told_from_those_that_span_the_conditions() -> None:
    assert study().tuned is not None
    assert study().tuned == study().axes[1]
    assert study().varied == study().axes[:1]
    assert study(axes=[SIZES]).tuned is None
    assert Study.model_validate(document()) == study()
