"""The reference engine: one network, trained as plainly as a textbook does. The oracle of all that is faster.

nn.Sequential, cross-entropy, autograd and torch.optim; data in memory, shuffled by index. As many
threads as torch has. The same RunSpec twice gives the same bits.
"""

import time
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from digitlab.data.arrays import Dataset
from digitlab.engine.device import find_device, memory_errors_named
from digitlab.engine.evaluate import evaluate
from digitlab.engine.evaluation import Evaluation
from digitlab.engine.examples import RunInputs, run_inputs
from digitlab.engine.history import History, result_of
from digitlab.engine.inputs import check_data_set
from digitlab.engine.progress import NOBODY, CancelledRunError, CohortProgress, Watch
from digitlab.engine.provenance import provenance
from digitlab.engine.sampling import batches
from digitlab.engine.schedules import learning_rate
from digitlab.engine.torch_devices import matmul_precision
from digitlab.engine.torch_settings import training_with_torch
from digitlab.models.parents import first_layers
from digitlab.models.sequential import build, layers_of
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.spec import SGD, Adam, Optimiser, RunSpec


def train(
    spec: RunSpec, dataset: Dataset, *, device: str = "cpu", watch: Watch = NOBODY
) -> tuple[RunResult, TrainedNetwork]:
    """Train the network that `spec` describes on its data set.

    device: `cpu`, `cuda`, `cuda:1`, `mps`
    watch:  is told where the run is, and may cancel it
    Raises DeviceError when the device is not there, SpecError when the data set is not the spec's, RunError
    when memory does not suffice, CancelledRunError when the watch cancels the run, and what `first_layers`
    raises.
    """
    check_data_set(spec, dataset)
    found = find_device(device, spec.precision)
    torch_device = torch.device(found.name)
    start = time.perf_counter()
    with training_with_torch(torch_device), memory_errors_named():
        inputs = run_inputs(spec, dataset, torch_device)
        network = build(first_layers(spec), torch_device)
        history = _fit(spec, inputs, network, watch)
        train = test = Evaluation.unknown()
        if history.is_finite():
            train, test = evaluate(network, inputs.train), evaluate(network, inputs.test)
        record = provenance(
            "reference",
            found,
            time.perf_counter() - start,
            threads=torch.get_num_threads(),
            matmul_precision=matmul_precision(found.kind),
        )
    result = result_of(spec, history, train=train, test=test, provenance=record)
    return result, TrainedNetwork(spec, inputs.scale, layers_of(network))


def _fit(spec: RunSpec, inputs: RunInputs, network: nn.Sequential, watch: Watch) -> History:
    """Train the network in place, until the budget or the patience is spent or a loss is not finite.

    With patience it is, in the end, the network of the lowest validation loss.
    """
    optimiser = _optimiser(spec.optimiser, network.parameters())
    evaluation_steps = frozenset(spec.evaluation_steps)
    key, history, reported, best = spec.key, History(), 0, network.state_dict()
    for positions in batches(spec):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(spec, history.steps)
        batch = torch.from_numpy(positions).to(inputs.train.labels.device)
        labels = inputs.train.labels[batch]  # [batch]
        logits = network(inputs.train.inputs[batch])  # [batch, classes]
        loss = cross_entropy(logits, labels)
        history.add_batch(loss.item())
        if not history.is_finite():
            history.add_point(Evaluation.unknown() if len(inputs.validation) else None)
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if history.steps in evaluation_steps:
            history.add_point(evaluate(network, inputs.validation) if len(inputs.validation) else None)
            if not history.is_finite():
                break
            if spec.patience and history.has_improved:
                best = deepcopy(network.state_dict())
        if key in watch.cancelled:
            raise CancelledRunError
        is_over = history.is_out_of_patience(spec.patience)
        if watch.is_due(history.steps, history.steps if is_over else spec.step_count):
            accuracy = (
                history.validation.accuracy
                if history.validation
                else (logits.argmax(1) == labels).double().mean().item()
            )
            points = {key: tuple(history.points[reported:])} if history.points[reported:] else {}
            reported = len(history.points)
            state = {key: (history.recent_loss, accuracy)}
            watch.tell(CohortProgress(key, history.steps, spec.step_count, state, points))
        if is_over:
            break
    if spec.patience and history.is_finite():
        network.load_state_dict(best)
    return history


def _optimiser(settings: Optimiser, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    if isinstance(settings, SGD):
        return torch.optim.SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
    adam = torch.optim.Adam if isinstance(settings, Adam) else torch.optim.AdamW
    return adam(
        parameters,
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
    )
