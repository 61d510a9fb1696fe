"""Writes what is made of the fields of a RunSpec: `python tools/generate.py`, after a change of them.

These are the module of the options' types, for editors, type checkers and the command line, and the table of
options in docs/runspec.md.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from digitlab.files import write_whole
from digitlab.option_fields import OptionField, option_fields
from digitlab.spec import RunSpec

PROJECT = Path(__file__).parent.parent
TYPES = PROJECT / "src" / "digitlab" / "option_types.py"
PAGE = PROJECT / "docs" / "runspec.md"
BEGIN, END = "<!-- options -->\n", "<!-- end -->"

HEAD = '''"""The options of a RunSpec, their types and their help. Written by tools/generate.py from spec.py.

Imports next to nothing, so that the command line knows its options before the models are loaded.
"""

# ruff: noqa: E501
# fmt: off

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from pathlib import Path

    from digitlab.spec import DataSpec, Parent


class Help(NamedTuple):
    """What help says of an option: under which heading, its defaults, what it is, the words that it takes."""

    group: str
    default: str
    description: str
    words: tuple[str, ...] = ()
    is_list: bool = False


class Options(TypedDict, total=False):
    """The flat names of all that a RunSpec decides."""

'''


def types(fields: Mapping[str, OptionField]) -> str:
    """The text of the module `option_types`."""
    declared = [f"    {field.name}: {_type(field.type)}\n" for field in fields.values()]
    helps = [f"    {_text(field.name)}: Help({_help(field)}),\n" for field in fields.values()]
    return "".join([HEAD, *declared, "\n\nHELP = {\n", *helps, "}\n"])


def _help(field: OptionField) -> str:
    arguments = [*map(_text, (field.group, field.default_in_words, field.description))]
    if field.words:
        arguments.append(f"words=({', '.join(map(_text, field.words))},)")
    if field.is_list:
        arguments.append("is_list=True")
    return ", ".join(arguments)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _type(given: Any) -> str:
    """A type as source has it; of a name that is imported for types alone, as text."""
    if get_origin(given) is Literal:
        return f"Literal[{', '.join(map(_text, get_args(given)))}]"
    if get_origin(given) is Sequence:
        return f"Sequence[{_type(get_args(given)[0])}]"
    if members := get_args(given):
        text = " | ".join(map(_type, members))
        return f'"{text}"' if any(member.__module__ == "digitlab.spec" for member in members) else text
    return str(given.__name__)


def table(fields: Mapping[str, OptionField]) -> str:
    """The table of options, in Markdown."""
    rows = ["| in a file | option | values | default | what it is |", f"|{'---|' * 5}"]
    for field in fields.values():
        option = f"`--{field.name.replace('_', '-')}`"
        cells = (
            f"`{'.'.join(field.path)}`",
            option,
            _values(field),
            field.default_in_words,
            field.description,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "".join(f"{row}\n" for row in rows)


def _values(field: OptionField) -> str:
    others = {int: "whole number", float: "number", bool: "`true`, `false`"}
    words = [f"`{word}`" for word in field.words] + (["whole numbers"] if field.is_list else [])
    return ", ".join(words) or others.get(field.type, "file" if field.name == "parent" else "name")


def page(text: str, fields: Mapping[str, OptionField]) -> str:
    """A page with the table between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(fields)}{END}{after}"


if __name__ == "__main__":
    found = option_fields(RunSpec)
    write_whole(TYPES, types(found))
    write_whole(PAGE, page(PAGE.read_text(encoding="utf-8"), found))
