"""A fault's text: short, on one line, whatever the value is."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from digitlab.errors import Fault, SpecError, shown
from digitlab.spec import RunSpec


def deep(kind: type[list[Any]] | type[dict[Any, Any]], levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


class Hostile:
    def __repr__(self) -> str:
        raise KeyError("no")


class Escaping:
    def __repr__(self) -> str:
        return "\x1b[2J\nand more"


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [
        16**4_000,
        -(16**4_000),
        [16**4_000],
        deep(list, 100_000),
        deep(dict, 100_000),
        OrderedDict(a=deep(dict, 50_000)),
        LOOP,
        "x" * 10_000_000,
        b"x" * 10_000_000,
        {"x" * 10_000_000: 1},
        list(range(10_000_000)),
        {i: i for i in range(1_000_000)},
        Hostile(),
        Escaping(),
        np.zeros(10_000_000),
        "\x1b[31m\x9b31m\u202e\u2028\r\n",
        "\ud800",
        RunSpec,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_faults_text_is_short_and_harmless_whatever_it_holds(value: Any) -> None:
    text = str(Fault("field", value, "is wrong; mend it"))
    assert text.startswith("field: ")
    assert text.endswith(" is wrong; mend it")
    assert len(text) < 100
    assert text.isprintable()
    text.encode()


def test_names_and_problems_are_made_harmless_too() -> None:
    text = str(Fault("a\x1b[2J" + "b" * 10_000, 1, "is \x1b[2J" + "c" * 10_000))
    assert text.isprintable()
    assert len(text) < 3_000


def test_values_are_shown_as_python_writes_them() -> None:
    for value in (1, 2.5, "a'b", [1, (2,), {3}], {"b": None, "a": [True]}, b"x", ()):
        assert shown(value) == repr(value)
    assert shown("x" * 100) == f"'{'x' * 56}..."


def test_of_very_many_faults_the_first_are_told() -> None:
    faults = [Fault(f"hidden.{i}", "x", "is not a number") for i in range(2_000)]
    lines = str(SpecError(faults)).splitlines()
    assert (lines[0], lines[49:]) == (str(faults[0]), [str(faults[49]), "and 1,950 more faults"])
    assert len(SpecError(faults).faults) == 2_000
