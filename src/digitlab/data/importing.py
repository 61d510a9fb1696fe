"""Importing: the four IDX files of a data set from a directory, gzip or raw, into the cache."""

import hashlib
import os
import re
from pathlib import Path

from digitlab.data import cache
from digitlab.data.catalog import CATALOG, FILE_NAMES, DatasetEntry, FileRole, file_kind
from digitlab.data.idx import IdxFile, Kind
from digitlab.data.registry import IMPORTED_ENTRY, verify_payload
from digitlab.errors import DataError, Fault, SpecError
from digitlab.files import write_whole
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
    read = {role: _read(_candidates(folder, role, known), role, known) for role in FILE_NAMES}
    files = {role: file for role, (file, _) in read.items()}
    payloads = {role: payload for role, (_, payload) in read.items()}
    if known is None:
        known = _describe(name, files, payloads)
        for role, payload in payloads.items():
            verify_payload(known, role, files[role], payload)
    try:
        with cache.publish(name) as stage:
            for role, payload in payloads.items():
                write_whole(stage / FILE_NAMES[role], payload)
            if name not in CATALOG:
                write_whole(stage / IMPORTED_ENTRY, known.model_dump_json(indent=2))
    except OSError as error:
        raise cache.unwritable(name, error) from None
    return known


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


def _read(candidates: list[IdxFile], role: FileRole, known: DatasetEntry | None) -> tuple[IdxFile, bytes]:
    """The first of these files that is what it should be, and its payload: a broken one hides no intact one.

    Raises the first one's DataError when none is.
    """
    faults: list[DataError] = []
    for file in candidates:
        try:
            payload = file.read()
            if known:
                verify_payload(known, role, file, payload)
        except DataError as fault:
            remedy = _remedy(file, known)
            faults.append(DataError(fault.source, fault.found, fault.expected, remedy))
        else:
            return file, payload
    raise faults[0]


def _remedy(file: IdxFile, known: DatasetEntry | None) -> str:
    """What to do about a file that was refused: an intact one of another kind need not be got again."""
    other: Kind = "labels" if file.kind == "images" else "images"
    if (payload := _intact(file.path, file.kind)) is not None and known:
        digest = hashlib.sha256(payload).hexdigest()
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
        file.read()
    except DataError as fault:
        if "pixels" in fault.found:
            return "digitlab takes images of 28 x 28 pixels alone; scale them to that before you import them"
    return _AGAIN


def _intact(path: Path, kind: Kind) -> bytes | None:
    """The payload of an intact IDX file of any data set; None when it is none."""
    try:
        return IdxFile(path, kind, _AGAIN).read()
    except DataError:
        return None


def _describe(name: str, files: dict[FileRole, IdxFile], payloads: dict[FileRole, bytes]) -> DatasetEntry:
    """The entry of a data set that nobody has described, from its files."""
    arrays = {role: files[role].parse(payload) for role, payload in payloads.items()}
    for images, labels in _BESIDE:
        if len(arrays[images]) != len(arrays[labels]):
            found, expected = (
                f"{len(arrays[labels]):,} labels",
                f"{len(arrays[images]):,}, one for each image",
            )
            raise DataError(
                files[labels].path, found, expected, "take the images and their labels from one data set"
            )
    class_count = int(max(arrays["train_labels"].max(), arrays["test_labels"].max())) + 1
    if class_count < 2:
        raise DataError(
            files["train_labels"].path,
            "the label 0 alone",
            "at least two classes",
            "give the labels of a classification",
        )
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
