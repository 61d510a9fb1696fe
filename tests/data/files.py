"""IDX files for tests, made from their definition."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from digitlab.data.catalog import (
    FILE_NAMES,
    WRITER_FILES,
    DatasetEntry,
    FileRole,
    ImagePart,
    WriterLabels,
)


def image_bytes(count: int, *, magic: int = 0x803, rows: int = 28, columns: int = 28, seed: int = 0) -> bytes:
    """An image file of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, count * rows * columns, dtype=np.uint8)
    return struct.pack(">IIII", magic, count, rows, columns) + pixels.tobytes()


def label_bytes(count: int, *, magic: int = 0x801, classes: int = 10) -> bytes:
    """A label file: 0, 1, …, classes - 1, 0, 1, …"""
    return struct.pack(">II", magic, count) + bytes(i % classes for i in range(count))


def extended_bytes(count: int, *, magic: int = 0xC02, columns: int = 8, writers: int = 5) -> bytes:
    """A file of extended labels: classes as in `label_bytes`, so many writers in turn, of series 0 and 4."""
    rows = [(i % 10, 4 * (i % writers % 2), 100 + i % writers, i, 48, i, 0, 0) for i in range(count)]
    numbers = [number for row in rows for number in (*row, *[0] * columns)[:columns]]
    return struct.pack(">III", magic, count, columns) + struct.pack(f">{len(numbers)}i", *numbers)


def payloads(train: int = 40, test: int = 20, classes: int = 10) -> dict[FileRole, bytes]:
    """The four payloads of a small data set."""
    return {
        "train_images": image_bytes(train),
        "train_labels": label_bytes(train, classes=classes),
        "test_images": image_bytes(test, seed=1),
        "test_labels": label_bytes(test, classes=classes),
    }


def write_files(directory: Path, files: dict[FileRole, bytes], *, packed: bool = True) -> Path:
    """The four files under their usual names, gzip or raw."""
    directory.mkdir(parents=True, exist_ok=True)
    for role, payload in files.items():
        if packed:
            (directory / f"{FILE_NAMES[role]}.gz").write_bytes(gzip.compress(payload, mtime=0))
        else:
            (directory / FILE_NAMES[role]).write_bytes(payload)
    return directory


def entry_of(
    files: dict[FileRole, bytes], mirrors: tuple[str, ...] = (), name: str = "small"
) -> DatasetEntry:
    """A catalogue entry that these payloads fulfil."""
    return DatasetEntry(
        name=name,
        title="a small one",
        class_names=tuple("0123456789"),
        train_images=(len(files["train_labels"]) - 8),
        test_images=(len(files["test_labels"]) - 8),
        payload_sha256={role: hashlib.sha256(payload).hexdigest() for role, payload in files.items()},
        licence="none",
        citation="none",
        mirrors=mirrors,
    )


def writer_payloads(train: int = 40, test: int = 20) -> dict[ImagePart, bytes]:
    """Who wrote the images of `payloads`."""
    return {"train": extended_bytes(train), "test": extended_bytes(test, writers=3)}


def entry_with_writers(
    files: dict[ImagePart, bytes], mirrors: tuple[str, ...] = (), name: str = "small"
) -> DatasetEntry:
    """A catalogue entry of `payloads`, of which it is known who wrote them."""
    digests = {part: hashlib.sha256(files[part]).hexdigest() for part in WRITER_FILES}
    labels = WriterLabels(
        title="its writers", payload_sha256=digests, licence="none", citation="none", mirrors=mirrors
    )
    return entry_of(payloads(), name=name).model_copy(update={"writers": labels})
