"""The lockstep engine against the reference engine, against itself in other company, and its two arithmetics
against each other."""

import ctypes
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from digitlab import lab
from digitlab.datasets import Dataset
from digitlab.engine import reference
from digitlab.engine.lockstep import cohort_key, train_cohort
from digitlab.engine.lockstep import train as lockstep
from digitlab.engine.lockstep.compiler import kernel
from digitlab.engine.lockstep.members import Part
from digitlab.engine.lockstep.stacked import StackedMembers
from digitlab.engine.progress import Progress
from digitlab.errors import SpecError
from digitlab.networks import Layer
from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.trained import TrainedNetwork
from tests.engine.test_reference import GOLDEN, OPTIMISERS

DEPTHS: list[tuple[int, ...]] = [(), (30,), (30, 20), (7, 5, 9)]
PARTS: list[Part] = ["train", "validation"]
WARMUP: dict[str, Any] = {"schedule": "warmup-cosine", "warmup_steps": 6, "final_fraction": 0.1}


@pytest.fixture(params=["compiled kernel", "torch"])
def arithmetic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either way to compute."""
    if request.param == "torch":
        monkeypatch.setattr(lockstep, "kernel", lambda _: None)
    elif kernel("float32") is None:
        pytest.skip("no C compiler on this machine")
    return str(request.param)


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


def company(size: int, **wishes: Any) -> list[RunSpec]:
    """Specs of one cohort: three members a seed, some of which blow up."""
    rates = [2.0**-4, 0.5, 2.0**20, 1e19, 2.0**40]
    return [
        lab.make_spec(
            learning_rate=rates[i % 5],
            momentum=0.9 if i % 2 else 0,
            weight_decay=0.001 if i % 3 == 0 else 0,
            seed=i // 3,
            initialisation="he",
            **wishes,
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
def test_bits_are_the_same_in_groups_of_1_to_33(mnist: Dataset, optimiser: str) -> None:
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
    monkeypatch.setattr(lockstep, "kernel", lambda _: None)
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
    told: list[Progress] = []
    spec = lab.make_spec(hidden=(10,), epochs=2, train_size=6_000, validation_size=500, learning_rate=0.1)
    (result, _), *_ = train_cohort([spec], mnist, on_progress=told.append)
    assert [at.step for at in told] == sorted({at.step for at in told})
    assert told[-1].step == told[-1].step_count == 120
    assert told[-1].accuracy == result.metrics.validation_accuracy
    assert told[-1].training_loss < told[0].training_loss


def test_what_is_no_cohort_is_refused(mnist: Dataset) -> None:
    specs = [lab.make_spec(hidden=(10,)), lab.make_spec(hidden=(20,))]
    with pytest.raises(SpecError, match="cohort: 2 specs are of several cohorts; plan them first"):
        train_cohort(specs, mnist)
    other = lab.make_spec({"data": {**specs[0].data.model_dump(), "sha256": "0" * 64}})
    with pytest.raises(SpecError, match="is not the data set given"):
        train_cohort([other], mnist)
    assert train_cohort([], mnist) == []


def test_what_may_differ_within_a_cohort(default_spec: RunSpec) -> None:
    key = cohort_key(default_spec)
    may: list[Any] = [{"seed": 5}, {"learning_rate": 3.0}, {"momentum": 0.9}, {"weight_decay": 0.1}]
    may += [{"schedule": "warmup-cosine"}]
    may_not: list[Any] = [{"hidden": (5,)}, {"batch_size": 50}, {"train_size": 5_000}, {"optimiser": "adam"}]
    assert all(cohort_key(lab.make_spec(default_spec, **wishes)) == key for wishes in may)
    assert all(cohort_key(lab.make_spec(default_spec, **wishes)) != key for wishes in may_not)


# --- the kernel's making ---


def _in_a_process(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ASK = "from digitlab.engine.lockstep.compiler import kernel; print(kernel('float32') is not None)"


def test_without_a_compiler_there_is_no_kernel(tmp_path: Path) -> None:
    assert _in_a_process(ASK, PATH=str(tmp_path), CC="", XDG_CACHE_HOME=str(tmp_path)) == "False"
    assert _in_a_process(ASK, DIGITLAB_KERNEL="torch") == "False"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
def test_the_kernel_is_built_once_and_again_when_it_is_damaged(tmp_path: Path) -> None:
    if kernel("float32") is None:
        pytest.skip("no C compiler on this machine")
    assert _in_a_process(ASK, XDG_CACHE_HOME=str(tmp_path)) == "True"
    (built,) = tmp_path.rglob("*.so")
    before = built.stat().st_mtime_ns
    assert _in_a_process(ASK, XDG_CACHE_HOME=str(tmp_path), PATH=os.environ["PATH"]) == "True"
    assert built.stat().st_mtime_ns == before
    built.write_bytes(b"no library")
    assert _in_a_process(ASK, XDG_CACHE_HOME=str(tmp_path)) == "True"
    blocked = tmp_path / "file"
    blocked.touch()  # a cache that cannot be made
    assert _in_a_process(ASK, XDG_CACHE_HOME=str(blocked)) == "True"
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    assert _in_a_process(ASK, XDG_CACHE_HOME=str(tmp_path), CC=str(failing)) == "False"


def test_the_kernel_keeps_to_its_places() -> None:
    """Its scratch and its lists end where it says: what lies behind stays as it was."""
    library = kernel("float32")
    if library is None:
        pytest.skip("no C compiler on this machine")
    images = np.full((3, 784), 255, np.uint8)
    positions, table = np.arange(3), np.linspace(0, 1, 256, dtype=np.float32)
    start = np.empty(4, np.int64)
    pixel, value = np.full(3 * 784 + 16, -7, np.int32), np.full(3 * 784 + 16, -7, np.float32)
    arrays = (images, positions, table, start, pixel, value)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
    library.pack(*pointers[:2], ctypes.c_int64(3), *pointers[2:])
    assert start.tolist() == [0, 784, 1568, 2352]
    assert (value[:2352] == 1).all()
    assert (pixel[:2352] == np.tile(np.arange(784), 3)).all()
    assert (pixel[2352 + 8 :] == -7).all()
    assert (value[2352 + 8 :] == -7).all()
