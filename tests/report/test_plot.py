"""The chart of a curve: Altair's, drawn without a network, and saved."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import altair as alt
import pytest

from digitlab import lab
from digitlab.report.charts.colours import SERIES
from digitlab.result import RunResult


@pytest.fixture(scope="module")
def result() -> RunResult:
    return lab.train(train_size=500, validation_size=200, epochs=4, learning_rate=0.1)


def test_a_plot_is_a_chart_of_altairs_in_the_houses_colours(result: RunResult) -> None:
    plot = result.plot()
    assert isinstance(plot, alt.VConcatChart)
    document = json.dumps(plot.to_dict())
    assert SERIES[0] in document
    assert SERIES[1] in document
    for name in ("training_loss", "validation_loss", "validation_accuracy"):
        for value in getattr(result.curve, name):
            assert json.dumps(value) in document


def test_a_notebook_is_given_a_drawing_that_fetches_nothing(result: RunResult) -> None:
    shown = result.plot()._repr_mimebundle_()
    drawing = shown["image/svg+xml"]
    ET.fromstring(drawing)  # noqa: S314  # our own
    assert "Validation accuracy" in drawing
    assert "<script" not in drawing
    assert drawing.count("http") == drawing.count("http://www.w3.org")


@pytest.mark.parametrize("suffix", ["svg", "png", "json"])
def test_a_plot_is_saved(result: RunResult, tmp_path: Path, suffix: str) -> None:
    result.plot().save(str(tmp_path / f"curve.{suffix}"))
    assert (tmp_path / f"curve.{suffix}").stat().st_size > 1_000


def test_a_curve_without_validation_and_with_a_blow_up_is_drawn() -> None:
    diverged = lab.train(train_size=500, steps=20, learning_rate=1e18, evaluate_at=[1, 2])
    assert "Loss" in diverged.plot()._repr_mimebundle_()["image/svg+xml"]
