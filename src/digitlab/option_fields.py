"""The fields of a RunSpec as options, each under its flat name: all of it is read from the model.

`optimiser.learning_rate` is the option `learning_rate`; a field that holds one of several parts, as does
`optimiser`, is an option that names the kind of the part.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from digitlab.spec import DataSpec, Parent, RunSpec
from digitlab.validation import parts_in

USUAL_DATA = "mnist"

_LOOKED_UP: dict[str, tuple[Any, str | None]] = {
    "data": (str | DataSpec, USUAL_DATA),
    "parent": (str | Path | Parent, None),
}
"""Parts that are named and looked up, a data set by its name and a parent by its file: type and default."""


@dataclass(frozen=True)
class OptionField:
    """A field of a RunSpec, or of one of its parts.

    path:     where it lies in a document: ("hidden",), ("optimiser", "learning_rate")
    type:     of its values as a caller gives them
    group:    the heading under which the help has it
    defaults: of each kind of part that has it, the usual kind first; elsewhere of one that has no name
    kinds:    of parts there are, whether they have it or not
    """

    name: str
    path: tuple[str, ...]
    type: Any
    group: str
    description: str
    defaults: Mapping[str, Any]
    kinds: tuple[str, ...] = ("",)

    @property
    def words(self) -> tuple[str, ...]:
        """The words that it takes."""
        return tuple(
            word
            for alternative in self._alternatives
            if get_origin(alternative) is Literal
            for word in get_args(alternative)
        )

    @property
    def is_list(self) -> bool:
        """Whether it takes a list."""
        return any(get_origin(alternative) is Sequence for alternative in self._alternatives)

    @property
    def _alternatives(self) -> tuple[Any, ...]:
        return (self.type,) if get_origin(self.type) in (None, Literal, Sequence) else get_args(self.type)

    @property
    def default(self) -> Any:
        """Where nothing else is chosen; None: it depends on other options."""
        return next(iter(self.defaults.values()))

    @property
    def default_in_words(self) -> str:
        """All of its defaults: `0.01; adam, adamw: 0.001`."""
        kinds: dict[str, list[str]] = {}
        for kind, value in self.defaults.items():
            kinds.setdefault(_written(value), []).append(kind)
        texts = [f"{', '.join(same)}: {value}" for value, same in kinds.items()]
        if self.defaults.keys() == set(self.kinds):
            texts[0] = next(iter(kinds))
        return "; ".join(texts)


def option_fields(model: type[RunSpec]) -> dict[str, OptionField]:
    """Every field of the model that is not itself a part, and of its parts, by its flat name."""
    return {option.name: option for name in model.model_fields for option in _options_of(model, name)}


def _options_of(model: type[RunSpec], name: str) -> Iterator[OptionField]:
    field = model.model_fields[name]
    group, text = cast("dict[str, str]", field.json_schema_extra)["group"], field.description or ""
    if name in _LOOKED_UP:
        given, usual = _LOOKED_UP[name]
        yield OptionField(name, (name,), given, group, text, {"": usual})
        return

    parts = parts_in(field.annotation)
    if not parts:
        yield OptionField(name, (name,), _given(field.annotation), group, text, {"": field.default})
        return
    default = field.default
    parts.sort(key=lambda part: part is not type(default))  # the usual one first
    if "kind" in type(default).model_fields:
        by_kind = {str(part.model_fields["kind"].default): part for part in parts}
        named = Literal[tuple(by_kind)]  # type: ignore[valid-type]
        yield OptionField(name, (name, "kind"), named, group, text, {"": default.kind})
    else:
        by_kind = {"": type(default)}
    for inner in dict.fromkeys(inner for part in parts for inner in part.model_fields if inner != "kind"):
        having = [(kind, part) for kind, part in by_kind.items() if inner in part.model_fields]
        defaults = {
            kind: getattr(default, inner) if part is type(default) else part.model_fields[inner].default
            for kind, part in having
        }
        inner_field = having[0][1].model_fields[inner]
        path, given = (name, inner), _given(inner_field.annotation)
        yield OptionField(inner, path, given, group, inner_field.description or "", defaults, tuple(by_kind))


def _given(annotation: Any) -> Any:
    """The type of what a caller gives for a field: any sequence for a tuple, no None."""
    if get_origin(annotation) is Annotated:
        return _given(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return Sequence[_given(get_args(annotation)[0])]  # type: ignore[misc]
    if get_origin(annotation) in (None, Literal):
        return annotation
    return reduce(or_, (_given(member) for member in get_args(annotation) if member is not type(None)))


def _written(value: object) -> str:
    """A default in words; none of what depends on other options."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if value is None:
        return ""
    return str(value) if value != () else "none"
