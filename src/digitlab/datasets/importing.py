"""Importing: the four IDX files of a data set from a directory, gzip or raw, into the cache."""

import hashlib
import os
import re
from pathlib import Path

from digitlab.datasets import cache
from digitlab.datasets.catalog import CATALOG, FILE_NAMES, DatasetEntry, FileRole, file_kind
from digitlab.datasets.idx import IdxFile
from digitlab.datasets.library import IMPORTED_ENTRY, prove
from digitlab.errors import DataError, Fault, SpecError
from digitlab.spec import NAME_IN_WORDS, NAME_PATTERN

_BESIDE: tuple[tuple[FileRole, FileRole], ...] = (
    ("train_images", "train_labels"),
    ("test_images", "test_labels"),
)
_REMEDY = "get the file again from where you had it"


def import_directory(name: str, directory: Path) -> DatasetEntry:
    """Copy a data set into the cache, proved: returns its entry.

    name:      of the catalogue: then the payloads must be its own; or new: then their form is checked
               (28 x 28, counts that match) and their hashes are recorded, so that it is the same for ever
    directory: holds the four files by their usual names (`train-images-idx3-ubyte` or
               `train-images.idx3-ubyte`, …), with or without `.gz`
    Raises SpecError when the name cannot be one; DataError when a file is missing or not what it should be.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise SpecError([Fault("name", name, f"is no name for a data set; use {NAME_IN_WORDS}")])
    known = CATALOG.get(name)
    files = {role: _find(directory, role, known) for role in FILE_NAMES}
    payloads = {role: file.read() for role, file in files.items()}
    if known is None:
        known = _describe(name, files, payloads)
    for role, payload in payloads.items():
        prove(known, role, files[role], payload)
    try:
        with cache.publish(name) as stage:
            for role, payload in payloads.items():
                cache.write(stage / FILE_NAMES[role], payload)
            if name not in CATALOG:
                cache.write(stage / IMPORTED_ENTRY, known.model_dump_json(indent=2).encode())
    except OSError as error:
        raise cache.unwritable(name, error) from None
    return known


def _find(directory: Path, role: FileRole, known: DatasetEntry | None) -> IdxFile:
    usual = FILE_NAMES[role]
    count = known.item_count(role) if known else None
    for file_name in (usual, usual.replace("-idx", ".idx")):
        for suffix in (".gz", ""):
            # os.path.isfile takes any name, where Path.is_file raises when it is too long.
            if os.path.isfile(path := directory / f"{file_name}{suffix}"):  # noqa: PTH113
                return IdxFile(path, file_kind(role), _REMEDY, count)
    raise DataError(
        directory, f"no file {usual}.gz or {usual}", "the four IDX files", "name the folder that holds them"
    )


def _describe(name: str, files: dict[FileRole, IdxFile], payloads: dict[FileRole, bytes]) -> DatasetEntry:
    """The entry of a data set that nobody has described, from its files."""
    arrays = {role: files[role].parse(payload) for role, payload in payloads.items()}
    for images, labels in _BESIDE:
        if len(arrays[images]) != len(arrays[labels]):
            found, expected = (
                f"{len(arrays[labels]):,} labels",
                f"{len(arrays[images]):,}, one for each image",
            )
            raise files[labels].fault(found, expected)
    class_count = int(max(arrays["train_labels"].max(), arrays["test_labels"].max())) + 1
    if class_count < 2:
        raise files["train_labels"].fault("the label 0 alone", "at least two classes")
    return DatasetEntry(
        name=name,
        title=f"{name} (imported)",
        class_names=tuple(map(str, range(class_count))),
        train_images=len(arrays["train_labels"]),
        test_images=len(arrays["test_labels"]),
        payload_sha256={role: hashlib.sha256(payload).hexdigest() for role, payload in payloads.items()},
        licence="not recorded",
        citation="not recorded",
    )
