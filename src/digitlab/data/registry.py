"""The registry: which data sets there are, and reading one, verified byte by byte.

A bundled data set is unpacked into the cache at its first use and mapped into memory from then on, which
starts several times faster and lets processes share it; where the cache cannot be written it is used from
memory. Whatever is read is hashed first, which costs a fraction of unpacking it.
"""

import hashlib
import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import UInt8

from digitlab.data import cache, writers
from digitlab.data.arrays import Dataset, LabelledImages
from digitlab.data.catalog import CATALOG, FILE_NAMES, DatasetEntry, FileRole, file_kind
from digitlab.data.idx import IdxFile
from digitlab.errors import DataError, Fault, SpecError
from digitlab.files import write_whole
from digitlab.validation import nearest

_COPY_ON_WRITE: dict[str, int] = {"access": mmap.ACCESS_COPY}
if sys.platform == "linux":
    # Not reserved, else Linux refuses to map more than all its memory lest every page be written to.
    # Python knows the name since 3.13 only; the number is the same on x86 and Arm.
    _NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
    _COPY_ON_WRITE = {"flags": mmap.MAP_PRIVATE | _NO_RESERVE, "prot": mmap.PROT_READ | mmap.PROT_WRITE}

_READ_AHEAD_BYTES = 1 << 28
"""Larger files may not be in memory when they are asked for."""

_BUNDLED = Path(__file__).parent / "bundled"
IMPORTED_ENTRY = "dataset.json"
"""Name of the file that describes an imported data set, in its folder."""


def is_bundled(name: str) -> bool:
    """Whether the data set is part of this package."""
    return (_BUNDLED / name).is_dir()


def is_cached(name: str) -> bool:
    """Whether the data set lies in the cache (verified or not)."""
    return cache.is_there(name)


def names() -> list[str]:
    """Names of all data sets: the catalogue's, then the imported ones."""
    imported: list[str] = []
    with suppress(OSError, DataError):  # no place, or one that may not be read
        found = cache.folder("x").parent.glob(f"[a-z0-9]*/{IMPORTED_ENTRY}")
        imported = sorted(path.parent.name for path in found)
    return [*CATALOG, *(name for name in imported if name not in CATALOG)]


def entry(name: str) -> DatasetEntry:
    """What is known of the data set of this name, from the catalogue or from its import.

    Raises SpecError when there is none of this name, DataError when its description is damaged.
    """
    if name in CATALOG:
        return CATALOG[name]
    if name not in names():
        advice = nearest(name, names(), f"use {', '.join(names())}, or add it by `digitlab data import`")
        problem = f"is not the name of a data set; {advice}"
        raise SpecError([Fault("data", name, problem)])
    path = cache.folder(name) / IMPORTED_ENTRY
    try:
        described = DatasetEntry.from_json(path.read_bytes())
    except (OSError, SpecError) as error:
        raise DataError(
            path, f"no valid description ({error})", "what an import wrote", _again(name)
        ) from None
    if described.name != name:
        raise DataError(path, f"the description of {described.name!r}", f"that of {name!r}", _again(name))
    return described


def entries() -> dict[str, DatasetEntry | None]:
    """What is known of every data set, by name; None where its description is damaged."""
    found: dict[str, DatasetEntry | None] = {}
    for name in names():
        try:
            found[name] = entry(name)
        except DataError:
            found[name] = None
    return found


def _again(name: str) -> str:
    if name in CATALOG:
        return f"get it again with `digitlab data fetch {name}`"
    return f"import it again with `digitlab data import {name} PATH`"


def verify_payload(
    known: DatasetEntry, role: FileRole, file: IdxFile, payload: bytes | memoryview
) -> UInt8[np.ndarray, "n ..."]:
    """The array in a payload of which hash, form and labels are what the entry says.

    Raises DataError.
    """
    array = file.parse(payload)
    check_digest(known, role, file, hashlib.sha256(payload).hexdigest())
    if file.kind == "labels":
        file.check_labels(array, len(known.class_names))
    return array


def check_digest(known: DatasetEntry, role: FileRole, file: IdxFile, digest: str) -> None:
    """Raise DataError when a payload has another SHA-256 than the entry says."""
    if digest != known.payload_sha256[role]:
        raise file.fault(f"a payload with SHA-256 {digest}", f"{known.payload_sha256[role]} for {known.name}")


def _map_file(file: IdxFile) -> memoryview:
    try:
        # Copy on write: torch writes to arrays that are marked read-only, and a write to a map for reading
        # kills the process. What is written stays in this process; pages that are only read are shared.
        with file.path.open("rb") as opened:
            return memoryview(mmap.mmap(opened.fileno(), 0, **_COPY_ON_WRITE))
    except FileNotFoundError:
        raise file.fault("no such file", f"an IDX file of {file.kind}") from None
    except (OSError, ValueError) as error:  # ValueError: an empty file
        raise file.fault(f"a file that cannot be mapped ({error})", "a readable, whole one") from None


def _files(known: DatasetEntry, folder: Path, suffix: str, remedy: str) -> dict[FileRole, IdxFile]:
    return {
        role: IdxFile(folder / f"{file_name}{suffix}", file_kind(role), remedy, known.item_count(role))
        for role, file_name in FILE_NAMES.items()
    }


def _cached_files(known: DatasetEntry) -> dict[FileRole, IdxFile]:
    return _files(known, cache.folder(known.name), "", _again(known.name))


def _bundled_files(known: DatasetEntry) -> dict[FileRole, IdxFile]:
    return _files(known, _BUNDLED / known.name, ".gz", "install digitlab again")


def _dataset(known: DatasetEntry, arrays: dict[FileRole, UInt8[np.ndarray, "n ..."]]) -> Dataset:
    return Dataset(
        known,
        train=LabelledImages(arrays["train_images"], arrays["train_labels"]),
        test=LabelledImages(arrays["test_images"], arrays["test_labels"]),
    )


def load(name: str = "mnist") -> Dataset:
    """The data set of this name: images as bytes [n, 28, 28], labels [n], read-only.

    Raises SpecError when there is no such data set; DataError when it is not on this machine, or when a file
    of it is not what it should be.
    """
    known = entry(name)
    if is_cached(name):
        try:
            return _load_cached(known)
        except DataError:
            if not is_bundled(name):
                raise
    if is_bundled(name):
        return _load_bundled(known)
    raise DataError(f"data set {name}", "nothing on this machine", "its four files", _again(name))


def _load_cached(known: DatasetEntry) -> Dataset:
    arrays = {}
    for role, file in _cached_files(known).items():
        mapped = _map_file(file)
        arrays[role] = verify_payload(known, role, file, mapped)
        if len(mapped) > _READ_AHEAD_BYTES and hasattr(mmap, "MADV_RANDOM"):
            # Images are asked for in random order: where memory does not hold the file, to read ahead would
            # fetch a hundred times what is wanted.
            cast("mmap.mmap", mapped.obj).madvise(mmap.MADV_RANDOM)
    return _dataset(known, arrays)


def _load_bundled(known: DatasetEntry) -> Dataset:
    """Unpack the bundled files, and leave them in the cache for the next time."""
    files = _bundled_files(known)
    payloads = {role: file.read() for role, file in files.items()}
    arrays = {role: verify_payload(known, role, files[role], payload) for role, payload in payloads.items()}
    # No place, no room, no right to write: no cache. That is not worth a word, said again by each worker.
    with suppress(OSError, DataError), cache.publish(known.name) as stage:
        for role, payload in payloads.items():
            write_whole(stage / FILE_NAMES[role], payload)
    return _dataset(known, arrays)


@dataclass(frozen=True)
class FileCheck:
    """What `verify` found of one file: `fault` is None when all is well."""

    path: Path
    fault: DataError | None


def verify(name: str) -> list[FileCheck]:
    """Verify every file of a data set that is on this machine, bundled and cached; empty: none is.

    Raises SpecError when there is no data set of this name, DataError when its description is damaged.
    """
    known = entry(name)
    sources: list[tuple[dict[FileRole, IdxFile], Callable[[IdxFile], bytes | memoryview]]] = []
    if is_bundled(name):
        sources.append((_bundled_files(known), IdxFile.read))
    if is_cached(name):
        sources.append((_cached_files(known), _map_file))
    return [check for files, read in sources for check in _check(known, files, read)]


def is_intact(name: str) -> bool:
    """Whether a data set lies in the cache and every file of it on this machine is what it should be."""
    return is_cached(name) and not any(check.fault for check in verify(name))


def verify_writers(name: str) -> list[FileCheck]:
    """Verify the files that say who wrote a data set's images; empty: they are not on this machine."""
    known = CATALOG.get(name)
    if known is None or known.writers is None or not writers.is_there(name):
        return []
    checks = []
    for part, file in writers.cached_files(known).items():
        try:
            writers.verified_payload(known, part, file)
        except DataError as fault:
            checks.append(FileCheck(file.path, fault))
        else:
            checks.append(FileCheck(file.path, None))
    return checks


def are_writers_intact(name: str) -> bool:
    """Whether the files that say who wrote a data set's images are here, and what they should be."""
    checks = verify_writers(name)
    return bool(checks) and not any(check.fault for check in checks)


def verify_all(name: str | None = None) -> Iterator[tuple[str, list[FileCheck] | DataError]]:
    """Verify all data sets of this machine, or one; of each its files, or what is wrong with its description.

    Raises SpecError when there is no data set of this name, DataError when nothing of it is on this machine.
    """
    for each in [name] if name else names():
        try:
            checks = [*verify(each), *verify_writers(each)]
        except DataError as error:  # the other data sets are still to be verified
            yield each, error
            continue
        if name and not checks:
            remedy = f"run `digitlab data fetch {name}`"
            raise DataError(f"data set {name}", "nothing on this machine", "its files", remedy)
        yield each, checks


def _check(
    known: DatasetEntry, files: dict[FileRole, IdxFile], read: Callable[[IdxFile], bytes | memoryview]
) -> Iterator[FileCheck]:
    for role, file in files.items():
        try:
            verify_payload(known, role, file, read(file))
        except DataError as fault:
            yield FileCheck(file.path, fault)
        else:
            yield FileCheck(file.path, None)
