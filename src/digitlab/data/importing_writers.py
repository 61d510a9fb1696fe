"""Importing who wrote the images: QMNIST's two label files from a directory, gzip or raw, into the cache."""

from pathlib import Path

from digitlab.data import cache, writers
from digitlab.data.catalog import WRITER_FILES, DatasetEntry, ImagePart
from digitlab.errors import DataError
from digitlab.files import write_whole

_FOLDERS = (".", "raw", "QMNIST/raw")
"""Where they may lie below the directory: torchvision keeps them in QMNIST/raw."""
_NAMED = "*labels-idx2-int*"
_REMEDY = "name a folder that holds QMNIST's label files of the training and of the test images"


def import_writers(name: str, directory: Path) -> DatasetEntry:
    """Copy the files that say who wrote a data set's images into the cache, verified: returns its entry.

    directory: holds them, each under a name with `labels-idx2-int` in it, gzip or raw; their content tells
               which is which. Of more rows than images, as QMNIST's test file has, the first are kept.
    Raises SpecError when the catalogue knows no such files of this data set; DataError when one is missing or
    not what it should be.
    """
    known, _ = writers.writer_labels(name)
    found = _files(directory)
    payloads = {part: _verified(known, part, found) for part in WRITER_FILES}
    place = writers.cache_name(name)
    try:
        with cache.publish(place) as stage:
            for part, payload in payloads.items():
                write_whole(stage / WRITER_FILES[part], payload)
    except OSError as error:
        raise cache.unwritable(place, error) from None
    return known


def _files(directory: Path) -> list[Path]:
    """What may be label files, in the first folder that has some. Raises DataError where none has."""
    for folder in _FOLDERS:
        try:
            found = sorted((directory / folder).glob(_NAMED))
        except (OSError, ValueError):  # a name that no file can have
            found = []
        if found:
            return found
    raise DataError(directory, f"no file {WRITER_FILES['train']}.gz", "QMNIST's two label files", _REMEDY)


def _verified(known: DatasetEntry, part: ImagePart, found: list[Path]) -> bytes:
    """The payload of this part, from whichever file has it.

    Raises the DataError of the file that is named after the part, or else of the first.
    """
    faults: list[DataError] = []
    for path in sorted(found, key=lambda path: not path.name.startswith(WRITER_FILES[part])):
        try:
            return writers.verified_payload(known, part, writers.label_file(path, _REMEDY))
        except DataError as fault:
            faults.append(fault)
    raise faults[0]
