"""What networks get wrong, from the store: which runs belong together, and what they all miss."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.engine.confusion import confusion_of
from digitlab.mistakes import LEAST_NETWORKS, keys_of_other_seeds, mistakes_of
from digitlab.models.trained import TrainedNetwork
from digitlab.result import RunResult
from digitlab.store import Store, open_store

OPTIONS = {"hidden": (8,), "train_size": 300, "steps": 40, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    return [lab.train(seed=seed, **OPTIONS) for seed in range(LEAST_NETWORKS)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def network() -> TrainedNetwork:
    return lab.run(lab.make_spec(seed=0, **OPTIONS))[1]  # type: ignore[arg-type]


@pytest.fixture
def store(results: list[RunResult], tmp_path: Path) -> Iterator[Store]:
    """A store of these runs, and of some that are not like them."""
    with closing(open_store(tmp_path / "runs.db")) as opened:
        opened.add(results)
        others: list[dict[str, object]] = [{"steps": 41}, {"batch_size": 50}, {"learning_rate": 1e18}]
        opened.add([lab.train(**OPTIONS | other) for other in others])  # type: ignore[arg-type]
        yield opened


def test_runs_that_differ_in_their_seed_alone(store: Store, results: list[RunResult]) -> None:
    assert set(keys_of_other_seeds(results[0].spec, store)) == {result.key for result in results}


def test_what_all_networks_miss_is_what_their_predictions_say(
    store: Store, results: list[RunResult], network: TrainedNetwork, mnist: Dataset
) -> None:
    found = mistakes_of(network, store, 5)
    assert found.missed is not None
    wrong = np.array(
        [np.frombuffer(result.predictions or b"", np.uint8) != mnist.test.labels for result in results]
    )
    assert found.missed.count == int(wrong.all(axis=0).sum()) > 5
    assert (found.missed.networks, len(found.missed.digits)) == (LEAST_NETWORKS, 5)
    for digit in found.missed.digits:
        assert wrong[:, digit.index].all()
        assert np.array_equal(digit.image, mnist.test.images[digit.index])
        assert sum(votes for _, votes in digit.votes) == LEAST_NETWORKS


def test_a_network_s_mistakes(store: Store, network: TrainedNetwork, mnist: Dataset) -> None:
    found = mistakes_of(network, None, 5)
    assert found.missed is None
    assert found.confusion == confusion_of(network, mnist)
    assert [accuracy.value for accuracy in found.accuracies] == [
        found.confusion.accuracy,
        *found.confusion.class_accuracy,
    ]
    assert all(accuracy.low < accuracy.value < accuracy.high for accuracy in found.accuracies)
    assert len(found.network.misclassified) == 5
    for digit in found.network.misclassified:
        assert digit.label == mnist.test.labels[digit.index]
        assert np.array_equal(digit.image, mnist.test.images[digit.index])
        assert digit.probabilities == pytest.approx(
            network.probabilities(mnist.test.images[digit.index : digit.index + 1])[0], abs=1e-6
        )
        assert int(np.argmax(digit.probabilities)) != digit.label
    assert f"test accuracy {found.confusion.accuracy:.4f}." in found.network.caption


def test_a_few_networks_say_nothing_of_the_images(
    results: list[RunResult], network: TrainedNetwork, tmp_path: Path
) -> None:
    with closing(open_store(tmp_path / "few.db")) as few:
        few.add(results[1:])
        assert mistakes_of(network, few).missed is None
