"""A trained network on a test set: on which one, and which classes are taken for which."""

from dataclasses import replace

import numpy as np
import pytest

import digitlab as dl
from digitlab.data import Dataset
from digitlab.engine.confusion import Confusion, confusion_of, confusion_on
from digitlab.errors import DataError, SpecError
from digitlab.models.trained import TrainedNetwork


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    file = tmp_path_factory.mktemp("weights") / "n.safetensors"
    dl.train(train_size=500, steps=50, learning_rate=0.5, save=file)
    return dl.load(file)


def test_a_network_is_evaluated_on_what_it_was_trained_on(network: TrainedNetwork, mnist: Dataset) -> None:
    found = confusion_on(network)
    assert found == confusion_of(network, mnist) == confusion_on(network, "mnist")
    right = network.probabilities(mnist.test.images).argmax(1) == mnist.test.labels
    assert found.accuracy == pytest.approx(float(np.mean(right)))


def test_data_that_are_no_longer_the_same_must_be_named(network: TrainedNetwork) -> None:
    before = network.spec.data.model_copy(update={"sha256": "0" * 64})
    other = replace(network, spec=network.spec.model_copy(update={"data": before}))
    with pytest.raises(DataError, match=r"expected 000000000000…, .*: --data mnist"):
        confusion_on(other)
    assert confusion_on(other, "mnist") == confusion_on(network)
    with pytest.raises(SpecError, match="is not the name of a data set"):
        confusion_on(network, "minst")


def test_mistakes_are_told_the_most_frequent_first() -> None:
    found = Confusion("three", ("a", "b", "c"), ((9, 2, 0), (5, 9, 1), (0, 0, 9)))
    assert found.mistakes == ((5, "b", "a"), (2, "a", "b"), (1, "b", "c"))
