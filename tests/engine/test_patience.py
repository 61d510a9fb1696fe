"""Early stopping: when it ends a run, which network is kept, and that it changes no other run."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine import reference
from digitlab.engine.evaluation import Evaluation
from digitlab.engine.history import History
from digitlab.engine.lockstep import train_cohort
from digitlab.engine.lockstep.c.build import kernel
from digitlab.engine.progress import CohortProgress, Watch
from digitlab.spec import RunSpec
from tests.engine.test_lockstep import bits, flat, one

OVERFITTING: dict[str, Any] = {
    "hidden": (30,),
    "learning_rate": 1.0,
    "train_size": 200,
    "validation_size": 300,
    "batch_size": 50,
    "steps": 400,
    "evaluate_at": range(10, 401, 10),
}
"""It learns its few images by heart, and soon its validation loss rises."""


def end_by_hand(losses: Sequence[float], patience: int) -> tuple[int, int]:
    """How many points there are in the end, and the place of the best."""
    for count in range(1, len(losses) + 1):
        best = losses.index(min(losses[:count]))
        if count - 1 - best == patience:
            return count, best
    return len(losses), losses.index(min(losses))


@given(st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0]), min_size=1, max_size=12), st.integers(1, 4))
def test_a_run_ends_when_its_patience_is_spent(losses: list[float], patience: int) -> None:
    history = History()
    for loss in losses:
        history.add_batch(1.0)
        history.add_point(Evaluation(loss, 0.5, np.empty(0, np.uint8), has_dead_layer=False))
        assert history.has_improved == (loss < min(losses[: len(history.points) - 1], default=math.inf))
        assert not history.is_out_of_patience(0)
        if history.is_out_of_patience(patience):
            break
    points, best = end_by_hand(losses, patience)
    assert len(history.points) == points
    assert history.best == history.points[best]


def test_the_network_of_the_lowest_validation_loss_is_kept(mnist: Dataset, arithmetic: str) -> None:
    spec = lab.make_spec(**OVERFITTING, patience=3)
    result, network = one(spec, mnist)
    losses, kept = result.curve.validation_loss, result.metrics.kept_step
    assert kept is not None
    assert result.stopped_early
    assert result.metrics.steps == result.curve.step[-1] == kept + 30 < 400
    assert result.curve.step[int(np.argmin(losses))] == kept
    assert result.metrics.validation_loss == min(losses)
    assert result.metrics.training_loss == result.curve.training_loss[int(np.argmin(losses))]
    # It is the run that ends there, to the last bit.
    shorter, same = one(spec.until(kept), mnist)
    assert flat(network.layers).tobytes() == flat(same.layers).tobytes()
    assert result.predictions == shorter.predictions
    assert shorter.metrics.kept_step is None
    for name in ("test_loss", "test_accuracy", "training_set_loss", "validation_accuracy"):
        assert getattr(result.metrics, name) == getattr(shorter.metrics, name)
    # And up to where it stopped it is the run without patience.
    whole, _ = one(lab.make_spec(spec, patience=0), mnist)
    assert whole.curve.validation_loss[: len(losses)] == losses
    assert whole.key != result.key


def test_both_engines_stop_at_the_same_step_with_the_same_network(mnist: Dataset, arithmetic: str) -> None:
    spec = lab.make_spec(**{**OVERFITTING, "learning_rate": 0.5}, patience=2, precision="float64")
    (theirs, their_network), (ours, our_network) = reference.train(spec, mnist), one(spec, mnist)
    assert ours.metrics.steps == theirs.metrics.steps < 400
    assert ours.metrics.kept_step == theirs.metrics.kept_step
    assert ours.predictions == theirs.predictions
    np.testing.assert_allclose(ours.curve.validation_loss, theirs.curve.validation_loss, rtol=1e-8)
    np.testing.assert_allclose(flat(our_network.layers), flat(their_network.layers), rtol=1e-7, atol=1e-9)


def test_patience_that_lasts_keeps_the_best_all_the_same(mnist: Dataset, arithmetic: str) -> None:
    result, _ = one(lab.make_spec(**OVERFITTING, patience=100), mnist)
    assert not result.stopped_early
    assert result.metrics.steps == 400
    assert result.metrics.kept_step is not None
    assert result.metrics.kept_step < 400
    assert result.metrics.validation_loss == min(result.curve.validation_loss)


def test_a_run_that_diverges_has_diverged_whatever_was_best(mnist: Dataset, arithmetic: str) -> None:
    spec = lab.make_spec(
        **{**OVERFITTING, "hidden": (50, 50), "learning_rate": 2.0**60}, patience=3, initialisation="he"
    )
    for result in (one(spec, mnist)[0], reference.train(spec, mnist)[0]):
        assert result.outcome == "diverged"
        assert result.metrics.kept_step is None
        assert not result.stopped_early
        assert math.isnan(result.metrics.validation_loss or 0.0)


def company() -> list[RunSpec]:
    """Members that stop at different steps, one that never does, and some that diverge."""
    rates = [1.0, 0.5, 2.0**60, 0.01, 0.25, 2.0]
    return [
        lab.make_spec(**{**OVERFITTING, "learning_rate": rate}, patience=2, seed=i // 2, initialisation="he")
        for i, rate in enumerate(rates)
    ]


def test_members_that_stop_cost_the_others_no_bit(mnist: Dataset, arithmetic: str) -> None:
    specs = company()
    alone = [bits(*one(spec, mnist)) for spec in specs]
    together = train_cohort(specs, mnist)
    ends = [result.metrics.steps for result, _ in together]
    assert len(set(ends)) > 3
    assert max(ends) == 400
    assert {result.outcome for result, _ in together} >= {"completed", "diverged"}
    assert [bits(*both) for both in together] == alone
    for count, first in ((2, 1), (3, 2)):
        assert [bits(*both) for both in train_cohort(specs[first : first + count], mnist)] == alone[
            first : first + count
        ]


def test_cancelled_members_are_left_out_also_after_they_stopped(mnist: Dataset) -> None:
    if kernel("float32") is None:
        pytest.skip("without the kernel they train one after the other")
    specs = company()
    keys = [spec.key for spec in specs]
    cancelled: set[str] = set()

    def cancel(at: CohortProgress) -> None:
        if at.step >= 200:
            cancelled.update(keys[:2])  # the first of them has stopped by then

    trained = train_cohort(specs, mnist, watch=Watch(cancel, cancelled, seconds=0))
    assert {result.key for result, _ in trained} <= set(keys[2:])
    for result, network in trained:
        assert bits(result, network) == bits(*one(result.spec, mnist))


def test_the_last_state_is_told_where_a_run_stops(mnist: Dataset, arithmetic: str) -> None:
    spec = lab.make_spec(**OVERFITTING, patience=3)
    for engine in (lambda watch: train_cohort([spec], mnist, watch=watch)[0], reference_with(spec, mnist)):
        told: list[CohortProgress] = []
        result, _ = engine(Watch(told.append, seconds=1e6))
        points = list(itertools.chain.from_iterable(at.points.get(spec.key, ()) for at in told))
        assert told[-1].step == result.metrics.steps < told[-1].step_count == 400
        assert tuple(point.step for point in points) == result.curve.step


def reference_with(spec: RunSpec, dataset: Dataset) -> Any:
    return lambda watch: reference.train(spec, dataset, watch=watch)
