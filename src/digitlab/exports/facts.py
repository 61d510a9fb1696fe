"""What an exported file says of its network: its RunSpec, its data, its accuracy on the test images."""

import json
from dataclasses import dataclass

from digitlab.data import Dataset
from digitlab.engine.confusion import confusion_of, own_dataset
from digitlab.models.trained import TrainedNetwork


@dataclass(frozen=True, eq=False)
class Facts:
    """A network with the data set that it was trained on, and how well it does there.

    test_accuracy: share of all test images
    """

    network: TrainedNetwork
    dataset: Dataset
    test_accuracy: float

    @property
    def metadata(self) -> dict[str, str]:
        """All of it as texts by name, for a file's header."""
        spec = self.network.spec
        return {
            "digitlab_spec": spec.canonical_json,
            "digitlab_key": spec.key,
            "data": spec.data.name,
            "data_sha256": spec.data.sha256,
            "class_names": json.dumps(self.dataset.entry.class_names),
            "test_accuracy": repr(self.test_accuracy),
        }

    @property
    def sentence(self) -> str:
        """In words, on one line."""
        spec = self.network.spec
        return f"{spec.network_name}, trained on {spec.data.name}, test accuracy {self.test_accuracy:.4f}"


def facts_of(network: TrainedNetwork) -> Facts:
    """Evaluate a network on the test images of its own data set.

    Raises DataError when that is not on this machine or no longer what the network was trained on,
    WeightsError when the network has no probabilities.
    """
    dataset = own_dataset(network)
    return Facts(network, dataset, confusion_of(network, dataset).accuracy)
