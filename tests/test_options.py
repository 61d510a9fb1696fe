"""From options and documents to RunSpecs."""

import inspect
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import digitlab as dl
from digitlab import lab
from digitlab.errors import SpecError
from digitlab.options import Options
from digitlab.spec import SGD, AdamW, Budget, DataSpec, RunSpec, WarmupCosine


def test_without_options_it_is_the_exercise(mnist_spec: DataSpec) -> None:
    spec = lab.make_spec()
    assert spec == RunSpec(data=mnist_spec)
    assert (spec.train_size, spec.validation_size, spec.hidden, spec.batch_size) == (60_000, 0, (), 100)
    assert spec.optimiser == SGD(learning_rate=0.01)
    assert spec.budget == Budget(epochs=15)


def test_options_set_their_fields(mnist_spec: DataSpec) -> None:
    spec = lab.make_spec(
        hidden=(3, 4),
        optimiser="adamw",
        learning_rate=0.1,
        beta1=0.5,
        weight_decay=0.2,
        schedule="warmup-cosine",
        warmup_steps=5,
        steps=10,
        seed=3,
    )
    assert spec.optimiser == AdamW(learning_rate=0.1, beta1=0.5, weight_decay=0.2)
    assert spec.schedule == WarmupCosine(warmup_steps=5)
    assert spec.budget == Budget(steps=10)
    assert (spec.hidden, spec.seed, spec.data) == ((3, 4), 3, mnist_spec)


def test_options_come_before_the_base() -> None:
    document = {"hidden": [5], "optimiser": {"learning_rate": 0.5, "momentum": 0.9}, "budget": {"epochs": 3}}
    spec = lab.make_spec(document, learning_rate=0.25, steps=7)
    assert spec.optimiser == SGD(learning_rate=0.25, momentum=0.9)
    assert spec.budget == Budget(steps=7)
    assert spec.hidden == (5,)
    assert lab.make_spec(spec, seed=4).model_copy(update={"seed": 0}) == spec
    assert document["optimiser"] == {"learning_rate": 0.5, "momentum": 0.9}


def test_all_training_images_are_meant_again_when_the_validation_split_changes() -> None:
    assert lab.make_spec(lab.make_spec(), validation_size=10_000).train_size == 50_000
    assert lab.make_spec(lab.make_spec(validation_size=10_000), validation_size=0).train_size == 60_000
    assert lab.make_spec(lab.make_spec(), validation_size=10_000, train_size=300).train_size == 300


def test_a_subset_that_was_chosen_stays_chosen() -> None:
    assert lab.make_spec(lab.make_spec(train_size=1_000), validation_size=10_000).train_size == 1_000
    document = json.loads(lab.make_spec().canonical_json)
    assert lab.make_spec(document, validation_size=10_000).train_size == 50_000


def test_another_kind_begins_anew_and_the_same_kind_does_not() -> None:
    base = lab.make_spec(learning_rate=0.5, momentum=0.9, schedule="warmup-cosine", warmup_steps=5)
    assert lab.make_spec(base, optimiser="adam", schedule="constant") == lab.make_spec(optimiser="adam")
    assert lab.make_spec(base, optimiser="sgd", seed=1).optimiser == SGD(learning_rate=0.5, momentum=0.9)
    assert (
        lab.make_spec({"optimiser": {"learning_rate": 0.5}}, optimiser="sgd").optimiser.learning_rate == 0.5
    )


@pytest.mark.parametrize(
    ("base", "options", "fault"),
    [
        ({"optimiser": "adam"}, {"learning_rate": 0.1}, "optimiser: 'adam' is not a table of fields"),
        ({"optimiser": "adam"}, {"optimiser": "adam"}, "optimiser: 'adam' is not a table of fields"),
        ({"budget": 3}, {"seed": 3}, "budget: 3 is not a table of fields"),
        ("spec.toml", {}, "the base: 'spec.toml' is not a table of fields"),
        ([1, 2], {}, "the base: [1, 2] is not a table of fields"),
    ],
)
def test_a_base_that_is_not_a_table_is_refused(base: Any, options: Any, fault: str) -> None:
    with pytest.raises(SpecError) as caught:
        lab.make_spec(base, **options)
    assert str(caught.value) == fault


def test_all_faults_are_told_the_data_sets_too() -> None:
    options: Any = {"data": "minst", "seed": -1, "momentum": 2.0, "steps": 3, "epochs": 4}
    with pytest.raises(SpecError) as caught:
        lab.make_spec(**options)
    assert [fault.field for fault in caught.value.faults] == ["data", "optimiser.momentum", "budget", "seed"]
    assert str(caught.value).startswith("data: 'minst' is not the name of a data set; did you mean mnist?")
    unknown: Any = {"learning_rat": 3}
    with pytest.raises(
        SpecError, match=r"learning_rat: 3 is for an option that does not exist; did you mean learning_rate\?"
    ):
        lab.make_spec(**unknown)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.toml", 'data = "mnist"\nhidden = [7]\n[optimiser]\nkind = "adam"\n[budget]\nsteps = 4\n'),
        ("spec", 'hidden = [7]\noptimiser.kind = "adam"\nbudget.steps = 4\n'),
        ("spec.json", '{"hidden": [7], "optimiser": {"kind": "adam"}, "budget": {"steps": 4}}'),
    ],
)
def test_documents_are_read_from_toml_and_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    spec = lab.make_spec(lab.read_document(tmp_path / name))
    assert spec == lab.make_spec(hidden=(7,), optimiser="adam", steps=4)


def test_a_result_is_a_document_too(tmp_path: Path) -> None:
    result = dl.train(hidden=(3,), steps=2, train_size=100, seed=8)
    (tmp_path / "result.json").write_text(result.to_json())
    second_result = dl.train(lab.read_document(tmp_path / "result.json"))
    assert second_result.key == result.key
    assert second_result.curve == result.curve


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"hidden = [", "is not valid TOML: "),
        ("a.toml", b"seed = 1\nseed = 2", "is not valid TOML: Cannot overwrite a value"),
        ("a.toml", b"\xff\xff", "is not a text in UTF-8 or UTF-16; name a TOML or JSON file"),
        ("a.json", b"{", "is not valid JSON: "),
        ("a.json", b'{"seed": 1, "seed": 2}', "is not valid JSON: the key 'seed' stands there twice"),
        ("a.json", b"[1]", "holds no table of fields"),
        ("a.json", b"[" * 100_000, "is not valid JSON: "),
        ("a.json", b'{"seed": ' + b"9" * 5_000 + b"}", "is not valid JSON: "),
        ("a.toml", b"seed = " + b"9" * 5_000, "is not valid TOML: "),
    ],
)
def test_documents_that_cannot_be_understood_are_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError) as caught:
        lab.read_document(tmp_path / name)
    assert str(caught.value).startswith("spec: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le with mark", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", "hidden = [7]\r\n"), ("a.json", '{"hidden": [7]}\r\n')]
)
def test_documents_with_a_byte_order_mark_are_read(
    tmp_path: Path, name: str, text: str, encoding: str
) -> None:
    if encoding == "utf-16-le with mark":
        content = b"\xff\xfe" + text.encode("utf-16-le")  # as PowerShell's > writes it
    else:
        content = text.encode(encoding)
    (tmp_path / name).write_bytes(content)
    assert lab.read_document(tmp_path / name) == {"hidden": [7]}


def test_a_result_that_powershell_wrote_is_read() -> None:
    text = json.dumps({"hidden": [7], "data": lab.make_spec().data.model_dump()})
    spec = RunSpec.from_json(text)
    for content in (text.encode("utf-16"), text.encode("utf-8-sig"), f"\ufeff{text}"):
        assert RunSpec.from_json(content) == spec


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(SpecError, match=r"is not valid JSON: .* surrogates not allowed"):
        RunSpec.from_json('{"scaling": "\\ud800"}')


def test_a_deep_document_is_refused(tmp_path: Path) -> None:
    for name, text in [
        ("a.json", '{"a":' * 986 + "1" + "}" * 986),
        ("a.json", '{"hidden": ' + "[" * 986 + "]" * 986 + "}"),
        ("a.toml", f"{'a.' * 3_000}b = 1"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(SpecError, match=r"its tables and lists are more than 50 levels deep; mend"):
            lab.make_spec(lab.read_document(tmp_path / name))


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spec.toml")
    with pytest.raises(
        SpecError, match=r"is not a regular file, but a pipe or a device; name a TOML or JSON"
    ):
        lab.read_document(tmp_path / "spec.toml")


def test_documents_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"cannot be read \(No such file or directory\); name a TOML or JSON file"
    ):
        lab.read_document(tmp_path / "nothing.toml")


def test_numbers_that_no_spec_may_hold_are_refused_from_documents(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        "[optimiser]\nlearning_rate = nan\nmomentum = true\nweight_decay = 1e400\n"
    )
    with pytest.raises(SpecError) as caught:
        lab.make_spec(lab.read_document(tmp_path / "a.toml"))
    assert [fault.field for fault in caught.value.faults] == [
        "optimiser.learning_rate",
        "optimiser.momentum",
        "optimiser.weight_decay",
    ]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("lr", "learning_rate"),
        ("optimizer", "optimiser"),
        ("bs", "batch_size"),
        ("batch", "batch_size"),
        ("hidden_layers", "hidden"),
        ("layers", "hidden"),
        ("wd", "weight_decay"),
        ("n_epochs", "epochs"),
        ("momentun", "momentum"),
    ],
)
def test_an_option_s_name_elsewhere_is_answered_with_its_name_here(name: str, ours: str) -> None:
    options: Any = {name: 0.1}
    problem = f"{name}: 0.1 is for an option that does not exist; did you mean {ours}?"
    with pytest.raises(SpecError, match=re.escape(problem)):
        lab.train(**options)


@pytest.mark.parametrize("function", [lab.train, lab.make_spec])
def test_signature_and_docstring_show_every_option_with_its_default(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    assert list(parameters)[-len(Options.__annotations__) :] == list(Options.__annotations__)
    assert "options" not in parameters
    spec = lab.make_spec()
    for name in ("scaling", "hidden", "batch_size", "seed", "precision", "evaluate_at", "last_batch"):
        assert parameters[name].default == getattr(spec, name)
    assert parameters["learning_rate"].default == spec.optimiser.learning_rate
    assert parameters["epochs"].default == spec.budget.epochs
    assert parameters["data"].default == spec.data.name
    text = inspect.getdoc(function) or ""
    assert re.search(r"learning_rate +0\.01; adam, adamw: 0\.001\n", text)
    assert re.search(r"beta2 +adam, adamw: 0\.999\n +Decay rate of the second moment\.\n", text)
    assert re.search(r"steps\n +Steps, instead of epochs\.\n", text)
    # What the signature says is what happens.
    fields = {"beta1", "beta2", "epsilon", "steps", "train_size", "warmup_steps", "final_fraction"}
    shown = {name: parameters[name].default for name in Options.__annotations__ if name not in fields}
    assert lab.make_spec(**shown) == spec
