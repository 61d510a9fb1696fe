"""Whose handwriting: who wrote each image of a data set, as QMNIST's label files say it.

The files lie beside the data set in the cache, fetched or imported. They are no part of it and of no package:
nothing needs them but what asks for writers.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from digitlab.data import cache
from digitlab.data.catalog import CATALOG, WRITER_FILES, DatasetEntry, ImagePart, WriterLabels
from digitlab.data.idx import IdxFile
from digitlab.errors import DataError, Fault, SpecError

PUPILS = 4
"""NIST's series ("hsf_4") that pupils of a high school wrote; staff of the Census Bureau wrote the others."""

_SERIES, _WRITER = 1, 2
"""Columns of the extended labels."""


@dataclass(frozen=True, eq=False)
class Writers:
    """Who wrote each image, in the order of a data set's images; read-only.

    train_writer, test_writer: number of its writer; in MNIST nobody wrote for both
    train_series, test_series: number of its series: PUPILS, or one of the Census Bureau's
    """

    train_writer: Int32[np.ndarray, "train"]
    test_writer: Int32[np.ndarray, "test"]
    train_series: Int32[np.ndarray, "train"]
    test_series: Int32[np.ndarray, "test"]


def load_writers(name: str = "mnist") -> Writers:
    """Who wrote the images of the data set of this name, from verified files.

    Raises SpecError when nobody knows who wrote its images; DataError when the files that say it are not on
    this machine, or are not what they should be.
    """
    known, _ = writer_labels(name)
    if not is_there(name):
        found = "no label files that say it on this machine"
        raise DataError(f"the writers of {name}", found, "the two of QMNIST", how_to_get(name))
    rows = {
        part: file.parse_extended(verified_payload(known, part, file))
        for part, file in cached_files(known).items()
    }
    columns = {}
    for part, of_part in rows.items():
        for what, column in (("writer", _WRITER), ("series", _SERIES)):
            columns[f"{part}_{what}"] = values = of_part[:, column].copy()
            values.flags.writeable = False
    return Writers(**columns)


def writer_labels(name: str) -> tuple[DatasetEntry, WriterLabels]:
    """The catalogue's entry of this data set, and what it says of the files that name the writers.

    Raises SpecError when it says nothing of them.
    """
    known = CATALOG.get(name)
    if known is None or known.writers is None:
        having = " or ".join(entry.name for entry in CATALOG.values() if entry.writers)
        raise SpecError([Fault("data", name, f"has no files that say who wrote its images; use {having}")])
    return known, known.writers


def how_to_get(name: str) -> str:
    """What to do where the files are missing or damaged."""
    return (
        f"run `digitlab data fetch {name} --writers`, or import files you have with "
        f"`digitlab data import {name} PATH --writers`"
    )


def cache_name(name: str) -> str:
    """The name in the cache of the folder of a data set's writers: that of no data set, for it has a dot."""
    return f"{name}.writers"


def is_there(name: str) -> bool:
    """Whether the files lie in the cache (verified or not)."""
    return cache.is_there(cache_name(name))


def cached_files(known: DatasetEntry) -> dict[ImagePart, IdxFile]:
    """The files in the cache, whether they are there or not."""
    folder = cache.folder(cache_name(known.name))
    return {part: label_file(folder / name, how_to_get(known.name)) for part, name in WRITER_FILES.items()}


def label_file(path: Path, remedy: str) -> IdxFile:
    """A file of extended labels, of any number of rows: QMNIST's test images are six times MNIST's."""
    return IdxFile(path, "extended labels", remedy)


def verified_payload(known: DatasetEntry, part: ImagePart, file: IdxFile) -> bytes:
    """The payload of the rows of this part's images, which are the file's first, verified by their digest.

    Raises DataError; SpecError when the catalogue knows no digest.
    """
    _, labels = writer_labels(known.name)
    payload, count = file.read(), known.item_count(part)
    if len(payload) < file.payload_bytes(count):
        rows = len(file.parse_extended(payload))
        raise file.fault(f"{rows:,} extended labels", f"at least {count:,}, one for each image")
    own = file.first(payload, count)
    digest = hashlib.sha256(own).hexdigest()
    if digest != labels.payload_sha256[part]:
        found = f"extended labels of which the first {count:,} have the SHA-256 {digest}"
        raise file.fault(found, f"{labels.payload_sha256[part]} for the {part} images of {known.name}")
    return own
