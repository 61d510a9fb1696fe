"""Networks: what they start from, and their two forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from digitlab.models.parameters import initial_layers
from digitlab.models.sequential import build, layers_of
from digitlab.spec import Initialisation

SIZES = (784, 100, 100, 10)


def test_torch_initialisation_is_that_of_nn_linear() -> None:
    torch.manual_seed(0)
    for layer, (inputs, outputs) in zip(
        initial_layers(SIZES, "torch", 0, "float64"), [(784, 100), (100, 100), (100, 10)], strict=True
    ):
        linear = nn.Linear(inputs, outputs, dtype=torch.float64)
        bound = 1 / math.sqrt(inputs)
        for ours, theirs in ((layer.weight, linear.weight), (layer.bias, linear.bias)):
            assert ours.shape == tuple(theirs.shape)
            for array in (ours, theirs.detach().numpy()):
                assert np.abs(array).max() <= bound
                # Uniform in ±bound: mean 0, sd bound/√3, each within 4 standard errors.
                n = array.size
                assert abs(array.mean()) < 4 * bound / math.sqrt(3 * n)
                assert abs(array.var() - bound**2 / 3) < 4 * bound**2 * math.sqrt(4 / 45 / n)


@pytest.mark.parametrize(
    ("initialisation", "deviations"),
    [
        ("he", [math.sqrt(2 / 784), math.sqrt(2 / 100), math.sqrt(2 / 100)]),
        ("glorot", [math.sqrt(2 / 884), math.sqrt(2 / 200), math.sqrt(2 / 110)]),
    ],
)
def test_he_and_glorot_have_their_variances(initialisation: Initialisation, deviations: list[float]) -> None:
    for layer, deviation in zip(initial_layers(SIZES, initialisation, 1, "float64"), deviations, strict=True):
        assert layer.weight.std() == pytest.approx(deviation, rel=4 / math.sqrt(2 * layer.weight.size))
        assert (layer.bias == 0).all()
        if initialisation == "glorot":
            assert np.abs(layer.weight).max() <= math.sqrt(3) * deviation


def test_layers_of_equal_place_and_shape_start_equal_whatever_the_rest() -> None:
    shallow, deep = (
        initial_layers((784, 100, 10), "torch", 5, "float32"),
        initial_layers(SIZES, "torch", 5, "float32"),
    )
    assert (shallow[0].weight == deep[0].weight).all()
    assert (shallow[0].bias == deep[0].bias).all()
    assert shallow[1].weight.shape != deep[1].weight.shape
    other = initial_layers(SIZES, "torch", 6, "float32")
    assert not (other[0].weight == deep[0].weight).any()


def test_float32_is_float64_rounded() -> None:
    for single, double in zip(
        initial_layers(SIZES, "he", 2, "float32"), initial_layers(SIZES, "he", 2, "float64"), strict=True
    ):
        assert single.weight.dtype == np.float32
        assert (single.weight == double.weight.astype(np.float32)).all()


def test_a_network_is_linear_relu_linear_and_gives_its_parameters_back() -> None:
    layers = initial_layers(SIZES, "torch", 0, "float32")
    network = build(layers)
    assert [type(module) for module in network] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert list(network.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]
    assert [type(module) for module in build(initial_layers((784, 10), "torch", 0, "float32"))] == [nn.Linear]
    for given, back in zip(layers, layers_of(network), strict=True):
        assert (given.weight == back.weight).all()
        assert (given.bias == back.bias).all()


def test_a_network_has_parameters_of_its_own() -> None:
    layers = initial_layers((784, 10), "torch", 0, "float32")
    before = layers[0].weight.copy()
    network = build(layers)
    with torch.no_grad():
        next(network.parameters()).zero_()
    assert (layers[0].weight == before).all()


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build(initial_layers(SIZES, "torch", 0, "float32"))
    assert torch.equal(torch.get_rng_state(), before)
