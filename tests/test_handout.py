"""The handout reproduced: on real MNIST, by the engine and by the exercise's own three files."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from digitlab import handout, lab
from digitlab.handout import EPOCHS, HandoutRun, Spread, compare, handout_runs, measured_spread, spread_of
from digitlab.result import RunResult

RUNS = handout_runs()
PROJECT = Path(__file__).parent.parent


def test_the_handout_has_three_runs_of_15_epochs() -> None:
    assert [(run.name, run.hidden, run.accuracy) for run in RUNS] == [
        ("linearRegression", (), 0.909),
        ("oneHiddenLayer", (100,), 0.9279),
        ("twoHiddenLayers", (100, 100), 0.9367),
    ]
    assert [len(run.training_loss) for run in RUNS] == [EPOCHS] * 3
    assert RUNS[0].training_loss[0] == 1.1461583495140075
    assert RUNS[2].training_loss[-1] == 0.23187484511484702


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_all_of_the_handouts_figures_lie_inside_the_measured_spread(run: HandoutRun) -> None:
    spreads = measured_spread(run.name)
    figures = handout.figures_of(run.training_loss, run.accuracy)
    assert len(figures) == len(spreads) == EPOCHS + 1
    assert all(abs(spreads[label].z(value)) <= 4 for label, value in figures.items())
    assert {spread.seeds for spread in spreads.values()} == {24}


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_two_epochs_of_eight_seeds_reproduce_the_handouts_losses(run: HandoutRun) -> None:
    results = [lab.train(hidden=run.hidden, epochs=2, seed=seed) for seed in range(8)]
    figures = compare(run, results)
    assert [figure.label for figure in figures] == [f"loss at epoch {epoch}" for epoch in range(2)]
    assert {figure.spread.seeds for figure in figures} == {8}
    assert all(figure.is_inside for figure in figures), figures


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_fifteen_epochs_of_one_seed_lie_inside_the_measured_spread(run: HandoutRun) -> None:
    result = lab.train(hidden=run.hidden, seed=0)
    figures = compare(run, [result])
    assert len(figures) == EPOCHS + 1
    assert all(abs(figure.spread.z(figure.ours[0])) <= 4 for figure in figures), figures


def _result(losses: list[float], accuracy: float) -> RunResult:
    """A result with this curve and accuracy; the rest is of no account here."""
    template = lab.train(steps=1, train_size=100)
    return template.model_copy(
        update={
            "curve": template.curve.model_copy(
                update={"step": tuple(range(len(losses))), "training_loss": tuple(losses)}
            ),
            "metrics": template.metrics.model_copy(update={"test_accuracy": accuracy}),
        }
    )


def test_a_spread_by_hand() -> None:
    spread = spread_of([1.0, 2.0, 3.0, 4.0])
    assert (spread.mean, spread.seeds) == (2.5, 4)
    assert spread.sd == pytest.approx(math.sqrt(5 / 3))
    assert Spread(2.0, 0.5, 9).z(1.0) == -2.0
    assert [Spread(2.0, 0.0, 9).z(value) for value in (1.0, 2.0, 3.0)] == [-math.inf, 0.0, math.inf]


def test_own_seeds_make_the_spread_from_five_on() -> None:
    run = HandoutRun("oneHiddenLayer", (100,), (1.0, 2.0), 0.9)
    results = [_result([loss, loss + 1], 0.9) for loss in (1.0, 1.1, 0.9, 1.0, 1.0)]
    first, second = compare(run, results)
    assert (first.spread, first.ours) == (spread_of([1.0, 1.1, 0.9, 1.0, 1.0]), (1.0, 1.1, 0.9, 1.0, 1.0))
    assert second.z == pytest.approx(0)
    few = compare(run, results[:4])
    assert few[0].spread == measured_spread("oneHiddenLayer")["loss at epoch 0"]
    assert not few[1].is_inside  # 2.0 is no loss after two epochs


def test_a_run_of_ones_own_is_judged_too() -> None:
    run = RUNS[1]
    good, bad = (_result([loss, *run.training_loss[1:]], 0.928) for loss in (run.training_loss[0], 2.5))
    assert all(figure.is_inside for figure in compare(run, [good]))
    assert [figure.label for figure in compare(run, [bad]) if not figure.is_inside] == ["loss at epoch 0"]


def test_the_accuracy_is_compared_after_15_epochs_only() -> None:
    shorter, longer = _result([0.5] * 14, 0.9), _result([0.5] * 16, 0.9)
    for results in ([shorter], [longer]):
        assert "test accuracy" not in [figure.label for figure in compare(RUNS[0], results)]
    assert compare(RUNS[0], [_result([0.5] * 15, 0.9)])[-1].label == "test accuracy"


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_exercises_files_print_as_the_handout_does(run: HandoutRun) -> None:
    script = PROJECT / "exercise" / f"{run.name}.py"
    assert 40 <= len(script.read_text().splitlines()) <= 60
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    *epochs, tested, blank, accuracy = done.stdout.splitlines()
    for epoch, line in enumerate(epochs):
        loss = re.fullmatch(rf"Epoch {epoch} - Training loss: (\d\.\d+)", line)
        assert loss
        assert abs(measured_spread(run.name)[f"loss at epoch {epoch}"].z(float(loss[1]))) <= 5
    assert len(epochs) == EPOCHS
    assert (tested, blank) == ("Number Of Images Tested = 10000", "")
    share = re.fullmatch(r"Model Accuracy = (0\.\d{1,4})", accuracy)
    assert share
    assert abs(measured_spread(run.name)["test accuracy"].z(float(share[1]))) <= 5
