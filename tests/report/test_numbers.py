"""How numbers are written."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab.analysis.findings import Estimate
from digitlab.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1998.0, "1998"),
        (60_000.0, "60,000"),
        (-3.2, "−3.2"),
        (0.03125, "0.03125"),
        (0.98765, "0.9877"),
        (2.302585, "2.303"),
        (98.0512, "98.05"),
        (1.25e-12, "1.25e−12"),
        (math.nan, "–"),
        (-math.inf, "–"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert numbers.number(value) == text


def test_shares() -> None:
    assert numbers.percent(0.07) == "7 %"
    assert numbers.percent(0.9279) == "92.79 %"
    assert numbers.percent(math.nan) == "–"


def test_powers_of_two_are_told_from_shares() -> None:
    assert numbers.are_powers_of_two([2.0**k for k in range(-9, 4)])
    assert numbers.are_powers_of_two([8, 4096, math.nan])
    assert not numbers.are_powers_of_two([0.5, 1.0])  # shares, may be
    assert not numbers.are_powers_of_two([0.25, 0.3])
    assert not numbers.are_powers_of_two([0.0, 8])
    assert not numbers.are_powers_of_two([])


def test_columns() -> None:
    assert numbers.column([1 / 64, 1.0, 8.0, None]) == ["1/64", "1", "8", ""]
    assert numbers.column([0.909, 0.9279, 0.9367]) == ["0.9090", "0.9279", "0.9367"]
    assert numbers.column([98.05, math.nan, "collapsed", 7]) == ["98.05", "–", "collapsed", "7"]
    assert numbers.column([100.0, 250.0]) == ["100", "250"]
    assert numbers.column([]) == []
    assert numbers.column([0.0, -0.0]) == ["0", "0"]


def test_an_estimate_is_as_precise_as_its_interval() -> None:
    assert numbers.estimate(Estimate(0.62314, 0.58171, 0.66442)) == "0.623"
    assert numbers.interval(Estimate(0.62314, 0.58171, 0.66442)) == "0.582 to 0.664"
    assert numbers.estimate(Estimate(912.4, 640.2, 1318.0), "images") == "912 images"
    assert numbers.estimate(Estimate(-1.5), "s") == "−1.5 s"
    assert numbers.interval(Estimate(-1.5), "s") == "–"
    assert numbers.estimate(Estimate(math.nan), "s") == "–"
    assert numbers.interval(Estimate(1.0, 1.0, 1.0)) == "1 to 1"


def test_control_characters_are_replaced() -> None:
    assert numbers.clean("a\x1b[31mb\x00\ud800 ∞\n") == "a\ufffd[31mb\ufffd\ufffd ∞\n"


@given(st.floats())
def test_every_float_can_be_written(value: float) -> None:
    text = numbers.number(value)
    assert (
        text == "–"
        if not math.isfinite(value)
        else math.isfinite(float(text.replace("−", "-").replace(",", "")))
    )
    if 1e-4 < abs(value) < 1e9:
        assert float(text.replace("−", "-").replace(",", "")) == pytest.approx(value, rel=1e-3, abs=1e-3)


@given(st.lists(st.one_of(st.floats(), st.integers(), st.text(), st.none())))
def test_every_column_can_be_written(cells: list[float | int | str | None]) -> None:
    assert len(numbers.column(cells)) == len(cells)


@given(st.floats(), st.floats(), st.floats())
def test_every_estimate_can_be_written(value: float, low: float, high: float) -> None:
    numbers.estimate(Estimate(value, low, high), "s")
    numbers.interval(Estimate(value, low, high), "s")
