"""The gradient noise scale against gradients of single examples by autograd."""

import numpy as np
import pytest
import torch

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.noise_scale import noise_scale
from digitlab.models.sequential import build


@pytest.mark.parametrize("hidden", [(), (7,), (6, 5)], ids=str)
def test_it_is_what_autograd_gives_example_by_example(mnist: Dataset, hidden: tuple[int, ...]) -> None:
    spec = lab.make_spec(hidden=hidden, steps=40, train_size=500, precision="float64", learning_rate=0.1)
    _, trained = lab.run(spec)
    images, labels = mnist.train.images[:60], mnist.train.labels[:60]
    network = build(trained.layers)
    inputs = torch.from_numpy(trained.scale.apply(images, "float64")).reshape(60, -1)
    gradients = []
    for x, label in zip(inputs, labels, strict=True):
        network.zero_grad()
        torch.nn.functional.cross_entropy(network(x[None]), torch.tensor([int(label)])).backward()
        gradients.append(torch.cat([p.grad.ravel() for p in network.parameters()]).numpy())  # type: ignore[union-attr]
    rows = np.array(gradients)
    trace = rows.var(axis=0, ddof=1).sum()
    squared = (rows.mean(0) ** 2).sum() - trace / 60
    found = noise_scale(trained, images, labels)
    assert found["trace"] == pytest.approx(trace, rel=1e-9)
    assert found["squared_gradient"] == pytest.approx(squared, rel=1e-9)
    assert found["noise_scale"] == pytest.approx(trace / squared, rel=1e-9)
