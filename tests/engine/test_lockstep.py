"""The lockstep engine against the reference engine, against itself in other company, and its two arithmetics
against each other."""

import ctypes
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import Tag

from digitlab import lab
from digitlab.data import Dataset
from digitlab.data.arrays import LabelledImages
from digitlab.engine import reference
from digitlab.engine.lockstep import backends, cohort_key, train_cohort
from digitlab.engine.lockstep.backend import MAY_DIFFER, Part, block_steps
from digitlab.engine.lockstep.c.backend import CompiledMembers, Team, _Images, _Packed, aligned
from digitlab.engine.lockstep.c.build import kernel
from digitlab.engine.lockstep.torch_backend import StackedMembers
from digitlab.engine.progress import CohortProgress, Watch
from digitlab.errors import SpecError
from digitlab.models.parameters import Layer
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import SGD, RunSpec, WarmupCosine
from digitlab.validation import Part as SpecPart
from tests.engine.test_reference import GOLDEN, OPTIMISERS

DEPTHS: list[tuple[int, ...]] = [(), (30,), (30, 20), (7, 5, 9)]
PARTS: list[Part] = ["train", "validation"]
WARMUP: dict[str, Any] = {"schedule": "warmup-cosine", "warmup_steps": 6, "final_fraction": 0.1}


def one(spec: RunSpec, dataset: Dataset) -> tuple[RunResult, TrainedNetwork]:
    (both,) = train_cohort([spec], dataset)
    return both


def flat(layers: Sequence[Layer]) -> np.ndarray:
    return np.concatenate([array.ravel() for layer in layers for array in (layer.weight, layer.bias)])


def bits(result: RunResult, network: TrainedNetwork) -> tuple[str, bytes | None, bytes]:
    """All that a run's identity promises."""
    return (
        result.model_dump_json(exclude={"provenance"}),
        result.predictions,
        flat(network.layers).tobytes(),
    )


# --- against the reference engine ---


@pytest.mark.parametrize("hidden", DEPTHS, ids=str)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_50_steps_in_float64_are_those_of_the_reference_engine(
    mnist: Dataset, arithmetic: str, hidden: tuple[int, ...], optimiser: str
) -> None:
    spec = lab.make_spec(
        {"optimiser": OPTIMISERS[optimiser]},
        hidden=hidden,
        precision="float64",
        train_size=250,
        batch_size=60,  # an epoch's last batch has 10
        steps=50,
        evaluate_at=range(1, 51),
        validation_size=500,
        seed=11,
        **(WARMUP if "a" in optimiser else {}),
    )
    (theirs, their_network), (ours, our_network) = reference.train(spec, mnist), one(spec, mnist)
    assert ours.provenance.engine == "lockstep"
    assert ours.provenance.arithmetic == arithmetic
    assert ours.provenance.threads == 1
    assert ours.outcome == theirs.outcome == "completed"
    for name in ("training_loss", "validation_loss", "validation_accuracy"):
        np.testing.assert_allclose(getattr(ours.curve, name), getattr(theirs.curve, name), rtol=1e-10)
    for name, value in theirs.metrics.model_dump().items():
        assert getattr(ours.metrics, name) == pytest.approx(value, rel=1e-10)
    assert ours.predictions == theirs.predictions
    np.testing.assert_allclose(flat(our_network.layers), flat(their_network.layers), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scaling", ["standard", "symmetric"])
@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam, decay"])
def test_black_pixels_that_are_not_0_count(
    mnist: Dataset, arithmetic: str, scaling: Any, optimiser: str
) -> None:
    spec = lab.make_spec(
        {"optimiser": OPTIMISERS[optimiser]},
        hidden=(20,),
        scaling=scaling,
        learning_rate=0.01,
        precision="float64",
        train_size=200,
        steps=50,
        evaluate_at=range(1, 51),
    )
    (theirs, _), (ours, _) = reference.train(spec, mnist), one(spec, mnist)
    np.testing.assert_allclose(ours.curve.training_loss, theirs.curve.training_loss, rtol=1e-10)
    assert ours.metrics.test_loss == pytest.approx(theirs.metrics.test_loss, rel=1e-10)


@pytest.mark.parametrize("hidden", [(), (30, 20)])
def test_the_golden_curve_guards_the_numerics_version(
    mnist: Dataset, arithmetic: str, hidden: tuple[int, ...]
) -> None:
    spec = lab.make_spec(
        hidden=hidden,
        precision="float64",
        train_size=250,
        batch_size=60,
        steps=20,
        evaluate_at=range(1, 21),
        seed=11,
        learning_rate=0.1,
        momentum=0.9,
        validation_size=1_000,
    )
    result, _ = one(spec, mnist)
    ours = [*result.curve.training_loss[4::5], result.curve.validation_loss[-1], result.metrics.test_loss]
    np.testing.assert_allclose(ours, GOLDEN[hidden], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "batch_size", "rate"), [((), 100, 0.25), ((100,), 100, 0.25), ((100, 100), 32, 0.125)]
)
def test_whole_runs_in_float32_end_where_those_of_the_reference_engine_end(
    mnist: Dataset, hidden: tuple[int, ...], batch_size: int, rate: float
) -> None:
    # Rates of at most half of the largest at which such networks still train (a factor of 2 more
    # and those of two hidden layers collapse at some seeds). Rounding differs, and a run amplifies what
    # differs, so that single accuracies scatter by some images of 10,000: their mean is compared.
    specs = [
        lab.make_spec(
            hidden=hidden,
            batch_size=batch_size,
            learning_rate=rate,
            train_size=30_000,
            epochs=2,
            seed=seed,
        )
        for seed in range(4)
    ]
    differences = []
    for ours, theirs in [(one(spec, mnist)[0], reference.train(spec, mnist)[0]) for spec in specs]:
        np.testing.assert_allclose(ours.curve.training_loss, theirs.curve.training_loss, rtol=0.01)
        differences.append(ours.metrics.test_accuracy - theirs.metrics.test_accuracy)
    assert abs(np.mean(differences)) < 0.001
    assert max(map(abs, differences)) < 0.003


@pytest.mark.parametrize("rate", [1.0, 2.0, 4.0])
def test_near_the_edge_of_stability_the_first_20_steps_in_float64_agree(
    mnist: Dataset, arithmetic: str, rate: float
) -> None:
    spec = lab.make_spec(
        hidden=(100, 100), learning_rate=rate, precision="float64", steps=20, evaluate_at=range(1, 21)
    )
    (theirs, _), (ours, _) = reference.train(spec, mnist), one(spec, mnist)
    np.testing.assert_allclose(ours.curve.training_loss, theirs.curve.training_loss, rtol=1e-8)
    assert ours.outcome == theirs.outcome


def test_a_diverged_run_ends_at_the_same_step_with_the_same_record(mnist: Dataset, arithmetic: str) -> None:
    spec = lab.make_spec(
        hidden=(50, 50), learning_rate=2.0**60, steps=100, validation_size=500, initialisation="he"
    )
    (theirs, their_network), (ours, our_network) = reference.train(spec, mnist), one(spec, mnist)
    assert ours.outcome == theirs.outcome == "diverged"
    assert ours.metrics.steps == theirs.metrics.steps > 1
    assert ours.curve.step == theirs.curve.step
    assert ours.predictions is None
    assert math.isnan(ours.metrics.test_loss)
    assert math.isnan(ours.curve.validation_loss[-1])
    # Neither makes the update of the step that diverged.
    assert np.isfinite(flat(our_network.layers)).all() == np.isfinite(flat(their_network.layers)).all()


# --- identity ---


def company(size: int, **options: Any) -> list[RunSpec]:
    """Specs of one cohort: three members a seed, some of which blow up."""
    rates = [2.0**-4, 0.5, 2.0**20, 1e19, 2.0**40]
    return [
        lab.make_spec(
            learning_rate=rates[i % 5],
            momentum=0.9 if i % 2 else 0,
            weight_decay=0.001 if i % 3 == 0 else 0,
            seed=i // 3,
            initialisation="he",
            **options,
        )
        for i in range(size)
    ]


SHAPES = [
    # Batches of 1; last batches of 1, 2 and 3; batches beyond a block of steps.
    *product([(), (1,), (37,), (100,), (10, 37), (30, 20, 7)], [(1, 5), (10, 31), (64, 194), (100, 203)]),
    *product([(100,), (100, 100)], [(7, 50), (250, 501), (1000, 1001), (5000, 5002)]),
    ((256,), (32, 99)),
]


@pytest.mark.parametrize(("hidden", "sizes"), SHAPES, ids=str)
def test_a_members_bits_do_not_depend_on_its_company(
    mnist: Dataset, hidden: tuple[int, ...], sizes: tuple[int, int]
) -> None:
    batch_size, train_size = sizes
    specs = company(9, hidden=hidden, batch_size=batch_size, train_size=train_size, epochs=2)
    alone = [bits(*one(spec, mnist)) for spec in specs]
    for count, first in ((2, 1), (3, 4), (5, 0), (9, 0)):
        together = train_cohort(specs[first : first + count], mnist)
        assert [bits(*both) for both in together] == alone[first : first + count]
        backwards = train_cohort(specs[first : first + count][::-1], mnist)
        assert [bits(*both) for both in backwards] == alone[first : first + count][::-1]


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_bits_are_the_same_in_groups_of_1_to_33(mnist: Dataset, optimiser: Any) -> None:
    specs = [
        lab.make_spec(
            optimiser=optimiser,
            hidden=(16,),
            learning_rate=2.0 ** -(i % 6) if i % 7 else 2.0**60,
            batch_size=30,
            train_size=92,
            validation_size=100,
            epochs=3,
            seed=i // 2,
        )
        for i in range(33)
    ]
    alone = [bits(*one(spec, mnist)) for spec in specs]
    for count in range(2, 34):
        first = (7 * count) % (34 - count)
        together = train_cohort(specs[first : first + count], mnist)
        assert [bits(*both) for both in together] == alone[first : first + count]


def test_bits_are_the_same_without_the_kernel(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "kernel", lambda _: None)
    for hidden in ((), (37,), (10, 37)):
        specs = company(5, hidden=hidden, batch_size=50, train_size=101, epochs=2)
        alone = [bits(*one(spec, mnist)) for spec in specs]
        assert [bits(*both) for both in train_cohort(specs, mnist)] == alone


def test_a_diverged_member_costs_the_others_nothing_and_is_let_go(mnist: Dataset) -> None:
    fine = lab.make_spec(hidden=(50, 50), learning_rate=0.1, steps=60, batch_size=50)
    bad = [lab.make_spec(fine, learning_rate=2.0**60, seed=seed, initialisation="he") for seed in range(8)]
    results = [result for result, _ in train_cohort([*bad[:4], fine, *bad[4:]], mnist)]
    assert [result.outcome for result in results] == ["diverged"] * 4 + ["completed"] + ["diverged"] * 4
    assert all(result.metrics.steps < 60 for result in results if result.outcome == "diverged")
    assert [result.spec for result in results] == [*bad[:4], fine, *bad[4:]]


def test_a_cohort_that_diverges_altogether_ends(mnist: Dataset, arithmetic: str) -> None:
    specs = [
        lab.make_spec(hidden=(50, 50), learning_rate=2.0**60, steps=10**6, seed=seed, initialisation="he")
        for seed in range(2)
    ]
    assert [result.outcome for result, _ in train_cohort(specs, mnist)] == ["diverged"] * 2


# --- the stacked members, as a GPU has them ---


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("hidden", [(), (30, 20)], ids=str)
@pytest.mark.parametrize("seeds", [[0, 1, 2], [3, 3, 3], [0, 0, 1, 1, 2], [0, 1, 1, 2, 2, 2]], ids=str)
def test_stacked_members_train_as_each_does_alone(
    mnist: Dataset, optimiser: str, hidden: tuple[int, ...], seeds: list[int]
) -> None:
    specs = [
        lab.make_spec(
            {"optimiser": OPTIMISERS[optimiser]},
            hidden=hidden,
            learning_rate=0.01 * (i + 1),
            precision="float64",
            train_size=90,
            batch_size=40,
            validation_size=50,
            seed=seed,
        )
        for i, seed in enumerate(seeds)
    ]
    cpu = torch.device("cpu")
    together = StackedMembers(specs, mnist, cpu)
    losses = together.train(range(8))
    stays = list(range(0, len(specs), 2))
    together.keep(stays)
    later = together.train(range(8, 12))
    evaluations = {part: together.evaluate(part) for part in PARTS}
    for place, i in enumerate(stays):
        alone = StackedMembers([specs[i]], mnist, cpu)
        (first,) = alone.train(range(8))
        (second,) = alone.train(range(8, 12))
        np.testing.assert_allclose(losses[i].batch_losses, first.batch_losses, rtol=1e-11)
        np.testing.assert_allclose(later[place].batch_losses, second.batch_losses, rtol=1e-11)
        assert later[place].accuracy == second.accuracy
        np.testing.assert_allclose(flat(together.layers(place)), flat(alone.layers(0)), rtol=1e-9, atol=1e-12)
        for part, found in evaluations.items():
            (by_itself,) = alone.evaluate(part)
            assert found[place].loss == pytest.approx(by_itself.loss, rel=1e-11)
            assert (found[place].predictions == by_itself.predictions).all()


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_reference_engine(mnist: Dataset, gpu: str) -> None:
    specs = [
        lab.make_spec(
            hidden=(100,), learning_rate=0.05 * (1 + i % 3), steps=300, seed=i // 3, train_size=20_000
        )
        for i in range(9)
    ]
    for spec, (ours, _) in zip(specs, train_cohort(specs, mnist, device=gpu), strict=True):
        theirs, _ = reference.train(spec, mnist)
        assert ours.metrics.training_set_loss == pytest.approx(theirs.metrics.training_set_loss, rel=0.01)
        assert ours.metrics.test_accuracy == pytest.approx(theirs.metrics.test_accuracy, abs=0.003)


# --- what it tells, what it refuses ---


def test_progress_is_told_to_the_end(mnist: Dataset, arithmetic: str) -> None:
    told: list[CohortProgress] = []
    options: dict[str, Any] = {"epochs": 2, "train_size": 6_000, "validation_size": 500}
    specs = [lab.make_spec(hidden=(10,), learning_rate=0.1, seed=seed, **options) for seed in range(2)]
    trained = train_cohort(specs, mnist, watch=Watch(told.append, seconds=0))
    for result, _ in trained:
        states = [at for progress in told for at in progress.runs() if at.key == result.key]
        assert [at.step for at in states] == sorted({at.step for at in states})
        assert states[-1].step == states[-1].step_count == 120
        assert states[-1].accuracy == result.metrics.validation_accuracy
        assert states[-1].training_loss < states[0].training_loss
        points = [point for at in states for point in at.points]
        assert tuple(point.step for point in points) == result.curve.step
        assert tuple(point.training_loss for point in points) == result.curve.training_loss
        assert tuple(point.validation_accuracy for point in points) == result.curve.validation_accuracy


def test_progress_is_told_seldom_and_at_the_end(mnist: Dataset) -> None:
    told: list[CohortProgress] = []
    spec = lab.make_spec(hidden=(10,), epochs=2, train_size=6_000, evaluate_at=range(1, 120))
    start = time.monotonic()
    ((result, _),) = train_cohort([spec], mnist, watch=Watch(told.append, seconds=0.02))
    assert len(told) <= (time.monotonic() - start) / 0.02 + 2
    assert told[-1].step == 120
    points = [point for at in told for point in at.points.get(spec.key, ())]
    assert tuple(point.training_loss for point in points) == result.curve.training_loss


def test_cancelled_members_are_left_out_and_cost_the_others_no_bit(mnist: Dataset, arithmetic: str) -> None:
    """Each of three is cancelled at another time: before the first step, in the middle, at the last moment."""
    options: dict[str, Any] = {"steps": 60, "train_size": 2_000, "validation_size": 500}
    options["evaluate_at"] = [20, 40]
    specs = [
        lab.make_spec(hidden=(10,), seed=seed // 2, learning_rate=0.01 * seed + 0.01, **options)
        for seed in range(6)
    ]
    keys = [spec.key for spec in specs]
    cancelled = {keys[0]}

    def cancel(at: CohortProgress) -> None:
        cancelled.update(keys[2:3] if at.step < 60 else keys[5:])

    trained = train_cohort(specs, mnist, watch=Watch(cancel, cancelled, seconds=0))
    assert [result.key for result, _ in trained] == [keys[1], keys[3], keys[4]]
    for result, network in trained:
        ((alone, same),) = train_cohort([result.spec], mnist)
        assert bits(result, network) == bits(alone, same)


def test_blocks_of_large_networks_are_short(mnist: Dataset) -> None:
    large = lab.make_spec(hidden=(2_500, 2_000, 1_500, 1_000, 500), batch_size=10)
    assert block_steps(large) == 11
    assert block_steps(lab.make_spec(large, batch_size=1_000)) == 1
    assert block_steps(lab.make_spec(hidden=(500,), batch_size=10)) == 102


def test_what_is_no_cohort_is_refused(mnist: Dataset) -> None:
    specs = [lab.make_spec(hidden=(10,)), lab.make_spec(hidden=(20,))]
    with pytest.raises(SpecError, match="cohort: 2 specs are of several cohorts; plan them first"):
        train_cohort(specs, mnist)
    other = lab.make_spec({"data": {**specs[0].data.model_dump(), "sha256": "0" * 64}})
    with pytest.raises(SpecError, match="is not the data set given"):
        train_cohort([other], mnist)
    assert train_cohort([], mnist) == []


# --- what a cohort shares ---

PARENT = {"key": "0" * 64, "sha256": "1" * 64}

# Two values of every field: each is either free to differ, or shared.
OTHER_VALUES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{
        f"optimiser.{kind}.{name}": (
            {"optimiser": {"kind": kind, **more}},
            {"optimiser": {"kind": kind, **more, name: value}},
        )
        for kind, more, values in (
            ("sgd", {"momentum": 0.5}, {"learning_rate": 0.5, "momentum": 0.9, "nesterov": True}),
            ("adam", {}, {"learning_rate": 0.5, "beta1": 0.5, "beta2": 0.5, "epsilon": 1e-3}),
            ("adamw", {}, {"learning_rate": 0.5, "beta1": 0.5, "beta2": 0.5, "epsilon": 1e-3}),
        )
        for name, value in (values | {"weight_decay": 0.1}).items()
    },
    "optimiser.sgd.kind": ({}, {"optimiser": {"kind": "adam", "learning_rate": 0.01}}),
    "optimiser.adam.kind": ({"optimiser": {"kind": "adam"}}, {"optimiser": {"kind": "adamw"}}),
    "optimiser.adamw.kind": ({"optimiser": {"kind": "adamw"}}, {"optimiser": {"kind": "adam"}}),
    "schedule.constant.kind": ({}, {"schedule": {"kind": "warmup-cosine"}}),
    "schedule.warmup-cosine.kind": ({"schedule": {"kind": "warmup-cosine"}}, {}),
    "schedule.warmup-cosine.warmup_steps": (
        {"schedule": {"kind": "warmup-cosine"}},
        {"schedule": {"kind": "warmup-cosine", "warmup_steps": 9}},
    ),
    "schedule.warmup-cosine.final_fraction": (
        {"schedule": {"kind": "warmup-cosine"}},
        {"schedule": {"kind": "warmup-cosine", "final_fraction": 0.5}},
    ),
    "budget.epochs": ({"budget": {"epochs": 2}}, {"budget": {"steps": 1_200}}),
    "budget.steps": ({"budget": {"steps": 1_200}}, {"budget": {"epochs": 2}}),
    "evaluate_at": (
        {"budget": {"steps": 10}, "evaluate_at": [5]},
        {"budget": {"steps": 10}, "evaluate_at": [5, 10]},
    ),
    "seed": ({}, {"seed": 5}),
    "patience": (
        {"train_size": 1_000, "validation_size": 500},
        {"train_size": 1_000, "validation_size": 500, "patience": 3},
    ),
    "parent.key": ({"parent": PARENT}, {"parent": {**PARENT, "key": "2" * 64}}),
    "parent.sha256": ({"parent": PARENT}, {"parent": {**PARENT, "sha256": "2" * 64}}),
    "initialisation": ({}, {"initialisation": "he"}),
    "scaling": ({}, {"scaling": "standard"}),
    "validation_size": ({"train_size": 1_000}, {"train_size": 1_000, "validation_size": 100}),
    "validation": (
        {"train_size": 1_000, "validation_size": 500},
        {"train_size": 1_000, "validation_size": 500, "validation": "writers"},
    ),
    "train_size": ({"budget": {"steps": 9}}, {"budget": {"steps": 9}, "train_size": 59_950}),
    "hidden": ({}, {"hidden": (5,)}),
    "batch_size": ({"budget": {"steps": 9}}, {"budget": {"steps": 9}, "batch_size": 50}),
    "last_batch": ({}, {"last_batch": "drop"}),
    "precision": ({}, {"precision": "float64"}),
    **{
        f"data.{name}": ({}, {"data": {name: value}})
        for name, value in (("name", "x"), ("sha256", "0" * 64), ("train_images", 60_001), ("classes", 11))
    },
}


def fields_of(annotation: Any, place: str = "") -> set[str]:
    """Path of every field of a model, those of each kind of its parts too."""
    if isinstance(annotation, type) and issubclass(annotation, SpecPart):
        fields = annotation.model_fields
        inner = f"{place}.{fields['kind'].default}." if "kind" in fields else f"{place}." if place else ""
        return {path for name, f in fields.items() for path in fields_of(f.annotation, f"{inner}{name}")}
    found = [fields_of(inner, place) for inner in get_args(annotation) if not isinstance(inner, str | Tag)]
    deeper = {path for paths in found for path in paths if path != place}
    return deeper or {place}


def made(default: RunSpec, changes: dict[str, Any]) -> RunSpec:
    data = {**default.data.model_dump(), **changes.get("data", {})}
    return RunSpec.model_validate({"train_size": 60_000, **changes, "data": data})


def test_every_field_is_shared_or_named_as_free_to_differ(default_spec: RunSpec) -> None:
    assert fields_of(RunSpec) == OTHER_VALUES.keys()
    assert fields_of(RunSpec) >= MAY_DIFFER
    for path, (one, other) in OTHER_VALUES.items():
        specs = made(default_spec, one), made(default_spec, other)
        assert specs[0] != specs[1]
        assert (cohort_key(specs[0]) == cohort_key(specs[1])) == (path in MAY_DIFFER), path


def test_a_field_that_is_added_is_shared(default_spec: RunSpec) -> None:
    class LaterSGD(SGD):
        dampening: float = 0.0

    class LaterCosine(WarmupCosine):
        cycles: int = 1

    class LaterSpec(RunSpec):
        dropout: float = 0.0

    later = LaterSpec(data=default_spec.data)
    cosine = later.model_copy(update={"schedule": LaterCosine()})
    pairs = [
        (later, later.model_copy(update={"dropout": 0.5})),
        *(
            (spec.model_copy(update={part: one}), spec.model_copy(update={part: other}))
            for spec, part, one, other in (
                (later, "optimiser", LaterSGD(), LaterSGD(dampening=0.5)),
                (cosine, "schedule", LaterCosine(), LaterCosine(cycles=2)),
            )
        ),
    ]
    for one, other in pairs:
        assert cohort_key(one) == cohort_key(one.model_copy(update={"seed": 9}))
        assert cohort_key(one) != cohort_key(other)


def of_one_cohort(kind: str, draw: random.Random) -> RunSpec:
    """A run in which everything that may differ is drawn."""
    optimiser: dict[str, Any] = {"kind": kind, "learning_rate": draw.choice([0.001, 0.02, 0.3])}
    optimiser["weight_decay"] = draw.choice([0, 0.001, 0.1])
    if kind == "sgd":
        optimiser["momentum"] = draw.choice([0, 0.5, 0.9])
        optimiser["nesterov"] = optimiser["momentum"] > 0 and draw.random() < 0.5
    else:
        optimiser |= {"beta1": draw.choice([0, 0.9]), "beta2": draw.choice([0.9, 0.999])}
        optimiser["epsilon"] = draw.choice([1e-8, 1e-3])
    cosine = {"kind": "warmup-cosine", "warmup_steps": draw.choice([0, 5]), "final_fraction": draw.random()}
    return lab.make_spec(
        {
            "optimiser": optimiser,
            "schedule": draw.choice([{"kind": "constant"}, cosine]),
            "budget": draw.choice([{"epochs": 3}, {"steps": 9}]),
            "precision": "float64",
        },
        seed=draw.randrange(3),
        initialisation=draw.choice(["torch", "he", "glorot"]),
        hidden=(12,),
        train_size=100,
        batch_size=40,
        validation_size=100,
    )


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_members_that_differ_in_all_that_may_train_as_each_does_alone(
    mnist: Dataset, arithmetic: str, kind: str
) -> None:
    draw = random.Random(kind)
    for _ in range(5):
        specs = sorted((of_one_cohort(kind, draw) for _ in range(4)), key=lambda spec: spec.seed)
        assert len({cohort_key(spec) for spec in specs}) == 1
        assert [bits(*both) for both in train_cohort(specs, mnist)] == [
            bits(*one(spec, mnist)) for spec in specs
        ]
        # As on a GPU: side by side in one product, whose last digits depend on its shape.
        together = StackedMembers(specs, mnist, torch.device("cpu"))
        together.train(range(9))
        for place, spec in enumerate(specs):
            np.testing.assert_allclose(
                flat(together.layers(place)), flat(one(spec, mnist)[1].layers), rtol=1e-7, atol=1e-9
            )


# --- the kernel's places ---


def compiled(spec: RunSpec, dataset: Dataset, threads: int = 1) -> CompiledMembers:
    library = kernel(spec.precision)
    if library is None:
        pytest.skip("no C compiler on this machine")
    return CompiledMembers([spec], dataset, library, Team(library, threads))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [(), (30,), (100, 100), (7, 5, 9)], ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_kernel_keeps_to_its_scratch_and_its_lists(
    mnist: Dataset, hidden: Any, precision: Any, threads: int
) -> None:
    """Of images without a black pixel, which fill the lists; what lies behind them stays as it was."""
    white = LabelledImages(np.full_like(mnist.train.images, 255), mnist.train.labels)
    spec = lab.make_spec(hidden=hidden, precision=precision, batch_size=300, validation_size=700, steps=3)
    members = compiled(spec, Dataset(mnist.entry, white, mnist.test), threads)
    table = np.linspace(0, 1, 256, dtype=precision)
    capacity, scratch_numbers = 900, len(members._scratch)
    assert len(members._packed._label) == capacity
    more = _Packed(
        members._kernel, table, members._team, capacity=1000, batch_capacity=5, largest=500, classes=10
    )
    scratch = aligned(scratch_numbers + 5_000, spec.precision)
    for array in (*more._lists.values(), scratch):
        array[...] = 77
    members._packed, members._scratch = more, scratch
    members._members[0].network.scratch = scratch.ctypes.data
    members.train(range(3))
    members.evaluate("validation")
    members._team.end()
    assert (scratch[scratch_numbers:] == 77).all()
    assert (scratch[:scratch_numbers] != 77).any()
    pixels = capacity * 784
    assert more._lists["example_start"][capacity] == pixels
    assert (more._lists["value"][:pixels] == 1).all()
    ends = {
        "example_start": capacity + 1,
        "pixel": pixels,
        "value": pixels,
        "pixel_start": 3,
        "example": pixels,
        "pixel_value": pixels,
        "label": capacity,
    }
    assert more._lists.keys() == ends.keys()
    for name, end in ends.items():
        assert (more._lists[name][end:] == 77).all()


def test_more_than_the_lists_hold_is_refused_before_the_kernel_is_called(mnist: Dataset) -> None:
    spec = lab.make_spec(batch_size=100, steps=15)
    with pytest.raises(ValueError, match="1,500 examples at once do not fit lists for 1,000"):
        compiled(spec, mnist).train(range(15))
    with pytest.raises(ValueError, match="20 steps asked for, and the run has 15 left"):
        compiled(spec, mnist).train(range(20))
    members = compiled(spec, mnist)
    packed = members._packed
    packed.fill(members._images, np.arange(600))
    with pytest.raises(ValueError, match="12 batches at once do not fit lists for 10"):
        packed.fill_pixels(np.arange(13, dtype=np.int64) * 50)
    with pytest.raises(ValueError, match="batches of 600 to 600 examples, not 1 to 500"):
        packed.fill_pixels(np.array([0, 600]))
    with pytest.raises(ValueError, match="batches of examples 0 to 700 of 600"):
        packed.fill_pixels(np.array([0, 350, 700]))


def test_what_the_kernel_cannot_read_is_refused_before_it_is_called(mnist: Dataset) -> None:
    members = compiled(lab.make_spec(steps=1), mnist)
    images, labels = mnist.train.images[:20], mnist.train.labels[:20]

    def fill(images: Any, labels: Any, positions: Any) -> None:
        members._packed.fill(_Images(members._kernel, LabelledImages(images, labels)), positions)

    with pytest.raises(ValueError, match="positions 0 to 20 of 20 images"):
        fill(images, labels, np.arange(21))
    with pytest.raises(ValueError, match="positions -1 to -1 of 20 images"):
        fill(images, labels, np.array([-1]))
    with pytest.raises(ValueError, match=r"images of shape \(10, 28, 28\) for 20 labels"):
        fill(images[:10], labels, np.arange(5))
    with pytest.raises(ValueError, match="label 10 of 10 classes"):
        fill(images, np.full_like(labels, 10), np.arange(5))
    with pytest.raises(TypeError, match="an array of float32, not of uint8"):
        fill(images.astype(np.float32), labels, np.arange(5))
    with pytest.raises(TypeError, match="an array with gaps"):
        fill(images[:, :, ::-1], labels, np.arange(5))


def test_an_interrupt_while_arguments_are_checked_stays_an_interrupt(mnist: Dataset) -> None:
    """ctypes makes an ArgumentError of whatever is raised in a `from_param`: Ctrl-C looked like a fault."""

    class Interrupted(np.ndarray):
        @property
        def dtype(self) -> Any:
            raise KeyboardInterrupt

    kernel_used = compiled(lab.make_spec(steps=1), mnist)._kernel
    positions = np.arange(5).view(Interrupted)
    with pytest.raises(KeyboardInterrupt):
        kernel_used.pack(None, None, positions, 5, None)


def test_lists_of_images_fill_room_after_room(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the room, an image's list says what the image does, and is made once."""
    monkeypatch.setattr("digitlab.engine.lockstep.c.backend._ROOM", 2_000)
    white = np.concatenate([mnist.train.images[:100], np.full((3, 28, 28), 255, np.uint8)])
    kernel_used = compiled(lab.make_spec(steps=1), mnist)._kernel
    images = _Images(kernel_used, LabelledImages(white, mnist.train.labels[:103]))
    images.make(np.array([102, 5, 5, 0]))
    first = images._list[102]
    images.make(np.arange(103)[::-1].copy())
    assert images._list[102] == first
    assert len(images._rooms) > 10
    for i, image in enumerate(white.reshape(103, 784)):
        (lit,) = image.nonzero()
        made = (ctypes.c_uint32 * images._count[i]).from_address(int(images._list[i]))
        np.testing.assert_array_equal(np.array(made), lit << 8 | image[lit])


def test_lists_of_images_take_bounded_memory_and_change_no_bit(
    mnist: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgotten again and again, even in the midst of a block, lists are what they were."""
    specs = [
        lab.make_spec(train_size=2_000, steps=60, evaluate_at=[20, 60], seed=seed, hidden=(8,))
        for seed in (1, 2)
    ]
    expected = [result.model_dump(exclude={"provenance"}) for result, _ in train_cohort(specs, mnist)]
    monkeypatch.setattr("digitlab.engine.lockstep.c.backend._ROOM", 20_000)
    monkeypatch.setattr("digitlab.engine.lockstep.c.backend.MOST_LIST_BYTES", 800_000)
    images = _Images(compiled(specs[0], mnist)._kernel, mnist.train)
    for first in range(0, 20_000, 500):
        images.make(np.arange(first, first + 500))
        assert len(images._rooms) <= 10
        assert images._list[first : first + 500].all()
    found = [result.model_dump(exclude={"provenance"}) for result, _ in train_cohort(specs, mnist)]
    assert found == expected


@pytest.mark.skipif("libasan" not in os.environ.get("LD_PRELOAD", ""), reason="for `make sanitize`")
def test_the_sanitizer_sees_a_scratch_that_is_too_small() -> None:
    code = """if True:
        from digitlab import lab
        from digitlab.data import load
        from digitlab.engine.lockstep.c.backend import CompiledMembers, Team, aligned
        from digitlab.engine.lockstep.c.build import kernel
        library = kernel("float32")
        spec = lab.make_spec(hidden=(50,), steps=1)
        members = CompiledMembers([spec], load("mnist"), library, Team(library))
        network = members._members[0].network
        scratch = aligned(members._kernel.scratch_numbers(network, spec.batch_size) - 64, "float32")
        network.scratch = scratch.ctypes.data
        members.train(range(1))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
