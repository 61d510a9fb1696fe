"""Options -> RunSpec.

Options are flat (`hidden=(100,), learning_rate=0.1`), as command line and notebook have it, or a document,
as a file has it; both become a RunSpec, whose data set is looked up by name.
"""

import inspect
import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, Unpack

from digitlab.data import registry
from digitlab.errors import Fault, SpecError
from digitlab.files import read_text
from digitlab.models import parents
from digitlab.models.trained import TrainedNetwork
from digitlab.option_fields import USUAL_DATA, option_fields
from digitlab.option_types import Options as Options  # for those who use both
from digitlab.spec import RunSpec
from digitlab.validation import Part, nearest, parse_json, parse_toml

FIELDS = option_fields(RunSpec)
_USUAL_KINDS = {name: option.default for name, option in FIELDS.items() if option.path[1:] == ("kind",)}

# What other libraries call these options.
_NAMES_ELSEWHERE = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "optimizer": "optimiser",
    "scheduler": "schedule",
    "wd": "weight_decay",
    "eps": "epsilon",
    "betas": "beta1",
    "bs": "batch_size",
    "batch": "batch_size",
    "drop_last": "last_batch",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "max_steps": "steps",
    "layers": "hidden",
    "hidden_layers": "hidden",
    "hidden_sizes": "hidden",
    "hidden_layer_sizes": "hidden",
    "init": "initialisation",
    "initialization": "initialisation",
    "dtype": "precision",
    "dataset": "data",
    "normalization": "scaling",
    "random_state": "seed",
    "rng": "seed",
    "checkpoint": "parent",
    "resume": "parent",
    "from_": "parent",
    "early_stopping": "patience",
    "n_iter_no_change": "patience",
}

Base = RunSpec | Mapping[str, Any] | None

Function = TypeVar("Function", bound=Callable[..., Any])


def with_options(function: Function) -> Function:
    """A function whose signature and docstring show each of its `**options` with its default."""
    signature = inspect.signature(function)
    own = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    options = [
        inspect.Parameter(
            option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type
        )
        for option in FIELDS.values()
    ]
    function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    longest = max(map(len, FIELDS))
    lines = ["Options, their defaults, and what they are:", ""]
    for option in FIELDS.values():
        lines.append(f"    {option.name:{longest}}  {option.default_in_words}".rstrip())
        lines += textwrap.wrap(option.description, 88, initial_indent=" " * 8, subsequent_indent=" " * 8)
    listed = "\n".join(lines)
    function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{listed}\n"
    return function


@with_options
def make_spec(base: Base = None, **options: Unpack[Options]) -> RunSpec:
    """The RunSpec of a base and of options, which come before it. What neither says is the exercise's recipe.

    An option for another kind of optimiser or schedule, or for a budget, replaces all that the base says of
    it.
    A base that trains on all images there are does so too when an option changes how many those are.

    A parent that is named by its file hands on all that is said nowhere else, and must fit.

    base:   a RunSpec, or a document (nested, as in a file), in which `data` may be the name of a data set,
            and `parent` the file of a trained network
    Raises SpecError with all faults, WeightsError when the parent's file is none.
    """
    fields: dict[str, Any] = _mapping(base, "the base")
    named = options.get("parent", fields.get("parent"))
    parent: TrainedNetwork | None = None
    if isinstance(named, str | os.PathLike):
        parent, found = parents.adopted(named)
        fields = {**_handed_on(parent.spec), **fields, "parent": found}
        options.pop("parent", None)
    if "train_size" not in options and fields.get("train_size") == _available(fields):
        fields.pop("train_size", None)
    if options.keys() & {"epochs", "steps"}:
        fields["budget"] = {}
    for name, default_kind in _USUAL_KINDS.items():
        if name in options and _mapping(fields.get(name), name).get("kind", default_kind) != options[name]:  # type: ignore[literal-required]
            fields[name] = {}
    for name, value in options.items():
        part, *inner = FIELDS[name].path if name in FIELDS else (name,)
        fields[part] = {**_mapping(fields.get(part), part), inner[0]: value} if inner else value
    try:
        spec = _with_data_set(fields)
    except SpecError as error:
        raise SpecError([_in_flat_names(fault, options) for fault in error.faults]) from None
    if parent is not None:
        if faults := parents.misfits(spec, parent):
            raise SpecError(faults)
        parents.tell_of_seen_images(spec, parent.spec)
    return spec


def _handed_on(parent: RunSpec) -> dict[str, Any]:
    """What a run that goes on from this one has where nothing else is said.

    That is all but how it started, and the list of steps at which it was evaluated.
    """
    fields = parent.model_dump(exclude={"parent", "initialisation", "evaluate_at"})
    if fields["train_size"] == _available(fields):
        del fields["train_size"]
    return fields


def flat_name(field: str) -> tuple[str, str]:
    """The option of a RunSpec's field, and the path inside its value: `hidden.1` -> hidden, 1."""
    first, _, inside = field.partition(".")
    option = next((option.name for option in FIELDS.values() if ".".join(option.path) == field), None)
    return (option, "") if option is not None else (first, inside)


def _in_flat_names(fault: Fault, options: Mapping[str, Any]) -> Fault:
    """A fault of an option that does not exist, with the names of those that do."""
    if fault.field not in options or fault.field in FIELDS:
        return fault
    elsewhere = _NAMES_ELSEWHERE.get(fault.field.lower())
    advice = f"did you mean {elsewhere}?" if elsewhere else nearest(fault.field, list(FIELDS))
    return Fault(fault.field, fault.value, f"is for an option that does not exist; {advice}")


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
    data, held_out = fields.get("data", USUAL_DATA), fields.get("validation_size", 0)
    if isinstance(data, str) and data in registry.names():
        data = registry.entry(data).data_spec.model_dump()
    if isinstance(data, Mapping) and isinstance(data.get("train_images"), int) and isinstance(held_out, int):
        return int(data["train_images"]) - held_out
    return None


def _with_data_set(fields: dict[str, Any]) -> RunSpec:
    """The RunSpec of fields whose `data` may be a name (by default mnist)."""
    faults: list[Fault] = []
    data = fields.get("data", USUAL_DATA)
    if isinstance(data, str):
        try:
            data = registry.entry(data).data_spec
        except SpecError as error:
            faults.extend(error.faults)
            data = registry.entry(USUAL_DATA).data_spec
    try:
        spec = RunSpec.model_validate({**fields, "data": data})
    except SpecError as error:
        faults.extend(error.faults)
    if faults:
        raise SpecError(faults)
    return spec


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The document in a TOML or JSON file: a RunSpec's fields, or a RunResult's JSON, whose spec is taken.

    Raises SpecError when the file cannot be read or is not such a document.
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
