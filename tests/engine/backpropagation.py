"""Backpropagation by hand in float64 NumPy: the independent reference of the reference engine.

Nielsen, Neural Networks and Deep Learning, chapter 2 (BP1-BP4), for softmax and cross-entropy, where the
output error is p - y. Optimisers from their papers: Sutskever et al. 2013 (momentum, Nesterov, as PyTorch
documents its form), Kingma & Ba 2015 (algorithm 1), Loshchilov & Hutter 2019 (algorithm 2).
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

from digitlab.spec import SGD, Adam, Optimiser

Array = np.ndarray
Update = Callable[[list[Array], list[Array], float], None]


def loss_and_gradients(parameters: list[Array], x: Array, labels: Array) -> tuple[float, list[Array]]:
    """Mean cross-entropy of a batch and its gradients, for parameters W0, b0, W1, b1, …"""
    weights, biases = parameters[::2], parameters[1::2]
    activations = [x]
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        z = activations[-1] @ weight.T + bias
        activations.append(np.maximum(z, 0) if i < len(weights) - 1 else z)
    logits = activations.pop()
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    y = np.eye(logits.shape[1])[labels]
    loss = -float(np.mean(np.log((p * y).sum(axis=1))))
    delta = (p - y) / len(x)
    gradients: list[Array] = []
    for i in reversed(range(len(weights))):
        gradients = [delta.T @ activations[i], delta.sum(axis=0), *gradients]
        delta = (delta @ weights[i]) * (activations[i] > 0)
    return loss, gradients


def optimiser(settings: Optimiser) -> Update:
    """The update of one step, in place: (parameters, gradients, learning rate)."""
    if isinstance(settings, SGD):
        return _sgd(settings)
    return _adam(
        settings.beta1,
        settings.beta2,
        settings.epsilon,
        settings.weight_decay,
        decoupled=not isinstance(settings, Adam),
    )


def _sgd(settings: SGD) -> Update:
    velocities: dict[int, Array] = {}

    def update(parameters: list[Array], gradients: list[Array], rate: float) -> None:
        for i, (parameter, plain) in enumerate(zip(parameters, gradients, strict=True)):
            gradient = plain + settings.weight_decay * parameter
            velocities[i] = settings.momentum * velocities[i] + gradient if i in velocities else gradient
            step = gradient + settings.momentum * velocities[i] if settings.nesterov else velocities[i]
            parameter -= rate * step

    return update


def _adam(beta1: float, beta2: float, epsilon: float, decay: float, *, decoupled: bool) -> Update:
    first: dict[int, Array] = {}
    second: dict[int, Array] = {}
    t = 0

    def update(parameters: list[Array], gradients: list[Array], rate: float) -> None:
        nonlocal t
        t += 1
        for i, (parameter, plain) in enumerate(zip(parameters, gradients, strict=True)):
            gradient = plain if decoupled else plain + decay * parameter
            first[i] = beta1 * first.get(i, np.zeros_like(gradient)) + (1 - beta1) * gradient
            second[i] = beta2 * second.get(i, np.zeros_like(gradient)) + (1 - beta2) * gradient**2
            m, v = first[i] / (1 - beta1**t), second[i] / (1 - beta2**t)
            if decoupled:
                parameter -= rate * decay * parameter
            parameter -= rate * m / (np.sqrt(v) + epsilon)

    return update


def train(
    parameters: list[Array],
    batches: Iterable[tuple[Array, Array]],
    update: Update,
    rate: Callable[[int], float],
) -> list[float]:
    """Train in place; the loss of each batch before its step."""
    losses = []
    for step, (x, labels) in enumerate(batches):
        loss, gradients = loss_and_gradients(parameters, x, labels)
        losses.append(loss)
        update(parameters, gradients, rate(step))
    return losses


def warmup_cosine(peak: float, warmup: int, steps: int, final: float) -> Callable[[int], float]:
    """The schedule by its definition: up in a line, down along half a cosine."""

    def rate(step: int) -> float:
        if step < warmup:
            return peak * (step + 1) / warmup
        return peak * (
            final + (1 - final) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
        )

    return rate
