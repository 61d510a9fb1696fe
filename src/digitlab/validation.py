"""Strict values for specifications: plain numbers only, and every fault told with its remedy.

Pydantic finds the faults, all of them in one pass; this module decides what counts as a number and puts
each fault into the words of the person who has to mend it.
"""

import difflib
import json
import numbers
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, NoReturn, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from digitlab.errors import Fault, SpecError, shown
from digitlab.files import decoded

_MOST_LEVELS = 50
"""Tables in tables: no document of ours has ten, and what walks through one may walk recursively."""


class Part(BaseModel):
    """A frozen value whose fields are strictly checked."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    LEFT_OUT_AT_DEFAULT: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not written while they have their default: those that did not exist at first, so that
    keys from before them live on, and those of which a part has only some."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        for name, default in _left_out(type(self)):
            if getattr(self, name) == default:
                fields.pop(name, None)
        return fields


@cache
def _left_out(part: type[Part]) -> tuple[tuple[str, Any], ...]:
    """The fields that a part does not write at their defaults, and these: keys are made by the thousand."""
    return tuple((name, part.model_fields[name].default) for name in part.LEFT_OUT_AT_DEFAULT)


class Document(Part):
    """A Part that stands for itself: making one with faults raises SpecError, which tells them all."""

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The value that a JSON text describes.

        Raises SpecError, with all faults, when it describes none.
        """
        return cls.model_validate(parse_json(text))

    @model_validator(mode="wrap")
    @classmethod
    def _tell_all_faults(cls, value: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            raise SpecError(_faults(error, cls)) from None


def _plain(value: object) -> object:
    """NumPy's integers and floats as Python's own, -0.0 as 0.0; all else as it came."""
    if type(value) is float:  # what most are; the others take far longer to tell apart
        return value + 0.0
    if type(value) is int or isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
        return float(value) + 0.0
    return value


PlainInt = Annotated[int, BeforeValidator(_plain)]
PlainFloat = Annotated[float, BeforeValidator(_plain)]

# The bound keeps products of two of them within float32, in which torch takes them.
Positive = Annotated[PlainFloat, Field(gt=0, le=1e19)]
NonNegative = Annotated[PlainFloat, Field(ge=0, le=1e19)]
Fraction = Annotated[PlainFloat, Field(ge=0, lt=1)]


def parse_json(text: str | bytes) -> Any:
    """The value in a JSON text in which no object has a key twice; a byte-order mark may stand before it.

    Raises SpecError when the text is not such JSON.
    """
    try:
        text = decoded(text) if isinstance(text, bytes) else text.removeprefix("\ufeff")
        found = json.loads(text, object_pairs_hook=_object)
        if text.count("[") + text.count("{") > _MOST_LEVELS:  # of a run's result there are too few for that
            _not_too_deep(found)
        if "\\u" in text:  # an escape may be half a surrogate pair, with which no text can be written
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise SpecError([Fault("the text", text, f"is not valid JSON: {_reason(error)}")]) from None
    return found


def parse_toml(text: str) -> dict[str, Any]:
    """The table in a TOML text; a byte-order mark may stand before it.

    Raises SpecError when the text is not TOML.
    """
    try:
        found: dict[str, Any] = _not_too_deep(tomllib.loads(text.removeprefix("\ufeff")))
    except (ValueError, RecursionError) as error:
        raise SpecError([Fault("the text", text, f"is not valid TOML: {_reason(error)}")]) from None
    return found


def _not_too_deep(value: Any) -> Any:
    level = [value]
    for _ in range(_MOST_LEVELS):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise RecursionError


def _reason(error: ValueError | RecursionError) -> str:
    too_deep = isinstance(error, RecursionError)
    return f"its tables and lists are more than {_MOST_LEVELS} levels deep" if too_deep else str(error)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, member in pairs:
        if name in value:
            raise ValueError(f"the key {shown(name)} stands there twice")
        value[name] = member
    return value


def kind_or(usual: str) -> Callable[[object], str]:
    """What tells a tagged union's parts apart: their `kind`, or the usual one where a table leaves it out."""

    def kind(value: object) -> str:
        found = value.get("kind", usual) if isinstance(value, Mapping) else getattr(value, "kind", usual)
        return found if isinstance(found, str) else shown(found)

    return kind


def refuse(problem: str) -> NoReturn:
    """Report a fault from inside a validator; `problem` completes the sentence that the value begins."""
    # Pydantic fills {placeholders} from the context, so the sentence travels there and may hold braces.
    raise PydanticCustomError("digitlab", "{problem}", {"problem": problem})


def refuse_inside(faults: Iterable[tuple[tuple[int | str, ...], object, str]]) -> None:
    """Report faults of what lies inside the value that a validator looks at; of none, do nothing.

    faults: for each, the path inside the value, what is there, and the problem
    """
    details = [
        InitErrorDetails(
            type=PydanticCustomError("digitlab", "{problem}", {"problem": problem}), loc=path, input=value
        )
        for path, value, problem in faults
    ]
    if details:
        raise ValidationError.from_exception_data("faults", details)


def in_form(pattern: str, words: str) -> AfterValidator:
    """A check of a text's form, which is told in words: "up to 64 of a-z, 0-9 and -"."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            refuse(f"does not have its form; use {words}")
        return text

    return AfterValidator(check)


def nearest(name: object, names: Sequence[str], instead: str = "") -> str:
    """The advice for a name that is not known: the nearest one that is; where none is near, `instead`."""
    similar = difflib.get_close_matches(str(name)[:100], names, n=1)
    return f"did you mean {similar[0]}?" if similar else instead or f"there are {', '.join(names)}"


_PROBLEMS = {
    "int_type": "is not a whole number; give one such as 100",
    "int_from_float": "is not a whole number; give one such as 100",
    "int_parsing_size": "is out of range; give a smaller number",
    "float_type": "is not a number; give one such as 0.01",
    "finite_number": "is not a finite number; give one such as 0.01",
    "bool_type": "is not a truth value; give true or false",
    "greater_than": "is too small; it must be more than {gt}",
    "greater_than_equal": "is too small; it must be at least {ge}",
    "less_than": "is too large; it must be less than {lt}",
    "less_than_equal": "is too large; it must be at most {le}",
    "literal_error": "is not known; use {expected}",
    "union_tag_invalid": "is not known; use one of {expected_tags}",
    "string_type": "is not a text; give one in quotation marks",
    "string_too_short": "is too short; give at least {min_length} characters",
    "string_too_long": "is too long; give at most {max_length} characters",
    "string_unicode": "is not a text; it has half a surrogate pair",
    "tuple_type": "is not a list; give one such as {example}",
    "dict_type": "is not a table of fields",
    "too_long": "has too many entries; at most {max_length} are possible",
    "too_short": "has too few entries; at least {min_length} are needed",
    "model_type": "is not a table of fields",
    "model_attributes_type": "is not a table of fields",
    "missing": "lacks this field; give it",
    "digitlab": "{problem}",
}


def parts_in(annotation: Any) -> list[type[Part]]:
    """The parts that a field of this annotation may hold; none: its values are plain."""
    found = [
        getattr(choice, "__origin__", choice) for choice in getattr(annotation, "__args__", (annotation,))
    ]
    return [choice for choice in found if isinstance(choice, type) and issubclass(choice, Part)]


def _tagged_fields(model: type[Part]) -> frozenset[str]:
    """Fields that hold one of several parts: pydantic puts the part's tag into the path of their faults."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if field.discriminator is not None or any(isinstance(m, Discriminator) for m in field.metadata)
    )


def _field_names(model: type[Part], path: tuple[int | str, ...]) -> list[str]:
    """Names of the fields at a path in the model, as a document writes them."""
    return sorted(
        {field.alias or name for part in _parts_at(model, path) for name, field in part.model_fields.items()}
    )


def _parts_at(model: type[Part], path: tuple[int | str, ...]) -> list[type[Part]]:
    """The parts that may stand at a path in the model: (), ("budget",) or ("optimiser", "sgd")."""
    parts: list[Any] = [model]
    for step in path:
        if isinstance(step, int):  # one of several, all of one kind
            continue
        tagged = [
            part
            for part in parts
            if "kind" in part.model_fields and part.model_fields["kind"].default == step
        ]
        parts = tagged or [
            choice
            for part in parts
            if step in part.model_fields
            for choice in parts_in(part.model_fields[str(step)].annotation)
        ]
    return parts


def _unknown_field(model: type[Part], path: tuple[int | str, ...]) -> str:
    *above, name = path
    kinds = [
        str(part.model_fields["kind"].default)
        for part in parts_in(model.model_fields[str(above[0])].annotation if above else None)
        if "kind" in part.model_fields and name in part.model_fields
    ]
    if kinds:
        return f"is for another kind of {above[0]}; choose {' or '.join(kinds)}, or leave it out"
    names = _field_names(model, tuple(above))
    advice = nearest(name, names, f"leave it out; there are {', '.join(names)}")
    return f"is for a field that does not exist here; {advice}"


# In a schema, and where pydantic leaves a constraint as it is.
_LOWEST = ("minimum", "exclusiveMinimum", "ge", "gt")
_HIGHEST = ("maximum", "exclusiveMaximum", "le", "lt")


def bounds_of(model: type[Part], path: tuple[str, ...]) -> tuple[float | None, float | None]:
    """The least and the largest number that a field takes, or that stands in its list; None: there is none.

    path: of the field, through the parts that hold it
    """
    *above, name = path
    parts: list[type[Part]] = [model]
    for step in above:
        parts = [inner for part in parts if step in part.model_fields for inner in parts_in_field(part, step)]
    for part in parts:
        if name in part.model_fields:
            schema = part.model_json_schema()["properties"].get(name, {})
            places = [schema, *schema.get("anyOf", ()), schema.get("items", {})]
            low = [place[key] for place in places for key in _LOWEST if key in place]
            high = [place[key] for place in places for key in _HIGHEST if key in place]
            return next(iter(low), None), next(iter(high), None)
    return None, None


def parts_in_field(part: type[Part], name: str) -> list[type[Part]]:
    """The parts that a field of a part may hold."""
    return parts_in(part.model_fields[name].annotation)


def _example(model: type[Part], path: tuple[int | str, ...]) -> str:
    """What a list at this path may look like: the field's own example, if it has one."""
    *above, name = path
    for part in _parts_at(model, tuple(above)):
        if name in part.model_fields and (examples := part.model_fields[str(name)].examples):
            return str(examples[0])
    return "[1, 2]"


def _fault(detail: ErrorDetails, model: type[Part], tagged: frozenset[str]) -> Fault:
    location = detail["loc"]
    path = [part for i, part in enumerate(location) if not (i == 1 and location[0] in tagged)]
    value: object = detail["input"]
    if detail["type"] == "union_tag_invalid":
        path.append("kind")
        value = detail["ctx"]["tag"]
    if detail["type"] == "extra_forbidden":
        problem = _unknown_field(model, location)
    else:
        # A type of fault that pydantic adds one day is still told, in pydantic's words.
        template = _PROBLEMS.get(detail["type"], detail["msg"].replace("{", "{{").replace("}", "}}"))
        example = _example(model, location) if detail["type"] == "tuple_type" and location else "[1, 2]"
        problem = template.format(**{"example": example, **detail.get("ctx", {})})
    return Fault(".".join(map(str, path)) or "the document", value, problem)


def fault_of(field: str, detail: Mapping[str, Any]) -> Fault:
    """A fault that pydantic found in a document which is none of ours, such as a request, in our words."""
    kind, context = str(detail["type"]), dict(detail.get("ctx") or {})
    template = _PROBLEMS_ELSEWHERE.get(kind) or _PROBLEMS.get(kind)
    if template is None:
        return Fault(field, detail.get("input"), f"is not what it should be: {detail['msg']}")
    return Fault(field, detail.get("input"), template.format(**{"example": "[1, 2]", **context}))


_PROBLEMS_ELSEWHERE = {
    "extra_forbidden": "is for a field that does not exist here; leave it out",
    "missing": "lacks this field; give it",
    "list_type": "is not a list; give one such as [1, 2]",
    "string_pattern_mismatch": "does not have its form; use what matches {pattern}",
    "int_parsing": "is not a whole number; give one such as 100",
    "float_parsing": "is not a number; give one such as 0.01",
}


def _faults(error: ValidationError, model: type[Part]) -> list[Fault]:
    """Every fault that pydantic found while it checked a `model`, as sentences of our own."""
    tagged = _tagged_fields(model)
    return [_fault(detail, model, tagged) for detail in error.errors(include_url=False)]
