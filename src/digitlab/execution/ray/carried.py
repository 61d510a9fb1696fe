"""A data set as it travels to a node: plain arrays, and what they must be."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digitlab.data.arrays import Dataset, LabelledImages
from digitlab.data.catalog import DatasetEntry, FileRole, file_kind
from digitlab.data.idx import IdxFile

Arrays = Mapping[FileRole, np.ndarray]


@dataclass(frozen=True)
class Carried:
    """A data set whose arrays lie in the object store of a cluster.

    entry:  what is known of it, with the digests of its arrays
    arrays: reference to its `Arrays`, of which a node has one copy that its workers share
    """

    entry: DatasetEntry
    arrays: Any


def arrays_of(dataset: Dataset) -> dict[FileRole, np.ndarray]:
    """The four arrays of a data set."""
    return {
        "train_images": dataset.train.images,
        "train_labels": dataset.train.labels,
        "test_images": dataset.test.images,
        "test_labels": dataset.test.labels,
    }


def dataset_of(entry: DatasetEntry, arrays: Arrays) -> Dataset:
    """The data set of such arrays, which are shared and not looked into."""
    return Dataset(
        entry,
        train=LabelledImages(arrays["train_images"], arrays["train_labels"]),
        test=LabelledImages(arrays["test_images"], arrays["test_labels"]),
    )


def verify(entry: DatasetEntry, arrays: Arrays, place: str) -> None:
    """Hash the arrays as the files that they come from.

    place: where they are, for the error
    Raises DataError when a digest is not the entry's.
    """
    for role, array in arrays.items():
        file = IdxFile(Path(f"{entry.name}, {role} on {place}"), file_kind(role), "run it again")
        digest = hashlib.sha256(file.header(len(array)))
        digest.update(np.ascontiguousarray(array).data)
        if (found := digest.hexdigest()) != entry.payload_sha256[role]:
            raise file.fault(
                f"an array with SHA-256 {found}", f"{entry.payload_sha256[role]} for {entry.name}"
            )
