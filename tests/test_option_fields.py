"""An option is defined once, in the model: everything else that names it is made of the model, and up to date."""

import inspect
import re
import typing
from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import Discriminator, Field, Tag

from digitlab import options
from digitlab.cli import fields as command_fields
from digitlab.cli.app import app
from digitlab.option_fields import option_fields
from digitlab.option_types import HELP, Options
from digitlab.spec import (
    SGD,
    Adam,
    AdamW,
    Budget,
    Constant,
    DataSpec,
    LearningRate,
    Parent,
    RunSpec,
    WarmupCosine,
)
from digitlab.validation import Part, kind_or
from tools import generate


def leaves(document: dict[str, Any], *above: str) -> set[tuple[str, ...]]:
    """The places of all plain values in a document; a data set and a parent are named, as wholes."""
    found: set[tuple[str, ...]] = set()
    for name, value in document.items():
        is_table = isinstance(value, dict) and name not in {"data", "parent"}
        found |= leaves(value, *above, name) if is_table else {(*above, name)}
    return found


def test_every_field_of_the_model_is_an_option_everywhere(mnist_spec: DataSpec) -> None:
    places: set[tuple[str, ...]] = set()
    for optimiser in (SGD(), Adam(), AdamW()):
        for schedule in (Constant(), WarmupCosine()):
            for budget in (Budget(epochs=1), Budget(steps=1)):
                spec = RunSpec(
                    data=mnist_spec,
                    optimiser=optimiser,
                    schedule=schedule,
                    budget=budget,
                    validation_size=10_000,
                    # Left out where they are as ever.
                    validation="writers",
                    parent=Parent(key="0" * 64, sha256="1" * 64),
                    patience=3,
                )
                places |= leaves(spec.model_dump())
    assert {option.path for option in options.FIELDS.values()} == places
    assert len(options.FIELDS) == len(places)  # no two fields share a flat name
    names = list(options.FIELDS)
    assert list(Options.__annotations__) == list(HELP) == names
    parameters = typer.main.get_command(app).commands["train"].params  # type: ignore[attr-defined]
    assert names == [parameter.name for parameter in parameters][: len(names)]
    assert [parameter.default for parameter in parameters][: len(names)] == [None] * len(names)  # not said
    table = generate.PAGE.read_text().split(generate.BEGIN)[1].split(generate.END)[0]
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \| `--([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert rows == [
        (".".join(option.path), option.name.replace("_", "-")) for option in options.FIELDS.values()
    ]


def test_every_option_says_what_it_is_and_the_same_for_every_kind() -> None:
    descriptions: dict[str, set[str | None]] = {}
    for part in (RunSpec, SGD, Adam, AdamW, WarmupCosine, Budget):
        for name, field in part.model_fields.items():
            if name != "kind":
                descriptions.setdefault(name, set()).add(field.description)
    assert [name for name, texts in descriptions.items() if len(texts) != 1 or None in texts] == []
    assert {option.description for option in HELP.values()} <= {
        text for texts in descriptions.values() for text in texts
    }


def test_what_is_generated_is_up_to_date() -> None:
    remedy = "write it anew: make generate"
    assert generate.TYPES.read_text() == generate.types(options.FIELDS), remedy
    page = generate.PAGE.read_text()
    assert page == generate.page(page, options.FIELDS), remedy


def test_defaults_are_told_by_kind() -> None:
    defaults = {name: option.default_in_words for name, option in options.FIELDS.items()}
    assert (defaults["hidden"], defaults["train_size"], defaults["momentum"]) == ("none", "", "sgd: 0")
    assert (defaults["learning_rate"], defaults["beta2"]) == (
        "0.01; adam, adamw: 0.001",
        "adam, adamw: 0.999",
    )
    assert options.FIELDS["evaluate_at"].words == ("epoch",)
    assert options.FIELDS["evaluate_at"].is_list


class RMSprop(Part):
    """A kind of optimiser that is added."""

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: LearningRate = 0.002
    alpha: Annotated[float, Field(ge=0, lt=1, description="Smoothing of squares.")] = 0.99


class Extended(RunSpec):
    """A RunSpec with a new field, and with a new kind of optimiser."""

    LEFT_OUT_AT_DEFAULT = RunSpec.LEFT_OUT_AT_DEFAULT | {"dropout"}

    optimiser: Annotated[
        Annotated[SGD, Tag("sgd")] | Annotated[RMSprop, Tag("rmsprop")],
        Discriminator(kind_or("sgd")),
        Field(description="How gradients become steps.", json_schema_extra={"group": "Optimiser"}),
    ] = SGD()  # type: ignore[assignment]
    dropout: Annotated[
        float,
        Field(ge=0, lt=1, description="Share of units left out.", json_schema_extra={"group": "Network"}),
    ] = 0.0


def test_a_new_field_needs_an_edit_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made of a model with new fields knows them: Python, the types, the command, the table."""
    fields = option_fields(Extended)
    monkeypatch.setattr(options, "RunSpec", Extended)
    monkeypatch.setattr(options, "FIELDS", fields)
    chosen_options: Any = {"optimiser": "rmsprop", "alpha": 0.5, "dropout": 0.25}
    spec: Any = options.make_spec(**chosen_options)
    assert (spec.optimiser, spec.dropout) == (RMSprop(alpha=0.5), 0.25)

    @options.with_options
    def train(**options: Any) -> None:
        """Train."""

    assert inspect.signature(train).parameters["dropout"].default == 0.0
    assert "dropout          0\n        Share of units left out." in (train.__doc__ or "")

    module: dict[str, Any] = {"__name__": "generated"}
    exec(generate.types(fields), module)  # noqa: S102  # it is what the generator writes
    assert typing.get_args(module["Options"].__annotations__["optimiser"]) == ("sgd", "rmsprop")
    assert module["Options"].__annotations__["alpha"] is float
    monkeypatch.setattr(command_fields, "HELP", module["HELP"])
    monkeypatch.setattr(command_fields, "Options", module["Options"])

    @command_fields.with_fields
    def command(**fields: object) -> None:
        """Train."""

    application = typer.Typer()
    application.command()(command)
    shown = {parameter.name: parameter for parameter in typer.main.get_command(application).params}
    assert (shown["alpha"].opts, shown["optimiser"].metavar) == (["--alpha"], "sgd|rmsprop")
    assert getattr(shown["dropout"], "help", "") == "Share of units left out."
    assert (
        "| `optimiser.alpha` | `--alpha` | number | rmsprop: 0.99 | Smoothing of squares. |\n"
        in generate.table(fields)
    )
