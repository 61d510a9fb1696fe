"""What engines share: learning rates, outcomes, evaluation, devices."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from digitlab.engine.device import Device, find_device, memory_errors_named, processor_name
from digitlab.engine.evaluate import evaluate
from digitlab.engine.examples import Examples
from digitlab.engine.outcome import classify_outcome
from digitlab.engine.schedules import learning_rate
from digitlab.errors import DeviceError, RunError
from digitlab.models.parameters import Layer, initial_layers
from digitlab.models.sequential import build
from digitlab.spec import SGD, Budget, DataSpec, RunSpec, WarmupCosine

DATA = DataSpec(name="x", sha256="0" * 64, train_images=1_000, classes=10)


def spec(steps: int, warmup: int, final: float, peak: float = 0.5) -> RunSpec:
    return RunSpec(
        data=DATA,
        budget=Budget(steps=steps),
        optimiser=SGD(learning_rate=peak),
        schedule=WarmupCosine(warmup_steps=warmup, final_fraction=final),
    )


def test_a_schedule_by_hand() -> None:
    run = spec(steps=8, warmup=4, final=0.2)
    half = math.sqrt(0.5)
    cosines = [1, (1 + half) / 2, 0.5, (1 - half) / 2]
    by_hand = [0.125, 0.25, 0.375, 0.5] + [0.5 * (0.2 + 0.8 * cosine) for cosine in cosines]
    assert [learning_rate(run, step) for step in range(8)] == pytest.approx(by_hand, rel=1e-14)


@given(steps=st.integers(1, 500), share=st.floats(0, 0.99), final=st.floats(0, 1))
def test_a_schedule_rises_to_its_peak_and_falls_no_lower_than_its_end(
    steps: int, share: float, final: float
) -> None:
    run = spec(steps, int(share * steps), final)
    rates = [learning_rate(run, step) for step in range(steps)]
    top = int(share * steps)
    assert max(rates) == pytest.approx(0.5)
    assert all(a <= b for a, b in itertools.pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in itertools.pairwise(rates[top:]))
    assert min(rates[top:]) >= 0.5 * final - 1e-15


def outcome(**changes: object) -> str:
    usual: dict[str, object] = {
        "losses_finite": True,
        "training_set_loss": 0.3,
        "first_batch_loss": 2.3,
        "peak_batch_loss": 2.4,
        "has_dead_layer": False,
        "classes": 10,
    }
    return classify_outcome(**(usual | changes))  # type: ignore[arg-type]


def test_outcomes_case_by_case() -> None:
    chance = 0.95 * math.log(10)
    assert outcome() == "completed"
    assert outcome(losses_finite=False) == "diverged"
    assert outcome(losses_finite=False, training_set_loss=math.nan) == "diverged"
    assert outcome(training_set_loss=chance) == "completed"  # has not learned yet
    assert outcome(training_set_loss=chance, peak_batch_loss=4.6) == "collapsed"
    assert outcome(training_set_loss=chance, peak_batch_loss=4.59) == "completed"
    assert outcome(training_set_loss=chance, has_dead_layer=True) == "collapsed"
    assert outcome(training_set_loss=chance - 1e-9, peak_batch_loss=1e21, has_dead_layer=True) == "completed"
    assert outcome(training_set_loss=0.95 * math.log(2), classes=2, peak_batch_loss=9.0) == "collapsed"


def test_an_evaluation_by_hand_in_several_chunks() -> None:
    random = np.random.default_rng(0)
    layers = initial_layers((784, 5, 10), "torch", 0, "float64")
    inputs, labels = random.random((23_456, 784)), random.integers(0, 10, 23_456)
    found = evaluate(build(layers), Examples(torch.tensor(inputs), torch.tensor(labels)))
    logits = np.maximum(inputs @ layers[0].weight.T + layers[0].bias, 0) @ layers[1].weight.T + layers[1].bias
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found.loss == pytest.approx(-np.log(p[np.arange(len(p)), labels]).mean(), rel=1e-12)
    assert (found.predictions == logits.argmax(1)).all()
    assert found.accuracy == (logits.argmax(1) == labels).mean()
    assert not found.has_dead_layer


def test_a_layer_is_dead_when_no_example_moves_any_unit() -> None:
    alive, out = initial_layers((784, 5, 10), "torch", 0, "float32")
    dead = Layer(alive.weight * 0, alive.bias * 0 - 1)
    examples = Examples(torch.rand(100, 784), torch.zeros(100, dtype=torch.int64))
    assert evaluate(build((dead, out)), examples).has_dead_layer
    almost = Layer(dead.weight, np.array([-1, -1, 1e-3, -1, -1], np.float32))
    assert not evaluate(build((almost, out)), examples).has_dead_layer


def test_memory_that_does_not_suffice_is_told() -> None:
    with pytest.raises(RunError, match="memory does not suffice for this run; use smaller layers or batches"):  # noqa: SIM117
        with memory_errors_named():
            torch.empty(1 << 50)
    with pytest.raises(RunError, match="memory does not suffice"), memory_errors_named():
        np.empty(1 << 50)
    with pytest.raises(RuntimeError, match="must match"), memory_errors_named():
        torch.zeros(3) + torch.zeros(4)


def test_devices_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_device("cpu") == Device("cpu")
    assert processor_name(Device("cpu"))
    with pytest.raises(DeviceError, match=r"device: '' is not known; use one of cpu"):
        find_device("")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == Device("cuda:1")
    with pytest.raises(DeviceError, match=r"'cuda:2' is not on this machine.*; use cpu, cuda"):
        find_device("cuda:2")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device("mps") == Device("mps")
    with pytest.raises(DeviceError, match="'mps' cannot compute in float64; use cpu, or precision float32"):
        find_device("mps", "float64")
