"""Fashion-MNIST for real: imported from Debian's package, and learned."""

import os
from pathlib import Path

import pytest

import digitlab as dl
from digitlab.data.importing import import_directory

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.slow
@pytest.mark.skipif(
    not DEBIAN.is_dir() and not os.environ.get("CI"), reason="needs Debian's package dataset-fashion-mnist"
)
def test_fashion_mnist_is_imported_and_learned(empty_data_directory: Path) -> None:
    entry = import_directory("fashion-mnist", DEBIAN)
    assert entry.class_names[9] == "Ankle boot"
    dataset = dl.load_dataset("fashion-mnist")
    assert dataset.train.labels[:4].tolist() == [9, 0, 0, 3]
    result = dl.train(data="fashion-mnist", hidden=(100,), learning_rate=0.1, epochs=10)
    assert result.metrics.test_accuracy >= 0.83
    # As a new name the same files have the same payloads.
    assert import_directory("clothes", DEBIAN).payload_sha256 == entry.payload_sha256
