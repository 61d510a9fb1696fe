"""Results and curves as DataFrames."""

import csv
import io
import math
import sys

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest

import digitlab as dl
from digitlab.errors import DigitlabError, RunError
from digitlab.store.export import write_csv


@pytest.fixture(scope="module")
def results() -> list[dl.RunResult]:
    short = {"budget": {"steps": 20}, "train_size": 200}
    return [
        dl.train(short, hidden=(8, 4), seed=1),
        dl.train(short, hidden=(9,), learning_rate=1e18),
        dl.train(short, optimiser="adam", validation_size=100, patience=2),
    ]


def test_a_frame_has_a_row_for_each_run_and_the_columns_of_the_csv(results: list[dl.RunResult]) -> None:
    frame = dl.frame(results)
    assert list(frame["key"]) == [result.key for result in results]
    assert list(frame["metrics.steps"]) == [result.metrics.steps for result in results]
    assert frame["spec.hidden"][0] == "[8, 4]"
    assert math.isnan(frame["metrics.test_accuracy"][1])
    assert frame.groupby("outcome")["metrics.test_loss"].count().to_dict() == {"completed": 2, "diverged": 0}
    assert np.isnan(frame["spec.patience"][0])
    file = io.StringIO()
    write_csv(file, results)
    assert list(frame.columns) == next(csv.reader(io.StringIO(file.getvalue())))
    again = pd.read_csv(io.StringIO(file.getvalue()))
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)


def test_one_result_and_an_iterator_make_frames_too(results: list[dl.RunResult]) -> None:
    assert len(dl.frame(results[0])) == 1
    assert len(dl.frame(result for result in results)) == 3
    assert list(dl.frame([]).columns) == ["key", "outcome", "provenance.finished"]


def test_a_curve_is_a_frame_with_a_row_for_each_point(results: list[dl.RunResult]) -> None:
    plain, held_out = dl.frame(results[0].curve), dl.frame(results[2].curve)
    assert list(plain.columns) == ["step", "training_loss"]
    assert list(held_out.columns) == ["step", "training_loss", "validation_loss", "validation_accuracy"]
    assert tuple(held_out["validation_loss"]) == results[2].curve.validation_loss


def test_a_run_that_failed_is_told() -> None:
    failure = dl.Failure(dl.make_spec(seed=4), "its worker was ended by SIGKILL")
    with pytest.raises(
        RunError, match="784-10, seed 4: its worker was ended by SIGKILL; leave it out, or train"
    ):
        dl.frame([failure])


def test_without_pandas_the_remedy_is_told(
    results: list[dl.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        DigitlabError, match=r"frame: pandas is missing; in digitlab's folder: pip install '\.\[pandas\]'"
    ):
        dl.frame(results)
