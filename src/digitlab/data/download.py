"""Fetching: a catalogued data set from its mirrors, one after the other until the file is verified."""

from collections.abc import Callable
from pathlib import Path

import requests

from digitlab.data import cache
from digitlab.data.catalog import FILE_NAMES, DatasetEntry, FileRole, file_kind
from digitlab.data.idx import IdxFile
from digitlab.data.registry import verify_payload
from digitlab.errors import DataError
from digitlab.files import write_whole

OnBytes = Callable[[str, int, int | None], None]
"""CompletedStudy of progress: name of the file, bytes so far, bytes in all where the server says so."""

_TIMEOUT_SECONDS = (10, 30)  # to connect; between two packets
_CHUNK_BYTES = 1 << 16
_MARGIN_BYTES = 1 << 16
"""How much longer than its payload a packed file may be: gzip adds a few bytes to what it cannot pack."""


class _MirrorError(Exception):
    """Why one address did not give one file."""


def fetch(known: DatasetEntry, on_bytes: OnBytes = lambda *_: None) -> None:
    """Download the four files, verify each, and publish them together in the cache.

    Nothing is left behind when it fails or is interrupted.
    Raises DataError, with what each address answered, when a file cannot be had from any mirror.
    """
    if not known.mirrors:
        raise DataError(
            f"data set {known.name}",
            "no mirrors",
            "an address",
            f"use `digitlab data import {known.name} PATH`",
        )
    try:
        with cache.publish(known.name) as stage:
            for role in FILE_NAMES:
                write_whole(stage / FILE_NAMES[role], _from_mirrors(known, role, stage, on_bytes))
    except OSError as error:
        raise cache.unwritable(known.name, error) from None


def _from_mirrors(known: DatasetEntry, role: FileRole, stage: Path, on_bytes: OnBytes) -> bytes:
    answers = []
    for mirror in known.mirrors:
        url = f"{mirror.rstrip('/')}/{FILE_NAMES[role]}.gz"
        try:
            return _from_mirror(known, role, url, stage, on_bytes)
        except _MirrorError as fault:
            answers.append(f"{url}: {fault}")
    summary = "\n".join(f"  {answer}" for answer in answers)
    raise DataError(
        f"{FILE_NAMES[role]}.gz of {known.name}",
        f"no mirror that has it; they answered\n{summary}\n  (end of answers)",
        "the file",
        f"try again later, or import files you have with `digitlab data import {known.name} PATH`",
    )


def _from_mirror(known: DatasetEntry, role: FileRole, url: str, stage: Path, on_bytes: OnBytes) -> bytes:
    """The verified payload of one file from one address."""
    packed = stage / f"{FILE_NAMES[role]}.gz"
    file = IdxFile(packed, file_kind(role), "try another mirror", known.item_count(role))
    limit = file.payload_bytes(known.item_count(role)) + _MARGIN_BYTES
    try:
        _download(url, packed, limit, on_bytes)
        payload = file.read()
        verify_payload(known, role, file, payload)
    except requests.RequestException as error:
        raise _MirrorError(_reason(error)) from None
    except DataError as fault:
        raise _MirrorError(f"found {fault.found}, expected {fault.expected}") from None
    finally:
        packed.unlink(missing_ok=True)
    return payload


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
