"""Options -> RunSpec.

Options are flat (`hidden=(100,), learning_rate=0.1`), as command line and notebook have it, or a document,
as a file has it; both become a RunSpec, whose data set is looked up by name.
"""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from digitlab.data import registry
from digitlab.errors import Fault, SpecError
from digitlab.files import read_text
from digitlab.spec import (
    SGD,
    Adam,
    AdamW,
    Constant,
    DataSpec,
    Initialisation,
    LastBatch,
    Precision,
    RunSpec,
    Scaling,
    WarmupCosine,
)
from digitlab.validation import Part, nearest, parse_json, parse_toml


class Options(TypedDict, total=False):
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

_USUAL_DATA = "mnist"
_USUAL_KINDS = {"optimiser": "sgd", "schedule": "constant"}

_KINDS = {"optimiser": (SGD, Adam, AdamW), "schedule": (Constant, WarmupCosine)}

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
}

Base = RunSpec | Mapping[str, Any] | None

Function = TypeVar("Function", bound=Callable[..., Any])


def with_options(function: Function) -> Function:
    """A function whose signature and docstring show each of its `**options` with its default."""
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    defaults = {name: _defaults(name) for name in Options.__annotations__}
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=usual, annotation=annotation)
        for (name, annotation), (usual, _) in zip(
            Options.__annotations__.items(), defaults.values(), strict=True
        )
    ]
    function.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    longest = max(map(len, defaults))
    lines = [f"    {name:{longest}}  {text}" for name, (_, text) in defaults.items()]
    listed = "\n".join(["Options and their defaults; RunSpec says what they mean:", "", *lines])
    function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{listed}\n"
    return function


def _defaults(name: str) -> tuple[Any, str]:
    """The default of an option where nothing else is chosen, and all of its defaults in words."""
    part, inner = _PARTS.get(name, (name, ""))
    if inner == "kind":
        return _USUAL_KINDS[part], repr(_USUAL_KINDS[part])
    if part in _KINDS:
        found = {
            kind.model_fields["kind"].default: kind.model_fields[inner].default
            for kind in _KINDS[part]
            if inner in kind.model_fields
        }
        usual = next(iter(found.values()))
        others = [kind for kind, value in found.items() if value != usual]
        if _USUAL_KINDS[part] not in found or (len(found) == 1 and part == "optimiser"):
            return usual, f"{usual!r} ({', '.join(found)} only)"
        return usual, f"{usual!r}" + (f"; {', '.join(others)}: {found[others[0]]!r}" if others else "")
    if part == "budget":
        value = getattr(RunSpec.model_fields["budget"].default, inner)
        return value, repr(value) if value is not None else "instead of epochs"
    if name == "data":
        return _USUAL_DATA, repr(_USUAL_DATA)
    value = RunSpec.model_fields[name].default
    return value, repr(value) if value is not None else "all that are not held out"


@with_options
def make_spec(base: Base = None, **options: Unpack[Options]) -> RunSpec:
    """The RunSpec of a base and of options, which come before it. What neither says is the exercise's recipe.

    An option for another kind of optimiser or schedule, or for a budget, replaces all that the base says of
    it.
    A base that trains on all images there are does so too when an option changes how many those are.

    base:   a RunSpec, or a document (nested, as in a file), in which `data` may be the name of a data set
    Raises SpecError with all faults.
    """
    fields: dict[str, Any] = _mapping(base, "the base")
    if "train_size" not in options and fields.get("train_size") == _available(fields):
        fields.pop("train_size", None)
    if options.keys() & {"epochs", "steps"}:
        fields["budget"] = {}
    for name, usual in _USUAL_KINDS.items():
        if name in options and _mapping(fields.get(name), name).get("kind", usual) != options[name]:  # type: ignore[literal-required]
            fields[name] = {}
    for name, value in options.items():
        part, inner = _PARTS.get(name, (name, ""))
        fields[part] = {**_mapping(fields.get(part), part), inner: value} if inner else value
    try:
        return _with_data_set(fields)
    except SpecError as error:
        raise SpecError([_in_flat_names(fault, options) for fault in error.faults]) from None


def flat_name(field: str) -> tuple[str, str]:
    """The option of a RunSpec's field, and the place inside its value: `hidden.1` -> hidden, 1."""
    first, _, inside = field.partition(".")
    option = next((option for option, place in _PARTS.items() if ".".join(place) == field), None)
    return (option, "") if option is not None else (first, inside)


def _in_flat_names(fault: Fault, options: Mapping[str, Any]) -> Fault:
    """A fault of an option that does not exist, with the names of those that do."""
    names = Options.__annotations__
    if fault.field not in options or fault.field in names:
        return fault
    elsewhere = _NAMES_ELSEWHERE.get(fault.field.lower())
    advice = f"did you mean {elsewhere}?" if elsewhere else nearest(fault.field, list(names))
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
    data, held_out = fields.get("data", _USUAL_DATA), fields.get("validation_size", 0)
    if isinstance(data, str) and data in registry.names():
        data = registry.entry(data).data_spec.model_dump()
    if isinstance(data, Mapping) and isinstance(data.get("train_images"), int) and isinstance(held_out, int):
        return int(data["train_images"]) - held_out
    return None


def _with_data_set(fields: dict[str, Any]) -> RunSpec:
    """The RunSpec of fields whose `data` may be a name (by default mnist)."""
    faults: list[Fault] = []
    data = fields.get("data", _USUAL_DATA)
    if isinstance(data, str):
        try:
            data = registry.entry(data).data_spec
        except SpecError as error:
            faults.extend(error.faults)
            data = registry.entry(_USUAL_DATA).data_spec
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
