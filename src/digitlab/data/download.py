"""Fetching: a catalogued data set from its mirrors, one after the other until the file is verified."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests

from digitlab.data import cache, writers
from digitlab.data.catalog import FILE_NAMES, WRITER_FILES, DatasetEntry, FileRole, ImagePart, file_kind
from digitlab.data.idx import IdxFile
from digitlab.data.registry import verify_payload
from digitlab.errors import DataError
from digitlab.files import write_whole

OnBytes = Callable[[str, int, int | None], None]
"""Told of progress: name of the file, bytes so far, bytes in all where the server says so."""

_TIMEOUT_SECONDS = (10, 30)  # to connect; between two packets
_CHUNK_BYTES = 1 << 16
_MARGIN_BYTES = 1 << 16
"""How much longer than its payload a packed file may be: gzip adds a few bytes to what it cannot pack."""
_AGAIN = "try another mirror"
_MOST_ROWS = 1 << 18
"""Of extended labels that a file may hold: QMNIST's have 60,000 each, MNIST's images first."""


class _MirrorError(Exception):
    """Why one address did not give one file."""


@dataclass(frozen=True)
class _Wanted:
    """One file to be fetched.

    name:        of the file, unpacked; packed it is `name.gz` at every mirror
    of:          whose file it is, in words
    mirrors:     addresses to which the packed name is appended
    limit_bytes: so long may the packed file be
    read:        its verified payload, from the packed file; raises DataError
    """

    name: str
    of: str
    mirrors: Sequence[str]
    limit_bytes: int
    read: Callable[[Path], bytes]


def fetch(known: DatasetEntry, on_bytes: OnBytes = lambda *_: None) -> None:
    """Download the four files, verify each, and publish them together in the cache.

    Nothing is left behind when it fails or is interrupted.
    Raises DataError, with what each address answered, when a file cannot be had from any mirror.
    """
    by_hand = f"`digitlab data import {known.name} PATH`"
    if not known.mirrors:
        raise DataError(f"data set {known.name}", "no mirrors", "an address", f"use {by_hand}")
    wanted = [
        _Wanted(
            FILE_NAMES[role],
            known.name,
            known.mirrors,
            IdxFile(Path(), file_kind(role), _AGAIN).payload_bytes(known.item_count(role)) + _MARGIN_BYTES,
            partial(_read_data, known, role),
        )
        for role in FILE_NAMES
    ]
    _publish(known.name, wanted, by_hand, on_bytes)


def fetch_writers(known: DatasetEntry, on_bytes: OnBytes = lambda *_: None) -> None:
    """Download the two files that say who wrote the images, verify and publish them as `fetch` does.

    Of QMNIST's test file only MNIST's images are kept, which are its first.
    Raises SpecError when the catalogue knows no such files, and what `fetch` raises.
    """
    _, labels = writers.writer_labels(known.name)
    limit = writers.label_file(Path(), _AGAIN).payload_bytes(_MOST_ROWS)
    wanted = [
        _Wanted(
            name, f"the writers of {known.name}", labels.mirrors, limit, partial(_read_writers, known, part)
        )
        for part, name in WRITER_FILES.items()
    ]
    by_hand = f"`digitlab data import {known.name} PATH --writers`"
    _publish(writers.cache_name(known.name), wanted, by_hand, on_bytes)


def _read_data(known: DatasetEntry, role: FileRole, packed: Path) -> bytes:
    file = IdxFile(packed, file_kind(role), _AGAIN, known.item_count(role))
    payload = file.read()
    verify_payload(known, role, file, payload)
    return payload


def _read_writers(known: DatasetEntry, part: ImagePart, packed: Path) -> bytes:
    return writers.verified_payload(known, part, writers.label_file(packed, _AGAIN))


def _publish(place: str, wanted: Sequence[_Wanted], by_hand: str, on_bytes: OnBytes) -> None:
    """Put all of these files into the cache, or none."""
    try:
        with cache.publish(place) as stage:
            for file in wanted:
                write_whole(stage / file.name, _from_mirrors(file, stage, by_hand, on_bytes))
    except OSError as error:
        raise cache.unwritable(place, error) from None


def _from_mirrors(wanted: _Wanted, stage: Path, by_hand: str, on_bytes: OnBytes) -> bytes:
    answers = []
    for mirror in wanted.mirrors:
        url = f"{mirror.rstrip('/')}/{wanted.name}.gz"
        try:
            return _from_mirror(wanted, url, stage, on_bytes)
        except _MirrorError as fault:
            answers.append(f"{url}: {fault}")
    summary = "\n".join(f"  {answer}" for answer in answers)
    raise DataError(
        f"{wanted.name}.gz of {wanted.of}",
        f"no mirror that has it; they answered\n{summary}\n  (end of answers)",
        "the file",
        f"try again later, or import files you have with {by_hand}",
    )


def _from_mirror(wanted: _Wanted, url: str, stage: Path, on_bytes: OnBytes) -> bytes:
    """The verified payload of one file from one address."""
    packed = stage / f"{wanted.name}.gz"
    try:
        _download(url, packed, wanted.limit_bytes, on_bytes)
        return wanted.read(packed)
    except requests.RequestException as error:
        raise _MirrorError(_reason(error)) from None
    except DataError as fault:
        raise _MirrorError(f"found {fault.found}, expected {fault.expected}") from None
    finally:
        packed.unlink(missing_ok=True)


def _download(url: str, path: Path, limit_bytes: int, on_bytes: OnBytes) -> None:
    with requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS) as response, path.open("wb") as file:
        if response.status_code != requests.codes.ok:
            raise _MirrorError(f"HTTP status {response.status_code} {response.reason}")
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        received = 0
        # Where a server takes the file for a packed text, it comes unpacked: the reader takes both.
        for chunk in response.iter_content(_CHUNK_BYTES):
            received += len(chunk)
            if received > limit_bytes:
                raise _MirrorError(f"more than {limit_bytes:,} bytes, which is too long")
            file.write(chunk)
            on_bytes(path.name, received, total)


def _reason(error: Exception) -> str:
    """The innermost cause, in its own words: what the outer ones add are Python's names of themselves."""
    while error.__cause__ or error.__context__:
        inner = error.__cause__ or error.__context__
        if not isinstance(inner, Exception):
            break
        error = inner
    return f"{type(error).__name__}: {error}"
