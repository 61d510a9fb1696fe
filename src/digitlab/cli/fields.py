"""The fields of a RunSpec as options of a command; each is None where it is not said."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, cast

import typer

from digitlab.cli.choices import data_sets, one_of
from digitlab.option_types import HELP, Options

_OTHER_NAMES = {"learning_rate": ("--lr", "--learning-rate"), "parent": ("--from", "--parent")}


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for every field of a RunSpec, in place of its `**fields`."""
    own = inspect.signature(command).parameters.values()
    parameters = [
        *map(_parameter, HELP),
        *(parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _parameter(name: str) -> inspect.Parameter:
    help_, kind = HELP[name], Options.__annotations__[name]
    words = (*help_.words, "N,N,…") if help_.is_list else help_.words
    option = typer.Option(
        *_OTHER_NAMES.get(name, ()),
        metavar="FILE" if name == "parent" else "|".join(words) or None,
        autocompletion=data_sets if name == "data" else one_of(help_.words),
        help=help_.description + (' "" for none.' if help_.default == "none" else ""),
        show_default=help_.default or False,
        rich_help_panel=help_.group,
    )
    plain = kind if kind in (int, float, bool) else str
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[plain | None, option],
    )


def given_fields(fields: Mapping[str, object]) -> Options:
    """Those of the options that were said; lists are numbers now."""
    given = {name: _read(name, value) for name, value in fields.items() if value is not None}
    return cast("Options", given)


def _read(name: str, value: object) -> object:
    help_ = HELP[name]
    if not help_.is_list or not isinstance(value, str) or (help_.words and not value[:1].isdecimal()):
        return value
    return numbers(value)


def numbers(text: str) -> tuple[int | str, ...]:
    """`100,50` as numbers; what is none stays a text, for the RunSpec to refuse with all other faults."""
    return tuple(map(_number, text.split(","))) if text.strip() else ()


def _number(text: str) -> int | str:
    try:
        return int(text) if text.strip().removeprefix("-").isdecimal() else text
    except ValueError:  # thousands of digits
        return text
