"""Tables as they are written."""

import math

from hypothesis import given
from hypothesis import strategies as st

from digitlab.analysis.findings import Cell, Table
from digitlab.report.cells import written


def columns(*cells: list[Cell], note: str = "") -> Table:
    names = tuple(f"c{index}" for index in range(len(cells)))
    return Table("t", names, tuple(zip(*cells, strict=True)), note)


def texts(table: Table) -> list[list[str]]:
    shown = written(table)
    return [[row[index] for row in shown.rows] for index in range(len(shown.heads))]


def test_a_column_that_is_empty_throughout_is_left_out() -> None:
    shown = written(columns([1, 2], [None, None], [math.nan, None], ["", ""], ["a", ""]))
    assert [(head.name, head.kind) for head in shown.heads] == [("c0", "number"), ("c4", "text")]
    assert shown.rows == (("1", "a"), ("2", ""))
    assert shown.note == ""


def test_a_missing_value_is_said_to_be_missing() -> None:
    shown = written(columns([0.5, None, math.inf], ["yes", None, ""], note="Seeds that broke are left out."))
    assert shown.rows == (("0.5", "yes"), ("–", "–"), ("–", ""))
    assert shown.note == "Seeds that broke are left out. –: no value."
    explained = written(columns([0.5, None], note="–: every rate broke."))
    assert explained.note == "–: every rate broke."


def test_learning_rates_are_written_one_way_within_a_table() -> None:
    assert texts(columns([0.25, 0.5, 1.0], [0.5, 1.0, 2.0])) == [["1/4", "1/2", "1"], ["1/2", "1", "2"]]
    # Nothing else says that these are rates; a rate that is no power of two makes its column decimal.
    assert texts(columns([0.5, 1.0])) == [["0.5", "1.0"]]
    assert texts(columns([0.25, 0.0436], [0.25, 0.5])) == [["0.2500", "0.0436"], ["1/4", "1/2"]]


@given(st.lists(st.tuples(*[st.one_of(st.floats(), st.integers(), st.text(), st.none())] * 3)))
def test_every_table_can_be_written(rows: list[tuple[Cell, ...]]) -> None:
    shown = written(Table("t", ("a", "b", "c"), tuple(rows)))
    assert all(len(row) == len(shown.heads) for row in shown.rows)
    assert len(shown.rows) in {0, len(rows)}
