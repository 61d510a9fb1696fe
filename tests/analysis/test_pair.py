"""Two runs side by side: counted by hand on real predictions, and what may be said of them."""

from typing import Any

import numpy as np
import pytest

from digitlab import lab
from digitlab.analysis.curves import overlaid, pictures_of, thinned
from digitlab.analysis.pair import RunPair, pair_of
from digitlab.comparing import compared
from digitlab.data import Dataset
from digitlab.errors import SpecError
from digitlab.result import RunResult

SHORT: dict[str, Any] = {"train_size": 2_000, "validation_size": 500, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def linear() -> RunResult:
    return lab.train(**SHORT, epochs=3)


@pytest.fixture(scope="module")
def hidden() -> RunResult:
    return lab.train(**SHORT, epochs=3, hidden=(30,))


def tables(pair: RunPair) -> dict[str, dict[Any, tuple[Any, ...]]]:
    return {table.title: {row[0]: row[1:] for row in table.rows} for table in (*pair.tables, pair.curves)}


def test_images_are_those_that_one_network_alone_gets_right(
    linear: RunResult, hidden: RunResult, mnist: Dataset
) -> None:
    pair = compared(linear, hidden)
    by_hand = np.zeros((2, 2), int)
    for label, a, b in zip(
        mnist.test.labels, linear.predictions or b"", hidden.predictions or b"", strict=True
    ):
        by_hand[int(a != label), int(b != label)] += 1
    assert pair.images is not None
    found = pair.images
    assert [[found.both, found.only_a], [found.only_b, found.neither]] == by_hand.tolist()
    assert tables(pair)["Test images"] == {"A right": tuple(by_hand[0]), "A wrong": tuple(by_hand[1])}
    difference = hidden.metrics.test_accuracy - linear.metrics.test_accuracy
    assert found.difference.value == pytest.approx(difference)
    assert (
        f"On {by_hand[0, 1] + by_hand[1, 0]:,} of 10,000 test images exactly one of them is right"
        in pair.verdict[1]
    )


def test_settings_figures_and_curves_stand_side_by_side(linear: RunResult, hidden: RunResult) -> None:
    found = tables(compared(linear, hidden))
    assert found["Settings that differ"] == {"hidden": ("none", "30")}
    figures = found["How they ended"]
    assert figures["network"] == ("784-10", "784-30-10")
    assert figures["test accuracy"] == tuple(f"{run.metrics.test_accuracy:.4f}" for run in (linear, hidden))
    assert "network of step" not in figures
    assert list(found["Curves"]) == [20, 40, 60]
    assert found["Curves"][40] == (
        *(run.curve.training_loss[1] for run in (linear, hidden)),
        *(run.curve.validation_loss[1] for run in (linear, hidden)),
        *(run.curve.validation_accuracy[1] for run in (linear, hidden)),
    )


def test_runs_of_other_batches_are_compared_by_epochs(linear: RunResult) -> None:
    other = lab.train(**SHORT, epochs=2, batch_size=50, patience=9)
    pair = compared(linear, other)
    assert pair.curves.columns[0] == "epochs"
    assert list(tables(pair)["Curves"]) == [1.0, 2.0, 3.0]
    assert tables(pair)["Curves"][3.0][1] is None
    assert tables(pair)["Settings that differ"]["patience"] == ("0", "9")
    assert tables(pair)["How they ended"]["network of step"] == ("60", f"{other.metrics.kept_step}")
    assert pair.pictures[0].x.title == "epochs"
    assert [len(line.points) for line in pair.pictures[0].lines] == [3, 2]


def test_the_verdict_says_no_more_than_the_images_do(linear: RunResult, hidden: RunResult) -> None:
    better = "B" if hidden.metrics.test_accuracy > linear.metrics.test_accuracy else "A"
    other = {"A": "B", "B": "A"}[better]
    assert compared(linear, hidden).verdict[0].startswith(f"{better} has the higher test accuracy, by ")
    assert compared(hidden, linear).verdict[0].startswith(f"{other} has the higher test accuracy, by ")
    assert compared(linear, hidden).verdict[-1].startswith("This compares two networks, not two settings")
    again = lab.train(linear.spec, seed=1)
    pair = compared(linear, again)
    assert pair.verdict[-1].startswith("The two differ by their seed alone")
    assert pair.images is not None
    low, high = (100 * end for end in (pair.images.difference.low, pair.images.difference.high))
    if low <= 0 <= high:
        assert f"they differ by at most {max(-low, high):.2f} percentage points" in pair.verdict[0]
    same = compared(linear, linear)
    assert same.verdict[1].startswith("On 0 of 10,000 test images exactly one of them is right")
    assert same.verdict[-1] == "All settings are equal: it is the same run."


def test_runs_without_common_images_are_compared_without_them(linear: RunResult) -> None:
    diverged = lab.train(
        **{**SHORT, "learning_rate": 2.0**60}, hidden=(50, 50), initialisation="he", epochs=1
    )
    assert diverged.outcome == "diverged"
    pair = compared(linear, diverged)
    assert pair.images is None
    assert pair.verdict[0] == "B diverged, so that it classifies no test image."
    assert "Test images" not in tables(pair)
    assert tables(pair)["How they ended"]["test accuracy"][1] is None
    reread = RunResult.from_json(linear.to_json())
    assert compared(reread, linear).verdict[0].startswith("A has no predictions with it, for JSON holds none")
    data = linear.spec.data.model_copy(update={"name": "other", "sha256": "0" * 64})
    elsewhere = RunResult.of(
        linear.spec.model_copy(update={"data": data}),
        **{
            name: getattr(linear, name)
            for name in ("outcome", "curve", "metrics", "provenance", "predictions")
        },
    )
    assert pair_of(linear, elsewhere, b"").verdict[0] == (
        "A was tested on mnist and B on other: there are no images of both."
    )
    changed = linear.model_copy(
        update={"spec": linear.spec.model_copy(update={"data": data.model_copy(update={"name": "mnist"})})}
    )
    with pytest.raises(SpecError, match="is not the data set given"):
        compared(changed, changed)


def test_pictures_hold_the_curve(linear: RunResult) -> None:
    loss, accuracy = pictures_of(linear)
    assert [line.name for line in loss.lines] == ["training", "validation"]
    for line, values in zip(
        loss.lines, (linear.curve.training_loss, linear.curve.validation_loss), strict=True
    ):
        assert [(point.x, point.y) for point in line.points] == list(
            zip(linear.curve.step, values, strict=True)
        )
    assert accuracy.y.is_share
    without = lab.train(steps=2, train_size=200)
    assert [picture.name for picture in pictures_of(without)] == ["loss"]
    assert [picture.name for picture in overlaid({"A": without, "B": linear})] == [
        "training-loss",
        "validation-loss",
        "validation-accuracy",
    ]


def test_many_points_are_thinned_to_the_last() -> None:
    for count in (0, 1, 5, 400, 401, 799, 5_000):
        kept = thinned(range(count), 400)
        assert len(kept) <= 400
        assert list(kept[-1:]) == list(range(count)[-1:])
        assert count < 400 or len(kept) >= 200
