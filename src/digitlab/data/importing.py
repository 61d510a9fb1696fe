"""Importing: the four IDX files of a data set from a directory, gzip or raw, into the cache.

Images may be more than memory holds: they go by in pieces, once to be verified and once to be copied.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from digitlab.data import cache
from digitlab.data.catalog import CATALOG, FILE_NAMES, DatasetEntry, FileRole, file_kind
from digitlab.data.idx import IdxFile, Kind
from digitlab.data.registry import IMPORTED_ENTRY, check_digest
from digitlab.errors import DataError, Fault, SpecError
from digitlab.files import write_whole, written_whole
from digitlab.spec import NAME_IN_WORDS, NAME_PATTERN

_BESIDE: tuple[tuple[FileRole, FileRole], ...] = (
    ("train_images", "train_labels"),
    ("test_images", "test_labels"),
)
_AGAIN = "get the file again from where you had it"
_OTHER_FORMATS = (
    ".npz",
    ".npy",
    ".parquet",
    ".csv",
    ".mat",
    ".pt",
    ".pkl",
    ".zip",
    ".tar",
    ".tgz",
    ".tar.gz",
)


@dataclass(frozen=True, eq=False)
class _Found:
    """A file that is what it should be.

    sha256: of its payload
    count:  its items
    labels: of a file of labels; none of images, which are not held
    """

    file: IdxFile
    sha256: str
    count: int
    labels: UInt8[np.ndarray, "n"]


def import_directory(name: str, directory: Path) -> DatasetEntry:
    """Copy a data set into the cache, verified: returns its entry.

    name:      of the catalogue: then the payloads must be its own; or new: then their form is checked
               (28 x 28, counts that match) and their hashes are recorded, so that it is the same for ever
    directory: holds the four files by their usual names (`train-images-idx3-ubyte` or
               `train-images.idx3-ubyte`, …), with or without `.gz`; or holds the folder that does, as
               torchvision lays it out: `raw`, `MNIST/raw`
    Raises SpecError when the name cannot be one; DataError when a file is missing or not what it should be.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise SpecError([Fault("name", name, f"is not a name for a data set; use {NAME_IN_WORDS}")])
    known = CATALOG.get(name)
    folder = _files_folder(directory, name)
    found = {role: _find(_candidates(folder, role, known), role, known) for role in FILE_NAMES}
    entry = known or _describe(name, found)
    try:
        with cache.publish(name) as stage:
            for role, file in found.items():
                _copy(file, stage / FILE_NAMES[role])
            if name not in CATALOG:
                write_whole(stage / IMPORTED_ENTRY, entry.model_dump_json(indent=2))
    except OSError as error:
        raise cache.unwritable(name, error) from None
    return entry


def _copy(found: _Found, target: Path) -> None:
    """Write the payload of a file that was verified. Raises OSError; DataError when it is another by now."""
    digest = hashlib.sha256()
    with written_whole(target) as copy:
        for piece in found.file.pieces():
            digest.update(piece)
            copy.write(piece)
    if digest.hexdigest() != found.sha256:
        raise found.file.fault("another content than a moment ago", "a file that nobody changes meanwhile")


def _paths(folder: Path, role: FileRole) -> list[Path]:
    """The files of this role that are there, in all the forms of its name."""
    file_name = FILE_NAMES[role]
    names = [
        f"{stem}{suffix}" for stem in (file_name, file_name.replace("-idx", ".idx")) for suffix in (".gz", "")
    ]
    # os.path.isfile takes any name, where Path.is_file raises when it is too long.
    return [folder / name for name in names if os.path.isfile(folder / name)]  # noqa: PTH113


def _files_folder(directory: Path, name: str) -> Path:
    """The folder that holds the files: this one, its `raw`, or the `raw` of a folder in it.

    Raises DataError when there are several, none of them by the data set's name.
    """
    try:
        inner = sorted(directory.glob("*/raw"))
    except (OSError, ValueError):
        inner = []
    for folder in (directory, directory / "raw"):
        if _paths(folder, "train_images"):
            return folder
    found = [folder for folder in inner if _paths(folder, "train_images")]
    own = [folder for folder in found if _plain(folder.parent.name) == _plain(name)]
    if len(found) > 1 and not own:
        names = ", ".join(str(folder.relative_to(directory)) for folder in found)
        raise DataError(
            directory, f"several data sets ({names})", "one", "name the folder of the one that you mean"
        )
    return (own or found or [directory])[0]


def _plain(name: str) -> str:
    """Fashion-MNIST, FashionMNIST and fashion_mnist are one name."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _candidates(folder: Path, role: FileRole, known: DatasetEntry | None) -> list[IdxFile]:
    count = known.item_count(role) if known else None
    found = [IdxFile(path, file_kind(role), _AGAIN, count) for path in _paths(folder, role)]
    if not found:
        file_name = FILE_NAMES[role]
        raise DataError(
            folder, f"no file {file_name}.gz or {file_name}", "the four IDX files", _remedy_of_none(folder)
        )
    return found


def _remedy_of_none(folder: Path) -> str:
    if not os.path.isdir(folder):  # noqa: PTH112  # as isfile above
        return "name the folder that holds them"
    others = sorted(name for name in os.listdir(folder) if name.endswith(_OTHER_FORMATS))  # noqa: PTH208
    if others:
        return f"{others[0]} is not in the IDX format; get the data set as IDX files, or save it as such"
    return "name the folder that holds them"


def _find(candidates: list[IdxFile], role: FileRole, known: DatasetEntry | None) -> _Found:
    """The first of these files that is what it should be: a broken one hides no intact one.

    Raises the first one's DataError when none is.
    """
    faults: list[DataError] = []
    for file in candidates:
        try:
            found = _read(file)
            if known:
                check_digest(known, role, file, found.sha256)
                if file.kind == "labels":
                    file.check_labels(found.labels, len(known.class_names))
        except DataError as fault:
            remedy = _remedy(file, known)
            faults.append(DataError(fault.source, fault.found, fault.expected, remedy))
        else:
            return found
    raise faults[0]


def _read(file: IdxFile) -> _Found:
    """What is to be known of a file. Raises DataError when it is damaged."""
    if file.kind == "labels":
        payload = file.read()
        labels = file.parse(payload)
        return _Found(file, hashlib.sha256(payload).hexdigest(), len(labels), labels)
    digest, length = hashlib.sha256(), 0
    for piece in file.pieces():
        digest.update(piece)
        length += len(piece)
    return _Found(file, digest.hexdigest(), file.item_count(length), np.empty(0, np.uint8))


def _remedy(file: IdxFile, known: DatasetEntry | None) -> str:
    """What to do about a file that was refused: an intact one of another kind need not be got again."""
    other: Kind = "labels" if file.kind == "images" else "images"
    if (digest := _intact(file.path, file.kind)) is not None and known:
        its = [entry.name for entry in CATALOG.values() if digest in entry.payload_sha256.values()]
        if its == [known.name]:
            return f"it is another file of {known.name}: give each file the name of what it holds"
        if its:
            return f"it is a file of {its[0]}: import it by `digitlab data import {its[0]} PATH`"
        return (
            f"if it is not {known.name}, import it under a name of its own, by `digitlab data import NAME "
            f"PATH`; if it should be, {_AGAIN}"
        )
    if _intact(file.path, other) is not None:
        return f"it holds {other}: give each file the name of what it holds"
    try:
        _read(file)
    except DataError as fault:
        if "pixels" in fault.found:
            return "digitlab takes images of 28 x 28 pixels alone; scale them to that before you import them"
    return _AGAIN


def _intact(path: Path, kind: Kind) -> str | None:
    """The digest of an intact IDX file of any data set; None when it is none."""
    try:
        return _read(IdxFile(path, kind, _AGAIN)).sha256
    except DataError:
        return None


def _describe(name: str, found: Mapping[FileRole, _Found]) -> DatasetEntry:
    """The entry of a data set that nobody has described, from its files."""
    for images, labels in _BESIDE:
        if found[images].count != found[labels].count:
            raise DataError(
                found[labels].file.path,
                f"{found[labels].count:,} labels",
                f"{found[images].count:,}, one for each image",
                "take the images and their labels from one data set",
            )
    class_count = int(max(found["train_labels"].labels.max(), found["test_labels"].labels.max())) + 1
    if class_count < 2:
        raise DataError(
            found["train_labels"].file.path,
            "the label 0 alone",
            "at least two classes",
            "give the labels of a classification",
        )
    return DatasetEntry(
        name=name,
        title=f"{name} (imported)",
        class_names=tuple(map(str, range(class_count))),
        train_images=found["train_labels"].count,
        test_images=found["test_labels"].count,
        payload_sha256={role: file.sha256 for role, file in found.items()},
        licence="not recorded",
        citation="not recorded",
    )
