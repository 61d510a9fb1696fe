"""The reference engine: one network, trained as plainly as a textbook does. The oracle of all that is faster.

nn.Sequential, cross-entropy, autograd and torch.optim; data in memory, shuffled by index. Torch's threads
stay as they are. The same RunSpec twice gives the same bits.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from digitlab import networks
from digitlab.datasets.dataset import Dataset
from digitlab.engine.device import find_device, telling_of_memory
from digitlab.engine.evaluate import Evaluation, evaluate
from digitlab.engine.inputs import RunInputs, run_inputs
from digitlab.engine.order import batches
from digitlab.engine.outcome import judge
from digitlab.engine.progress import OnProgress, Progress, ignore
from digitlab.engine.provenance import provenance
from digitlab.engine.rates import learning_rate
from digitlab.errors import Fault, SpecError
from digitlab.result import Curve, Metrics, Outcome, RunResult
from digitlab.spec import SGD, Adam, Optimiser, RunSpec
from digitlab.trained import TrainedNetwork

_STEPS_BETWEEN_REPORTS = 50


def train(
    spec: RunSpec, dataset: Dataset, *, device: str = "cpu", on_progress: OnProgress = ignore
) -> tuple[RunResult, TrainedNetwork]:
    """Train the network that `spec` describes on its data set.

    device: `cpu`, `cuda`, `cuda:1`, `mps`
    Raises DeviceError when the device is not there, SpecError when the data set is not the spec's, RunError
    when memory does not suffice.
    """
    if dataset.entry.data_spec != spec.data:
        raise SpecError(
            [
                Fault(
                    "data",
                    spec.data.name,
                    f"is not the data set given ({dataset.entry.name}); load the one it names",
                )
            ]
        )
    place = find_device(device, spec.precision)
    start = time.perf_counter()
    with telling_of_memory():
        inputs = run_inputs(spec, dataset, place)
        layers = networks.initial_layers(spec.layer_sizes, spec.initialisation, spec.seed, spec.precision)
        network = networks.build(layers, place)
        record = _fit(spec, inputs, network, on_progress)
        outcome, metrics, predictions = _conclude(spec, inputs, network, record)
    result = RunResult.of(
        spec,
        outcome=outcome,
        curve=record.curve(),
        metrics=metrics,
        provenance=provenance("reference", place, time.perf_counter() - start),
        predictions=predictions,
    )
    return result, TrainedNetwork(spec, inputs.scale, networks.layers_of(network))


@dataclass
class _Record:
    """What is written down while the network trains: the curve so far, and the batch losses since its end."""

    step: list[int] = field(default_factory=list)
    training_loss: list[float] = field(default_factory=list)
    validation: list[Evaluation] = field(default_factory=list)
    steps: int = 0
    first_batch_loss: float = math.nan
    peak_batch_loss: float = -math.inf
    loss_sum: float = 0.0

    @property
    def mean_batch_loss(self) -> float:
        """Mean loss of the batches since the curve's last point."""
        return self.loss_sum / (self.steps - (self.step[-1] if self.step else 0))

    def add_batch(self, loss: float) -> None:
        self.steps += 1
        self.loss_sum += loss
        self.first_batch_loss = loss if self.steps == 1 else self.first_batch_loss
        if not loss <= self.peak_batch_loss:  # so written, a loss that is not a number is a peak
            self.peak_batch_loss = loss

    def add_point(self, validation: Evaluation | None) -> None:
        self.training_loss.append(self.mean_batch_loss)
        self.step.append(self.steps)
        self.loss_sum = 0.0
        if validation is not None:
            self.validation.append(validation)

    def curve(self) -> Curve:
        return Curve(
            step=tuple(self.step),
            training_loss=tuple(self.training_loss),
            validation_loss=tuple(evaluation.loss for evaluation in self.validation),
            validation_accuracy=tuple(evaluation.accuracy for evaluation in self.validation),
        )

    def is_finite(self) -> bool:
        """Whether every loss so far was finite."""
        return math.isfinite(self.peak_batch_loss) and all(math.isfinite(v.loss) for v in self.validation)


def _fit(spec: RunSpec, inputs: RunInputs, network: nn.Sequential, on_progress: OnProgress) -> _Record:
    """Train the network in place, until the budget is spent or a loss is not finite."""
    optimiser = _optimiser(spec.optimiser, network.parameters())
    evaluation_steps = frozenset(spec.evaluation_steps)
    record = _Record()
    for positions in batches(spec):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(spec, record.steps)
        batch = torch.from_numpy(positions).to(inputs.train.labels.device)
        labels = inputs.train.labels[batch]  # [batch]
        logits = network(inputs.train.inputs[batch])  # [batch, classes]
        loss = cross_entropy(logits, labels)
        record.add_batch(loss.item())
        if not math.isfinite(record.peak_batch_loss):
            record.add_point(Evaluation.unknown() if len(inputs.validation) else None)
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        reports = record.steps % _STEPS_BETWEEN_REPORTS == 0
        mean_loss = record.mean_batch_loss
        if record.steps in evaluation_steps:
            record.add_point(evaluate(network, inputs.validation) if len(inputs.validation) else None)
            if not record.is_finite():
                break
            reports = True
        if reports:
            accuracy = (
                record.validation[-1].accuracy
                if record.validation
                else (logits.argmax(1) == labels).double().mean().item()
            )
            on_progress(Progress(record.steps, spec.step_count, mean_loss, accuracy))
    return record


def _optimiser(chosen: Optimiser, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    if isinstance(chosen, SGD):
        return torch.optim.SGD(
            parameters,
            lr=chosen.learning_rate,
            momentum=chosen.momentum,
            nesterov=chosen.nesterov,
            weight_decay=chosen.weight_decay,
        )
    adam = torch.optim.Adam if isinstance(chosen, Adam) else torch.optim.AdamW
    return adam(
        parameters,
        lr=chosen.learning_rate,
        betas=(chosen.beta1, chosen.beta2),
        eps=chosen.epsilon,
        weight_decay=chosen.weight_decay,
    )


def _conclude(
    spec: RunSpec, inputs: RunInputs, network: nn.Sequential, record: _Record
) -> tuple[Outcome, Metrics, bytes | None]:
    """Outcome, metrics and test predictions of a run that has ended."""
    train = test = Evaluation.unknown()
    if record.is_finite():
        train, test = evaluate(network, inputs.train), evaluate(network, inputs.test)
    outcome = judge(
        losses_finite=record.is_finite() and math.isfinite(train.loss) and math.isfinite(test.loss),
        training_set_loss=train.loss,
        first_batch_loss=record.first_batch_loss,
        peak_batch_loss=record.peak_batch_loss,
        has_dead_layer=train.has_dead_layer,
        classes=spec.data.classes,
    )
    validation = record.validation[-1] if record.validation else None
    if outcome == "diverged":
        train = test = Evaluation.unknown()
        validation = Evaluation.unknown() if record.validation else None
    metrics = Metrics(
        training_loss=record.training_loss[-1],
        training_set_loss=train.loss,
        training_set_accuracy=train.accuracy,
        validation_loss=validation.loss if validation else None,
        validation_accuracy=validation.accuracy if validation else None,
        test_loss=test.loss,
        test_accuracy=test.accuracy,
        first_batch_loss=record.first_batch_loss,
        peak_batch_loss=record.peak_batch_loss,
        steps=record.steps,
    )
    return outcome, metrics, None if outcome == "diverged" else test.predictions.tobytes()
