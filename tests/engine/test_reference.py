"""The reference engine against backpropagation by hand, against torch used directly, and against itself."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from digitlab import lab
from digitlab.data import Dataset
from digitlab.data.splits import split
from digitlab.engine import reference
from digitlab.engine.progress import CancelledRunError, CohortProgress, Watch
from digitlab.engine.sampling import batches
from digitlab.errors import DeviceError, SpecError
from digitlab.models.parameters import Layer, initial_layers
from digitlab.result import RunResult
from digitlab.spec import DataSpec, RunSpec
from tests.engine import backpropagation

OPTIMISERS: dict[str, dict[str, Any]] = {
    "sgd": {"kind": "sgd", "learning_rate": 0.1},
    "momentum": {"kind": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    "nesterov": {
        "kind": "sgd",
        "learning_rate": 0.05,
        "momentum": 0.8,
        "nesterov": True,
        "weight_decay": 0.01,
    },
    "decay": {"kind": "sgd", "learning_rate": 0.1, "weight_decay": 0.1},
    "adam": {"kind": "adam", "learning_rate": 0.002, "beta1": 0.8},
    "adam, decay": {"kind": "adam", "learning_rate": 0.002, "weight_decay": 0.1},
    "adamw": {"kind": "adamw", "learning_rate": 0.002, "beta2": 0.99, "epsilon": 1e-6, "weight_decay": 0.1},
}
DEPTHS: dict[int, tuple[int, ...]] = {0: (), 1: (30,), 2: (30, 20)}
STEPS = 20


def small(mnist_spec: DataSpec, **fields: Any) -> RunSpec:
    """20 steps in float64 on 250 images, the last batch of an epoch being short, with a point at every step."""
    return RunSpec.model_validate(
        {
            "data": mnist_spec,
            "precision": "float64",
            "train_size": 250,
            "batch_size": 60,
            "budget": {"steps": STEPS},
            "evaluate_at": tuple(range(1, STEPS + 1)),
            "seed": 11,
            **fields,
        }
    )


def examples(spec: RunSpec, mnist: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The run's training inputs and labels, scaled here by hand."""
    subset = split(
        mnist.train.labels, train_size=spec.train_size, validation_size=spec.validation_size, seed=spec.seed
    )
    return mnist.train.images[subset.train].reshape(-1, 784) / 255.0, mnist.train.labels[subset.train].astype(
        np.int64
    )


def flat(layers: tuple[Layer, ...]) -> list[np.ndarray]:
    return [array for layer in layers for array in (layer.weight.copy(), layer.bias.copy())]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("schedule", ["constant", "warmup-cosine"])
def test_losses_and_weights_are_those_of_backpropagation_by_hand(
    mnist: Dataset, mnist_spec: DataSpec, depth: int, optimiser: str, schedule: str
) -> None:
    cosine = {"kind": "warmup-cosine", "warmup_steps": 6, "final_fraction": 0.1}
    spec = small(
        mnist_spec,
        hidden=DEPTHS[depth],
        optimiser=OPTIMISERS[optimiser],
        schedule=cosine if schedule == "warmup-cosine" else {},
    )
    result, network = reference.train(spec, mnist)
    x, labels = examples(spec, mnist)
    parameters = flat(initial_layers(spec.layer_sizes, spec.initialisation, spec.seed, "float64"))
    peak = spec.optimiser.learning_rate
    losses = backpropagation.train(
        parameters,
        ((x[batch], labels[batch]) for batch in batches(spec)),
        backpropagation.optimiser(spec.optimiser),
        backpropagation.warmup_cosine(peak, 6, STEPS, 0.1) if schedule == "warmup-cosine" else lambda _: peak,
    )
    assert result.outcome == "completed"
    np.testing.assert_allclose(result.curve.training_loss, losses, rtol=1e-10)
    for ours, theirs in zip(flat(network.layers), parameters, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_losses_and_weights_are_those_of_torch_used_directly(
    mnist: Dataset, mnist_spec: DataSpec, optimiser: str
) -> None:
    spec = small(mnist_spec, hidden=(30,), optimiser=OPTIMISERS[optimiser])
    result, network = reference.train(spec, mnist)
    options = {name: value for name, value in OPTIMISERS[optimiser].items() if name != "kind"}
    options["lr"] = options.pop("learning_rate")
    if "epsilon" in options:
        options["eps"] = options.pop("epsilon")
    if spec.optimiser.kind != "sgd":
        options["betas"] = (options.pop("beta1", 0.9), options.pop("beta2", 0.999))
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    model = nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10)).double()
    start = initial_layers(spec.layer_sizes, spec.initialisation, spec.seed, "float64")
    model.load_state_dict(
        {
            f"{2 * i}.{name}": torch.tensor(getattr(layer, name))
            for i, layer in enumerate(start)
            for name in ("weight", "bias")
        }
    )
    optimizer: torch.optim.Optimizer = kinds[spec.optimiser.kind](model.parameters(), **options)
    x, labels = (torch.tensor(array) for array in examples(spec, mnist))
    losses = []
    for batch in batches(spec):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(result.curve.training_loss, losses, rtol=1e-12)
    for ours, parameter in zip(flat(network.layers), model.parameters(), strict=True):
        np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-12, atol=1e-15)


def test_the_same_spec_twice_gives_the_same_bits(mnist: Dataset, mnist_spec: DataSpec) -> None:
    spec = RunSpec(data=mnist_spec, hidden=(100,), validation_size=10_000, budget={"steps": 300})  # type: ignore[arg-type]
    (result, network), (repeated, repeated_network) = (
        reference.train(spec, mnist),
        reference.train(spec, mnist),
    )
    different = {"provenance"}
    assert result.model_dump(exclude=different) == repeated.model_dump(exclude=different)
    assert result.predictions == repeated.predictions
    for ours, theirs in zip(flat(network.layers), flat(repeated_network.layers), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_global_generators_do_not_matter_and_are_left_alone(mnist: Dataset, mnist_spec: DataSpec) -> None:
    spec = small(mnist_spec, hidden=(10,))
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = torch.get_rng_state()
        losses.append(reference.train(spec, mnist)[0].curve.training_loss)
        assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1]


def test_threads_are_left_as_they_are(mnist: Dataset, mnist_spec: DataSpec) -> None:
    before = torch.get_num_threads()
    result, _ = reference.train(small(mnist_spec), mnist)
    assert torch.get_num_threads() == before == result.provenance.threads


# A golden curve: NUMERICS_VERSION must rise when it changes. In float64, so that it holds on every machine.
GOLDEN: dict[tuple[int, ...], list[float]] = {
    (): [
        1.810398777979961,
        0.7771247909441968,
        0.42037464504200067,
        0.3272155534892445,
        0.6723245487555267,
        0.6818505012426853,
    ],
    (30, 20): [
        2.2958943557514297,
        2.2570523588431732,
        2.0179241320495174,
        1.8031980809714874,
        1.7053051298707256,
        1.6934404539941301,
    ],
}


@pytest.mark.parametrize("hidden", [(), (30, 20)])
def test_the_golden_curve_guards_the_numerics_version(
    mnist: Dataset, mnist_spec: DataSpec, hidden: tuple[int, ...]
) -> None:
    spec = small(
        mnist_spec, hidden=hidden, optimiser={"learning_rate": 0.1, "momentum": 0.9}, validation_size=1_000
    )
    result, _ = reference.train(spec, mnist)
    ours = [*result.curve.training_loss[4::5], result.curve.validation_loss[-1], result.metrics.test_loss]
    np.testing.assert_allclose(ours, GOLDEN[hidden], rtol=1e-9)


# --- what a result holds ---


def test_metrics_are_those_of_the_final_network(mnist: Dataset, mnist_spec: DataSpec) -> None:
    spec = small(mnist_spec, hidden=(30,), validation_size=500, optimiser={"learning_rate": 0.5})
    result, network = reference.train(spec, mnist)
    parts = split(mnist.train.labels, train_size=250, validation_size=500, seed=11)
    x, labels = examples(spec, mnist)
    for images, classes, loss, accuracy in (
        (x, labels, result.metrics.training_set_loss, result.metrics.training_set_accuracy),
        (
            mnist.train.images[parts.validation].reshape(-1, 784) / 255,
            mnist.train.labels[parts.validation],
            result.metrics.validation_loss,
            result.metrics.validation_accuracy,
        ),
        (
            mnist.test.images.reshape(-1, 784) / 255,
            mnist.test.labels,
            result.metrics.test_loss,
            result.metrics.test_accuracy,
        ),
    ):
        hidden, out = network.layers
        logits = np.maximum(images @ hidden.weight.T + hidden.bias, 0) @ out.weight.T + out.bias
        by_hand, _ = backpropagation.loss_and_gradients(flat(network.layers), images, classes)
        assert loss == pytest.approx(by_hand, rel=1e-10)
        assert accuracy == (logits.argmax(1) == classes).mean()
    assert result.predictions is not None
    predictions = np.frombuffer(result.predictions, np.uint8)
    assert (predictions == mnist.test.labels).mean() == result.metrics.test_accuracy
    assert result.curve.validation_loss[-1] == result.metrics.validation_loss
    assert result.curve.training_loss[-1] == result.metrics.training_loss
    assert result.metrics.steps == STEPS == result.curve.step[-1]
    assert result.metrics.first_batch_loss == result.curve.training_loss[0]
    assert result.metrics.peak_batch_loss == max(result.curve.training_loss)


def test_a_point_of_the_curve_is_the_mean_since_the_one_before(mnist: Dataset, mnist_spec: DataSpec) -> None:
    each, _ = reference.train(small(mnist_spec), mnist)
    some, _ = reference.train(small(mnist_spec, evaluate_at=(3, 4, 15)), mnist)
    assert some.curve.step == (3, 4, 15, 20)
    losses = np.array(each.curve.training_loss)
    means = [losses[:3].mean(), losses[3], losses[4:15].mean(), losses[15:].mean()]
    assert some.curve.training_loss == pytest.approx(means, rel=1e-14)
    assert some.curve.validation_loss == ()
    assert some.metrics.validation_loss is None


def test_runs_of_one_seed_share_their_start_and_their_order(mnist: Dataset, mnist_spec: DataSpec) -> None:
    # Common random numbers: at rate 0 (nearly) only the network could tell two runs apart.
    tiny = {"learning_rate": 1e-12}
    with_sgd, _ = reference.train(small(mnist_spec, optimiser=tiny), mnist)
    with_adam, _ = reference.train(small(mnist_spec, optimiser={"kind": "adam", **tiny}), mnist)
    np.testing.assert_allclose(with_sgd.curve.training_loss, with_adam.curve.training_loss, rtol=1e-8)


# --- diverged, collapsed, completed ---


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(mnist: Dataset, mnist_spec: DataSpec) -> None:
    spec = RunSpec.model_validate(
        {
            "data": mnist_spec,
            "hidden": (50, 50),
            "optimiser": {"learning_rate": 2.0**60},
            "budget": {"steps": 400},
            "validation_size": 1_000,
            "initialisation": "he",
        }
    )
    result, _ = reference.train(spec, mnist)
    assert result.outcome == "diverged"
    assert 1 < result.metrics.steps < 400
    assert result.curve.step == (result.metrics.steps,)
    assert not math.isfinite(result.curve.training_loss[-1])
    assert not math.isfinite(result.metrics.peak_batch_loss)
    assert math.isfinite(result.metrics.first_batch_loss)
    assert all(math.isnan(value) for value in (*result.curve.validation_loss, result.metrics.test_loss))
    assert math.isnan(result.metrics.test_accuracy)
    assert result.metrics.validation_accuracy is not None
    assert math.isnan(result.metrics.validation_accuracy)
    assert result.predictions is None
    reread = RunResult.from_json(result.to_json())
    assert reread.to_json() == result.to_json()
    assert json.loads(result.to_json())["metrics"]["test_loss"] == "NaN"


@pytest.mark.parametrize(("batch_size", "rate"), [(8, 8.0), (100, 8.0), (1024, 8.0)])
def test_a_network_that_blew_up_and_ended_at_chance_collapsed(
    mnist: Dataset, mnist_spec: DataSpec, batch_size: int, rate: float
) -> None:
    spec = RunSpec.model_validate(
        {
            "data": mnist_spec,
            "hidden": (100, 100),
            "optimiser": {"learning_rate": rate},
            "batch_size": batch_size,
            "budget": {"steps": 300},
        }
    )
    result, _ = reference.train(spec, mnist)
    assert result.outcome == "collapsed"
    assert result.metrics.training_set_accuracy < 0.2
    assert result.predictions is not None


def test_a_network_that_has_not_learned_yet_is_completed(mnist: Dataset, mnist_spec: DataSpec) -> None:
    spec = RunSpec.model_validate(
        {"data": mnist_spec, "hidden": (100,) * 5, "budget": {"steps": 100}, "validation_size": 1_000}
    )
    result, _ = reference.train(spec, mnist)
    assert result.metrics.training_set_loss > 0.95 * math.log(10)
    assert result.outcome == "completed"


# --- other sizes, other last batches ---


@pytest.mark.parametrize(
    ("train_size", "batch_size", "last_batch", "sizes"),
    [
        (7, 3, "keep", [3, 3, 1]),
        (7, 3, "drop", [3, 3]),
        (6, 3, "drop", [3, 3]),
        (1, 1, "keep", [1]),
        (5, 5, "keep", [5]),
    ],
)
def test_every_epoch_sees_each_example_once_but_for_a_dropped_batch(
    mnist: Dataset, mnist_spec: DataSpec, train_size: int, batch_size: int, last_batch: str, sizes: list[int]
) -> None:
    spec = RunSpec.model_validate(
        {
            "data": mnist_spec,
            "train_size": train_size,
            "batch_size": batch_size,
            "last_batch": last_batch,
            "budget": {"epochs": 3},
        }
    )
    epoch_batches = list(batches(spec))
    assert [len(batch) for batch in epoch_batches] == sizes * 3
    orders = [
        np.concatenate(epoch_batches[i : i + len(sizes)]) for i in range(0, len(epoch_batches), len(sizes))
    ]
    assert all(len(set(order.tolist())) == sum(sizes) for order in orders)
    assert reference.train(spec, mnist)[0].metrics.steps == len(epoch_batches)


def test_epochs_have_orders_of_their_own_that_the_budget_does_not_change(mnist_spec: DataSpec) -> None:
    short = RunSpec.model_validate({"data": mnist_spec, "batch_size": 60_000, "budget": {"steps": 2}})
    long = RunSpec.model_validate({"data": mnist_spec, "batch_size": 60_000, "budget": {"steps": 3}})
    short_batches, long_batches = list(batches(short)), list(batches(long))
    assert all((a == b).all() for a, b in zip(short_batches, long_batches, strict=False))
    assert (short_batches[0] != short_batches[1]).mean() > 0.99


def test_progress_is_told_step_by_step_where_it_is_asked_for(mnist: Dataset, mnist_spec: DataSpec) -> None:
    messages: list[CohortProgress] = []
    spec = small(mnist_spec, budget={"steps": 120}, evaluate_at=(30, 60), validation_size=100)
    result, _ = reference.train(spec, mnist, watch=Watch(messages.append, seconds=0))
    assert [progress.step for progress in messages] == list(range(1, 121))
    (at_30,) = messages[29].runs()
    assert (at_30.key, at_30.step_count) == (spec.key, 120)
    assert at_30.training_loss == at_30.points[0].training_loss == result.curve.training_loss[0]
    assert (
        sum((progress.points for progress in messages[-1].runs()), ())[-1].validation_loss
        == result.curve.validation_loss[-1]
    )
    assert messages[-1].state[spec.key][1] == result.metrics.validation_accuracy
    messages.clear()
    reference.train(small(mnist_spec), mnist, watch=Watch(messages.append))
    assert all(0 <= accuracy <= 1 for progress in messages for _, accuracy in progress.state.values())
    assert len(messages) < 60


def test_a_cancelled_run_is_stopped(mnist: Dataset, mnist_spec: DataSpec) -> None:
    spec, cancelled = small(mnist_spec), set[str]()
    watch = Watch(lambda progress: cancelled.update(progress.state), cancelled, seconds=0)
    with pytest.raises(CancelledRunError):
        reference.train(spec, mnist, watch=watch)


def test_another_data_set_than_the_specs_is_refused(mnist: Dataset, mnist_spec: DataSpec) -> None:
    other = mnist_spec.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(SpecError, match="data: 'mnist' is not the data set given"):
        reference.train(small(other), mnist)


def test_a_device_that_is_not_there_is_refused(mnist: Dataset, mnist_spec: DataSpec) -> None:
    for device in ("tpu", "cuda:99", "cpu:x"):
        with pytest.raises(DeviceError, match=rf"device: '{device}' is not .*use .*cpu"):
            reference.train(small(mnist_spec), mnist, device=device)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_within_rounding(mnist: Dataset, mnist_spec: DataSpec, gpu: str) -> None:
    spec = small(mnist_spec, hidden=(30, 20), precision="float32", optimiser={"learning_rate": 0.1})
    ours, theirs = (reference.train(spec, mnist, device=device)[0] for device in ("cpu", gpu))
    np.testing.assert_allclose(theirs.curve.training_loss, ours.curve.training_loss, rtol=1e-4)


def test_what_its_bits_depend_on_is_recorded(mnist: Dataset) -> None:
    spec = lab.make_spec(steps=1, train_size=100)
    record = reference.train(spec, mnist)[0].provenance
    assert record.matmul_precision == torch.get_float32_matmul_precision()
    assert record.c_library
    assert record.compiler is None
    assert record.fingerprint.threads == torch.get_num_threads()
    backend: Any = torch.backends.mkldnn
    backend.matmul.fp32_precision = "bf16"  # for one backend: torch.get_float32_matmul_precision raises now
    try:
        assert reference.train(spec, mnist)[0].provenance.matmul_precision == "bf16"
    finally:
        backend.matmul.fp32_precision = "none"
    assert torch.get_float32_matmul_precision() == record.matmul_precision
