"""Wishes -> RunSpec.

A wish is flat (`hidden=(100,), learning_rate=0.1`), as command line and notebook have it, or a document,
as a file has it; both become a RunSpec, whose data set is looked up by name.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from digitlab.datasets import library
from digitlab.errors import Fault, SpecError
from digitlab.files import read_text
from digitlab.spec import DataSpec, Initialisation, LastBatch, Precision, RunSpec, Scaling
from digitlab.validation import Part, nearest, parse_json, parse_toml


class Wishes(TypedDict, total=False):
    """The flat names of all that a RunSpec decides; see RunSpec and its parts for what they mean."""

    data: str | DataSpec
    scaling: Scaling
    validation_size: int
    train_size: int
    hidden: Sequence[int]
    initialisation: Initialisation
    optimiser: str
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    schedule: str
    warmup_steps: int
    final_fraction: float
    batch_size: int
    last_batch: LastBatch
    epochs: int
    steps: int
    evaluate_at: str | Sequence[int]
    seed: int
    precision: Precision


# Where the flat names that are not RunSpec's own fields belong.
_PARTS = {
    "optimiser": ("optimiser", "kind"),
    "learning_rate": ("optimiser", "learning_rate"),
    "momentum": ("optimiser", "momentum"),
    "nesterov": ("optimiser", "nesterov"),
    "weight_decay": ("optimiser", "weight_decay"),
    "beta1": ("optimiser", "beta1"),
    "beta2": ("optimiser", "beta2"),
    "epsilon": ("optimiser", "epsilon"),
    "schedule": ("schedule", "kind"),
    "warmup_steps": ("schedule", "warmup_steps"),
    "final_fraction": ("schedule", "final_fraction"),
    "epochs": ("budget", "epochs"),
    "steps": ("budget", "steps"),
}

_USUAL_KINDS = {"optimiser": "sgd", "schedule": "constant"}

Base = RunSpec | Mapping[str, Any] | None


def make_spec(base: Base = None, **wishes: Unpack[Wishes]) -> RunSpec:
    """The RunSpec of a base and of wishes, which come before it. What neither says is the exercise's recipe.

    A wish for another kind of optimiser or schedule, or for a budget, replaces all that the base says of it.
    A base that trains on all images there are does so too when a wish changes how many those are.

    base:   a RunSpec, or a document (nested, as in a file), in which `data` may be the name of a data set
    Raises SpecError with all faults.
    """
    fields: dict[str, Any] = _mapping(base, "the base")
    if "train_size" not in wishes and fields.get("train_size") == _available(fields):
        fields.pop("train_size", None)
    if wishes.keys() & {"epochs", "steps"}:
        fields["budget"] = {}
    for name, usual in _USUAL_KINDS.items():
        if name in wishes and _mapping(fields.get(name), name).get("kind", usual) != wishes[name]:  # type: ignore[literal-required]
            fields[name] = {}
    for name, value in wishes.items():
        part, inner = _PARTS.get(name, (name, ""))
        fields[part] = {**_mapping(fields.get(part), part), inner: value} if inner else value
    try:
        return _with_data_set(fields)
    except SpecError as error:
        raise SpecError([_in_flat_names(fault, wishes) for fault in error.faults]) from None


def flat_name(field: str) -> tuple[str, str]:
    """The wish that a RunSpec's field belongs to, and the place inside its value: `hidden.1` -> hidden, 1."""
    first, _, inside = field.partition(".")
    wish = next((wish for wish, place in _PARTS.items() if ".".join(place) == field), None)
    return (wish, "") if wish is not None else (first, inside)


def _in_flat_names(fault: Fault, wishes: Mapping[str, Any]) -> Fault:
    """A fault of a wish that nobody can grant, with the names of those that can be granted."""
    if fault.field not in wishes or fault.field in Wishes.__annotations__:
        return fault
    advice = nearest(fault.field, list(Wishes.__annotations__))
    return Fault(fault.field, fault.value, f"is for no wish; {advice}")


def _mapping(value: object, name: str) -> dict[str, Any]:
    if isinstance(value, Part):
        return value.model_dump()
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    raise SpecError([Fault(name, value, "is not a table of fields")])


def _available(fields: Mapping[str, Any]) -> int | None:
    """How many images there are to train on, as far as the fields tell."""
    data, held_out = fields.get("data", "mnist"), fields.get("validation_size", 0)
    if isinstance(data, str) and data in library.names():
        data = library.entry(data).data_spec.model_dump()
    if isinstance(data, Mapping) and isinstance(data.get("train_images"), int) and isinstance(held_out, int):
        return int(data["train_images"]) - held_out
    return None


def _with_data_set(fields: dict[str, Any]) -> RunSpec:
    """The RunSpec of fields whose `data` may be a name (by default mnist)."""
    faults: list[Fault] = []
    data = fields.get("data", "mnist")
    if isinstance(data, str):
        try:
            data = library.entry(data).data_spec
        except SpecError as error:
            faults.extend(error.faults)
            data = library.entry("mnist").data_spec
    try:
        spec = RunSpec.model_validate({**fields, "data": data})
    except SpecError as error:
        faults.extend(error.faults)
    if faults:
        raise SpecError(faults)
    return spec


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The document in a TOML or JSON file: a RunSpec's fields, or a RunResult's JSON, whose spec is taken.

    Raises SpecError when the file cannot be read or is no such document.
    """

    def refuse(problem: str) -> SpecError:
        return SpecError([Fault("spec", str(path), problem)])

    text = read_text(path, "spec", "name a TOML or JSON file")
    try:
        document = parse_json(text) if Path(path).suffix.lower() == ".json" else parse_toml(text)
    except SpecError as error:
        raise refuse(f"{error.faults[0].problem}; mend the file") from None
    if not isinstance(document, dict):
        raise refuse("holds no table of fields; see the page on RunSpec files")
    return (
        document["spec"]
        if {"key", "spec"} <= document.keys() and isinstance(document["spec"], dict)
        else document
    )
