"""Random changes: of bytes, of documents, of single values."""

import copy
import json
import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Make = Callable[[Random], Any]

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 10, 255, 10_000, 60_000, 65_537, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**400,
    16**4_000, -(16**4_000), 0.0, -0.0, 0.5, 1.0, 1e-320, 1e-30, 1e19, 1e20, 1e308, math.nan, math.inf, -math.inf,
    "", "a", "adam", "sgd", "epoch", "mnist", "NaN", "Infinity", "../x", "a.b", "5", "x" * 2_000, "\x00", "\x1b[2J", "\u202e", "é",
    "\ud800", "{0}", "{problem}", "%s", "[100]", [], [1], [1, 2, 3], [[]], [1, "a", None], [0.1], [-1], [2**70], [65_536] * 5,
    list(range(300)), {}, {"kind": "adam"}, {"kind": None}, {"kind": []}, {"a": {"b": {"c": 1}}}, {"": 1}, {"label": "a"},
    {"from": 1e-300, "to": 1e19, "factor": 1.0000001}, {"from": 0.1, "to": 1}, {"values": [1]}, {"epochs": 1, "steps": 1},
)  # fmt: skip
"""Values that numbers, texts, lists and tables of a document are replaced by."""


def deep(levels: int, *, container_type: type[list[Any]] | type[dict[Any, Any]]) -> Any:
    """A list in a list, or a table in a table, and so on."""
    value: Any = 1
    for _ in range(levels):
        value = [value] if container_type is list else {"a": value}
    return value


def odd_value(rng: Random) -> Any:
    """A value that hardly any field takes."""
    if rng.random() < 0.03:
        return deep(rng.choice([3, 30, 60, 80]), container_type=dict if rng.random() < 0.5 else list)
    return copy.deepcopy(rng.choice(ODD_VALUES))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key in a document."""
    found, open_ = [], [value]
    while open_:
        container = open_.pop()
        keys: list[Any] = []
        if isinstance(container, dict):
            keys = list(container)
        elif isinstance(container, list):
            keys = list(range(len(container)))
        found += [(container, key) for key in keys]
        open_ += [container[key] for key in keys]
    return found


def changed_document(rng: Random, document: Any, names: Sequence[str]) -> Any:
    """A document with some of its values replaced, left out, moved, misspelt or added."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = _places(document)
        if not places:
            return odd_value(rng)
        container, key = rng.choice(places)
        kind = rng.randrange(6)
        if kind == 0:
            del container[key]
        elif kind == 1 and isinstance(container, dict):
            container[rng.choice([*names, "zzz", "", "5", "a.b", "\x1b[2J"])] = container.pop(key)
        elif kind == 2 and isinstance(container, dict):
            container[rng.choice(names)] = odd_value(rng)
        elif kind == 3:
            other, name = rng.choice(places)
            container[key] = copy.deepcopy(other[name])
        else:
            container[key] = odd_value(rng)
    return document


def to_json(value: Any) -> bytes:
    """A document as JSON; whole numbers of any length."""
    return json.dumps(_writable(value), ensure_ascii=True).encode()


def _writable(value: Any) -> Any:
    """The same, but numbers that Python refuses to write as some that are as long as it writes."""
    if isinstance(value, dict):
        return {name: _writable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_writable(inner) for inner in value]
    return value % 10**4_000 if isinstance(value, int) and value.bit_length() > 13_000 else value


def to_toml(document: Any) -> bytes:
    """A document as TOML: a line for each field, tables in one line."""
    if not isinstance(document, dict):
        return b"value = " + _toml(document).encode(errors="replace")
    lines = [
        f"{json.dumps(str(name))} = {_toml(value)}" for name, value in document.items() if value is not None
    ]
    return "\n".join(lines).encode(errors="replace")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return hex(value) if value.bit_length() > 64 and value > 0 else f"{value % 2**64}"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(_toml(inner) for inner in value if inner is not None)}]"
    if isinstance(value, dict):
        members = (
            f"{json.dumps(str(name))} = {_toml(inner)}" for name, inner in value.items() if inner is not None
        )
        return f"{{{', '.join(members)}}}"
    return json.dumps(value)


def changed_bytes(rng: Random, content: bytes, tokens: Sequence[bytes], head: int | None = None) -> bytes:
    """Bytes with some flipped, left out, put in, doubled or cut off, or with a token of the format put in.

    head: change only so many bytes at the beginning
    """
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        end = min(len(changed), head or len(changed))
        offset = rng.randrange(end + 1)
        length = min(rng.choice([1, 1, 2, 4, 8, 64]), end - offset)
        kind = rng.randrange(8)
        if kind in {0, 1} and offset < len(changed):
            changed[offset] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del changed[offset : offset + length]
        elif kind == 3:
            changed[offset:offset] = rng.randbytes(rng.choice([1, 2, 4, 8]))
        elif kind == 4:
            changed[offset:offset] = changed[offset : offset + length] * rng.choice([1, 2, 50])
        elif kind == 5 and rng.random() < 0.3:
            del changed[rng.randrange(len(changed) + 1) :]
        elif kind == 6:
            changed[offset : offset + length] = rng.randbytes(length)
        else:
            token = rng.choice(tokens)
            changed[offset : offset + rng.choice([0, len(token)])] = token
    return bytes(changed)


TEXT_TOKENS = (
    b"[", b"]", b"{", b"}", b'"', b"'", b"'''", b"\n", b"\r", b",", b"=", b".", b":", b"#", b"[[", b"]]", b"[axes.5]\n", b"-", b"1e999",
    b"nan", b"inf", b"NaN", b"Infinity", b"null", b"true", b"0x" + b"f" * 4_000, b"9" * 5_000, b"1979-05-27T07:32:00Z", b"07:32:00",
    b"[" * 900, b'{"a":' * 900, b"a." * 3_000, b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00", b"\x1b[2J", b"\\ud800", b"\xed\xa0\x80",
    b"\xe2\x80\xa8", b"\x80", b"seed", b"hidden", b"kind", b"label", b"scales.quick.axes.5",
)  # fmt: skip
IDX_TOKENS = (
    b"\x00\x00\x08\x03", b"\x00\x00\x08\x01", b"\x00\x00\x0d\x03", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x1c", b"\x1f\x8b\x08", b"\x1f\x8b", b"<html>", b"PK\x03\x04", b"\x00\x0f\x42\x40",
)  # fmt: skip
WEIGHT_TOKENS = (
    *TEXT_TOKENS, b"F32", b"F64", b"BF16", b"data_offsets", b"shape", b"dtype", b"__metadata__", b"digitlab_spec",
    b"\xff\xff\xff\xff\xff\xff\xff\xff", b"PK\x03\x04", b"\x80\x04",
)  # fmt: skip
SQLITE_TOKENS = (
    b"SQLite format 3\x00", b"CREATE TABLE", b"CREATE VIEW", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x0d", b"\x05", b"runs", b"\x80",
)  # fmt: skip
