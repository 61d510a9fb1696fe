"""Evaluating an nn.Sequential: its loss, predictions and dead layers on a set of examples."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from digitlab.engine.evaluation import Evaluation
from digitlab.engine.examples import Examples

_CHUNK = 10_000
"""Examples evaluated at once: bounds the memory that activations take."""


def evaluate(network: nn.Sequential, examples: Examples) -> Evaluation:
    """Evaluate a network; losses are summed in float64."""
    loss_sum = 0.0
    predictions = []
    layer_peaks: dict[int, float] = {}
    with torch.inference_mode():
        for start in range(0, len(examples), _CHUNK):
            activations = examples.inputs[start : start + _CHUNK]  # [chunk, 784]
            labels = examples.labels[start : start + _CHUNK]
            for i, module in enumerate(network):
                activations = module(activations)  # [chunk, units]
                if isinstance(module, nn.ReLU):
                    layer_peaks[i] = max(layer_peaks.get(i, 0.0), activations.max().item())
            losses = cross_entropy(activations, labels, reduction="none")  # [chunk]
            loss_sum += losses.cpu().double().sum().item()
            predictions.append(activations.argmax(1).to("cpu", torch.uint8))
    predicted = torch.cat(predictions)
    return Evaluation(
        loss=loss_sum / len(examples),
        accuracy=(predicted == examples.labels.cpu()).double().mean().item(),
        predictions=predicted.numpy(),
        has_dead_layer=0.0 in layer_peaks.values(),
    )
