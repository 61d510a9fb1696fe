"""The reference engine: one network, trained as plainly as a textbook does. The oracle of all that is faster.

nn.Sequential, cross-entropy, autograd and torch.optim; data in memory, shuffled by index. As many
threads as torch has. The same RunSpec twice gives the same bits.
"""

import math
import time
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from digitlab.data.arrays import Dataset
from digitlab.engine.device import find_device, telling_of_memory
from digitlab.engine.evaluate import evaluate
from digitlab.engine.evaluation import Evaluation
from digitlab.engine.examples import RunInputs, run_inputs
from digitlab.engine.history import Record, conclude
from digitlab.engine.inputs import check_data_set
from digitlab.engine.progress import OnProgress, Progress, ignore
from digitlab.engine.provenance import provenance
from digitlab.engine.sampling import batches
from digitlab.engine.schedules import learning_rate
from digitlab.engine.torch_devices import matmul_precision
from digitlab.engine.torch_settings import training_with_torch
from digitlab.models.parameters import initial_layers
from digitlab.models.sequential import build, layers_of
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import SGD, Adam, Optimiser, RunSpec

_STEPS_BETWEEN_REPORTS = 50


def train(
    spec: RunSpec, dataset: Dataset, *, device: str = "cpu", on_progress: OnProgress = ignore
) -> tuple[RunResult, TrainedNetwork]:
    """Train the network that `spec` describes on its data set.

    device: `cpu`, `cuda`, `cuda:1`, `mps`
    Raises DeviceError when the device is not there, SpecError when the data set is not the spec's, RunError
    when memory does not suffice.
    """
    check_data_set(spec, dataset)
    found = find_device(device, spec.precision)
    place = torch.device(found.name)
    start = time.perf_counter()
    with training_with_torch(place), telling_of_memory():
        inputs = run_inputs(spec, dataset, place)
        layers = initial_layers(spec.layer_sizes, spec.initialisation, spec.seed, spec.precision)
        network = build(layers, place)
        record = _fit(spec, inputs, network, on_progress)
        train = test = Evaluation.unknown()
        if record.is_finite():
            train, test = evaluate(network, inputs.train), evaluate(network, inputs.test)
        where = provenance(
            "reference",
            found,
            time.perf_counter() - start,
            threads=torch.get_num_threads(),
            matmul_precision=matmul_precision(found.kind),
        )
    result = conclude(spec, record, train=train, test=test, provenance=where)
    return result, TrainedNetwork(spec, inputs.scale, layers_of(network))


def _fit(spec: RunSpec, inputs: RunInputs, network: nn.Sequential, on_progress: OnProgress) -> Record:
    """Train the network in place, until the budget is spent or a loss is not finite."""
    optimiser = _optimiser(spec.optimiser, network.parameters())
    evaluation_steps = frozenset(spec.evaluation_steps)
    record = Record()
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
