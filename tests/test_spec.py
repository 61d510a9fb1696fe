"""RunSpec: its canonical JSON and key, its faults, its numbers of steps."""

import json
import math
import pickle
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from digitlab.errors import SpecError
from digitlab.spec import SGD, Adam, AdamW, Budget, Constant, DataSpec, RunSpec, WarmupCosine

DATA = {"name": "mnist", "sha256": "ab" * 32, "train_images": 60_000, "classes": 10}


def spec(**fields: Any) -> RunSpec:
    return RunSpec.model_validate({"data": DATA, **fields})


def faults(**fields: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        spec(**fields)
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return [str(fault) for fault in caught.value.faults]


# --- canonical JSON and key: each pinned by itself, so that neither changes unnoticed ---

DEFAULT_JSON = (
    '{"batch_size":100,"budget":{"epochs":15},"data":{"classes":10,"name":"mnist","sha256":"'
    + "ab" * 32
    + '",'
    '"train_images":60000},"evaluate_at":"epoch","hidden":[],"initialisation":"torch","last_batch":"keep",'
    '"optimiser":{"kind":"sgd","learning_rate":0.01,"momentum":0.0,"nesterov":false,"weight_decay":0.0},'
    '"precision":"float32","scaling":"unit","schedule":{"kind":"constant"},"seed":0,"train_size":60000,'
    '"validation_size":0}'
)
FULL: dict[str, Any] = {
    "scaling": "standard",
    "validation_size": 10_000,
    "train_size": 5_000,
    "hidden": [300, 100],
    "initialisation": "he",
    "optimiser": {"kind": "adamw", "learning_rate": 0.003, "beta1": 0.8, "weight_decay": 0.1},
    "batch_size": 64,
    "last_batch": "drop",
    "budget": {"steps": 1000},
    "schedule": {"kind": "warmup-cosine", "warmup_steps": 50, "final_fraction": 0.1},
    "evaluate_at": [1, 10, 100],
    "seed": 2**63 - 1,
    "precision": "float64",
}
FULL_JSON = (
    '{"batch_size":64,"budget":{"steps":1000},"data":{"classes":10,"name":"mnist","sha256":"'
    + "ab" * 32
    + '",'
    '"train_images":60000},"evaluate_at":[1,10,100],"hidden":[300,100],"initialisation":"he",'
    '"last_batch":"drop","optimiser":{"beta1":0.8,"beta2":0.999,"epsilon":1e-08,"kind":"adamw",'
    '"learning_rate":0.003,"weight_decay":0.1},"precision":"float64","scaling":"standard",'
    '"schedule":{"final_fraction":0.1,"kind":"warmup-cosine","warmup_steps":50},"seed":9223372036854775807,'
    '"train_size":5000,"validation_size":10000}'
)


def test_the_canonical_json_is_pinned() -> None:
    assert spec().canonical_json == DEFAULT_JSON
    assert spec(**FULL).canonical_json == FULL_JSON


def test_the_keys_are_pinned() -> None:
    assert spec().key == "00fe94f7a5dfcb5e8b9071a5e0fb18ee431d0fbad16a4baa950f363b581b5c0d"
    assert spec(**FULL).key == "dc3c5ba1c1965ff45dfd7b917fde5d1874b158eb5de175f0e833c974e31f6e65"


def test_a_field_added_later_leaves_old_keys_alone() -> None:
    class Extended(RunSpec):
        LEFT_OUT_AT_DEFAULT = RunSpec.LEFT_OUT_AT_DEFAULT | {"dropout"}
        dropout: Annotated[float, Field(ge=0)] = 0.0

    assert Extended.model_validate({"data": DATA}).key == spec().key
    extended = Extended.model_validate({"data": DATA, "dropout": 0.5})
    assert extended.key != spec().key
    assert json.loads(extended.canonical_json)["dropout"] == 0.5


def test_how_validation_is_held_out_is_written_where_it_is_not_as_ever() -> None:
    held_out = {"validation_size": 10_000}
    assert spec(validation="images", **held_out).canonical_json == spec(**held_out).canonical_json
    whole = spec(validation="writers", **held_out)
    assert whole.canonical_json == spec(**held_out).canonical_json.replace(
        '"validation_size"', '"validation":"writers","validation_size"'
    )
    assert whole.key != spec(**held_out).key
    assert RunSpec.from_json(whole.canonical_json) == whole
    assert whole.train_size == 50_000


def test_patience_and_a_parent_are_written_where_there_are_any() -> None:
    parent = {"key": "12" * 32, "sha256": "34" * 32}
    assert spec(patience=0, parent=None).canonical_json == DEFAULT_JSON
    patient = spec(patience=5, validation_size=10_000)
    assert patient.canonical_json == spec(validation_size=10_000).canonical_json.replace(
        '"precision"', '"patience":5,"precision"'
    )
    child = spec(parent=parent)
    assert child.canonical_json == DEFAULT_JSON.replace(
        '"precision"', f'"parent":{{"key":"{"12" * 32}","sha256":"{"34" * 32}"}},"precision"'
    )
    for original in (patient, child):
        assert RunSpec.from_json(original.canonical_json) == original
        assert original.key != spec().key


def test_a_run_that_is_cut_short_has_no_patience() -> None:
    patient = spec(patience=5, validation_size=10_000, budget={"steps": 500})
    assert patient.until(500) == spec(validation_size=10_000, budget={"steps": 500}, evaluate_at=[500])
    assert patient.until(300).patience == 0


def test_a_field_added_later_to_a_part_leaves_old_keys_alone() -> None:
    class Later(Constant):
        LEFT_OUT_AT_DEFAULT = frozenset({"cycles"})
        cycles: Annotated[int, Field(ge=1)] = 1

    assert Later().model_dump() == Constant().model_dump() == {"kind": "constant"}
    assert Later(cycles=2).model_dump() == {"kind": "constant", "cycles": 2}


def test_a_copy_with_other_fields_has_another_key() -> None:
    original = spec()
    assert original.key != original.model_copy(update={"seed": 5}).key == spec(seed=5).key


def test_the_canonical_json_gives_the_spec_back() -> None:
    for original in (spec(), spec(**FULL), spec(optimiser={"kind": "adam"})):
        reread = RunSpec.from_json(original.canonical_json)
        assert reread == original
        assert reread.key == original.key
        assert RunSpec.model_validate(json.loads(original.canonical_json)) == original


@given(
    hidden=st.lists(st.integers(1, 2000), max_size=6),
    rate=st.floats(min_value=1e-300, max_value=1e19),
    momentum=st.floats(min_value=0, max_value=1, exclude_max=True),
    seed=st.integers(0, 2**63 - 1),
    batch_size=st.integers(1, 60_000),
    steps=st.integers(1, 10**6),
)
def test_every_valid_spec_survives_its_json(
    hidden: list[int], rate: float, momentum: float, seed: int, batch_size: int, steps: int
) -> None:
    original = spec(
        hidden=hidden,
        optimiser={"learning_rate": rate, "momentum": momentum},
        seed=seed,
        batch_size=batch_size,
        budget={"steps": steps},
        evaluate_at=[steps],
    )
    assert RunSpec.from_json(original.canonical_json) == original
    assert pickle.loads(pickle.dumps(original)).key == original.key


def test_equal_numbers_make_equal_keys() -> None:
    assert spec(optimiser={"learning_rate": 1}).key == spec(optimiser={"learning_rate": 1.0}).key
    assert spec(optimiser={"momentum": -0.0}).key == spec().key
    assert spec(seed=np.int64(3), hidden=np.array([5, 4])).key == spec(seed=3, hidden=(5, 4)).key
    assert (
        spec(optimiser={"learning_rate": np.float64(0.5)}).key == spec(optimiser=SGD(learning_rate=0.5)).key
    )


def test_every_field_is_part_of_the_key() -> None:
    for name, value in FULL.items():
        changed = {name: value} | ({"train_size": 5_000} if name == "batch_size" else {})
        assert spec(**changed).key != spec().key, name
    for name in DATA:
        other: Any = {"name": "other", "sha256": "cd" * 32, "train_images": 70_000, "classes": 11}[name]
        assert spec(data=DATA | {name: other}).key != spec().key, name


def test_a_spec_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        spec().seed = 3  # type: ignore[misc]
    assert len({spec(), spec(), spec(seed=1)}) == 2


# --- faults ---


def test_all_faults_are_told_at_once_each_with_field_value_and_remedy() -> None:
    assert faults(
        train_size=70_000,
        hidden=[100, -1, True, 2.5],
        optimiser={"kind": "sgd", "learning_rate": math.nan, "momentum": True, "beta1": 0.5},
        batch_size=0,
        budget={"epochs": 2, "steps": 4},
        seed=-1,
        scaling="percent",
        schedule={"kind": "steps"},
        evaluate_at="never",
        hiden=[3],
    ) == [
        "scaling: 'percent' is not known; use 'unit', 'standard' or 'symmetric'",
        "train_size: 70000 is more than the 60,000 training images of mnist; use at most 60000, or 50000 with a "
        "validation split",
        "hidden.1: -1 is too small; it must be at least 1",
        "hidden.2: True is not a whole number; give one such as 100",
        "hidden.3: 2.5 is not a whole number; give one such as 100",
        "optimiser.learning_rate: nan is not a finite number; give one such as 0.01",
        "optimiser.momentum: True is not a number; give one such as 0.01",
        "optimiser.beta1: 0.5 is for another kind of optimiser; choose adam or adamw, or leave it out",
        "batch_size: 0 is too small; it must be at least 1",
        "budget: {'epochs': 2, 'steps': 4} must hold either epochs or steps; give exactly one of them",
        "schedule.kind: 'steps' is not known; use one of 'constant', 'warmup-cosine'",
        "evaluate_at: 'never' is not known; use 'epoch', or a list of steps such as [100, 200, 400]",
        "seed: -1 is too small; it must be at least 0",
        "hiden: [3] is for a field that does not exist here; did you mean hidden?",
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "nan is not a finite number; give one such as 0.01"),
        (math.inf, "inf is not a finite number; give one such as 0.01"),
        (-math.inf, "-inf is not a finite number; give one such as 0.01"),
        (float("1e400"), "inf is not a finite number; give one such as 0.01"),
        (-0.1, "-0.1 is too small; it must be more than 0"),
        (0, "0 is too small; it must be more than 0"),
        (1e20, "1e+20 is too large; it must be at most 1e+19"),
        (True, "True is not a number; give one such as 0.01"),
        ("0.1", "'0.1' is not a number; give one such as 0.01"),
        (None, "None is not a number; give one such as 0.01"),
        ([0.1], "[0.1] is not a number; give one such as 0.01"),
    ],
)
def test_a_learning_rate_is_a_positive_finite_number(value: object, problem: str) -> None:
    assert faults(optimiser={"learning_rate": value}) == [f"optimiser.learning_rate: {problem}"]


def test_a_number_too_large_for_a_float_is_refused() -> None:
    (fault,) = faults(optimiser={"learning_rate": 10**400})
    assert fault.startswith("optimiser.learning_rate: 1000")
    assert fault.endswith("... is not a number; give one such as 0.01")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"train_size": 0}, "train_size: 0 is too small; it must be at least 1"),
        ({"train_size": True}, "train_size: True is not a whole number; give one such as 100"),
        (
            {"train_size": 50_001, "validation_size": 10_000},
            "train_size: 50001 is more than the 50,000 training images of mnist that are left beside 10,000 for "
            "validation; use at most 50000",
        ),
        (
            {"validation_size": 60_000},
            "validation_size: 60000 does not fit the 60,000 training images of mnist; use 0 for none, or 10 to "
            "59990, such as 10000",
        ),
        (
            {"batch_size": 101, "train_size": 100},
            "batch_size: 101 is more than the 100 images trained on; use at most 100",
        ),
        ({"batch_size": 1.0}, "batch_size: 1.0 is not a whole number; give one such as 100"),
        ({"hidden": "100"}, "hidden: '100' is not a list; give one such as [100, 100]"),
        ({"hidden": [0]}, "hidden.0: 0 is too small; it must be at least 1"),
        (
            {"hidden": [20_000, 20_000]},
            "hidden: [20000, 20000] makes 415,920,010 parameters; use layers that make at most 200,000,000",
        ),
        ({"hidden": [70_000]}, "hidden.0: 70000 is too large; it must be at most 65536"),
        ({"budget": {}}, "budget: {} must hold either epochs or steps; give exactly one of them"),
        ({"budget": 3}, "budget: 3 is not a table of fields"),
        (
            {"budget": {"epoch": 3}},
            "budget.epoch: 3 is for a field that does not exist here; did you mean epochs?",
        ),
        (
            {"validation": "writers"},
            "validation: 'writers' has no effect without a validation_size; give one such as 10000, or leave "
            "validation out",
        ),
        (
            {"validation": "people", "validation_size": 100},
            "validation: 'people' is not known; use 'images' or 'writers'",
        ),
        (
            {"patience": 3},
            "patience: 3 has no effect without a validation_size; give one such as 10000, or leave patience out",
        ),
        ({"patience": -1}, "patience: -1 is too small; it must be at least 0"),
        (
            {"parent": "digits.safetensors"},
            "parent: 'digits.safetensors' is not a table of fields",
        ),
        (
            {"parent": {"key": "0" * 64, "sha256": "x"}},
            "parent.sha256: 'x' does not have its form; use 64 of 0-9 and a-f, the SHA-256 in hexadecimal digits",
        ),
        (
            {"parent": {"key": "0" * 64, "sha256": "0" * 64}, "initialisation": "he"},
            "initialisation: 'he' has no effect on a run that goes on from a trained network; leave "
            "initialisation out",
        ),
        ({"seed": 2**63}, f"seed: {2**63} is too large; it must be less than {2**63}"),
        ({"data": "mnist"}, "data: 'mnist' is not a table of fields"),
        (
            {"data": {**DATA, "name": "../x"}},
            "data.name: '../x' does not have its form; use up to 64 of a-z, 0-9 and -, no - first",
        ),
        ({"precision": "bfloat16"}, "precision: 'bfloat16' is not known; use 'float32' or 'float64'"),
        (
            {"evaluate_at": [5, 5]},
            "evaluate_at: [5, 5] is not in order; give steps that rise, such as [100, 200, 400]",
        ),
        ({"evaluate_at": [9_001]}, "evaluate_at: [9001] goes beyond the run's end; use steps up to 9000"),
        ({"evaluate_at": []}, "evaluate_at: [] has too few entries; at least 1 are needed"),
        (
            {"batch_size": 60_000, "budget": {"epochs": 1_000_000}},
            "evaluate_at: 'epoch' is 1,000,000 evaluations, more than 100,000; give a list of steps",
        ),
        (
            {"optimiser": {"nesterov": True}},
            "optimiser.nesterov: True has no effect without momentum; give a momentum such as 0.9, or leave "
            "nesterov out",
        ),
        (
            {"optimiser": {"kind": "lion"}},
            "optimiser.kind: 'lion' is not known; use one of 'sgd', 'adam', 'adamw'",
        ),
        (
            {"schedule": {"warmup_steps": 3}},
            "schedule.warmup_steps: 3 is for another kind of schedule; choose warmup-cosine, or leave it out",
        ),
        (
            {"optimiser": {"momentun": 0.5}},
            "optimiser.momentun: 0.5 is for a field that does not exist here; did you mean momentum?",
        ),
        ({"optimiser": {"momentum": 1}}, "optimiser.momentum: 1 is too large; it must be less than 1"),
    ],
)
def test_faults_name_field_value_and_remedy(fields: dict[str, Any], fault: str) -> None:
    assert faults(**fields) == [fault]


def test_a_warmup_must_end() -> None:
    (fault,) = faults(schedule={"kind": "warmup-cosine", "warmup_steps": 9_000})
    assert fault.endswith("warms up for as long as the run or longer; use less than its 9000 steps")
    assert spec(schedule={"kind": "warmup-cosine", "warmup_steps": 8_999}).schedule == WarmupCosine(
        warmup_steps=8_999
    )


def test_a_missing_data_set_is_told() -> None:
    with pytest.raises(SpecError, match=r"data: .* lacks this field; give it"):
        RunSpec.model_validate({})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from([*RunSpec.model_fields, "other"]),
)
def test_whatever_a_field_holds_it_is_a_spec_or_faults(value: object, field: str) -> None:
    try:
        made = spec(**{field: value})
    except SpecError as error:
        assert error.faults  # noqa: PT017
    else:
        assert RunSpec.from_json(made.canonical_json) == made


# --- what follows from the fields ---


@pytest.mark.parametrize(
    ("fields", "per_epoch", "steps"),
    [
        ({}, 600, 9_000),
        ({"batch_size": 7}, 8_572, 128_580),
        ({"batch_size": 7, "last_batch": "drop"}, 8_571, 128_565),
        ({"train_size": 3, "batch_size": 2, "budget": {"steps": 5}}, 2, 5),
        ({"validation_size": 10_000}, 500, 7_500),
    ],
)
def test_steps(fields: dict[str, Any], per_epoch: int, steps: int) -> None:
    assert spec(**fields).steps_per_epoch == per_epoch
    assert spec(**fields).step_count == steps


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"budget": {"epochs": 3}}, (600, 1_200, 1_800)),
        ({"budget": {"steps": 1_300}}, (600, 1_200, 1_300)),
        ({"budget": {"steps": 10}}, (10,)),
        ({"budget": {"steps": 10}, "evaluate_at": [1, 5]}, (1, 5, 10)),
        ({"budget": {"steps": 10}, "evaluate_at": [10]}, (10,)),
    ],
)
def test_the_last_step_is_always_evaluated(fields: dict[str, Any], at: tuple[int, ...]) -> None:
    assert spec(**fields).evaluation_steps == at


def test_parameters_are_counted() -> None:
    assert spec().parameter_count == 7_850
    assert spec(hidden=[100]).parameter_count == 79_510
    assert spec(hidden=[100, 100]).parameter_count == 89_610
    assert spec(hidden=[100, 50]).layer_sizes == (784, 100, 50, 10)


def test_parts_may_be_given_as_values() -> None:
    made = RunSpec(
        data=DataSpec(**DATA),  # type: ignore[arg-type]
        optimiser=AdamW(),
        budget=Budget(steps=3),
        schedule=Constant(),
    )
    assert made == spec(optimiser={"kind": "adamw"}, budget={"steps": 3})
    assert spec(optimiser={"kind": "adam"}).optimiser == Adam()
