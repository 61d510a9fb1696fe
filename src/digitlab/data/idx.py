"""The IDX reader: images and labels as MNIST's makers wrote them, gzip or raw, verified before they are used.

An IDX file is a big-endian header (magic number, then each dimension, 4 bytes each) and the numbers
themselves. The magic number is 0x00000803 for images [n, rows, columns] and 0x00000801 for labels [n], which
are bytes, and 0x00000c02 for QMNIST's extended labels [n, columns], big-endian integers of 4 bytes.
"""

import gzip
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Int32, UInt8

from digitlab.errors import DataError

Kind = Literal["images", "labels", "extended labels"]

ITEM_LIMIT = 100_000_000
"""The most images a file may claim to hold: beyond it a header is taken to be damaged or hostile."""

_MAGIC: dict[Kind, int] = {"images": 0x803, "labels": 0x801, "extended labels": 0xC02}
_HEADER_BYTES: dict[Kind, int] = {"images": 16, "labels": 8, "extended labels": 12}
_ITEM_BYTES: dict[Kind, int] = {"images": 28 * 28, "labels": 1, "extended labels": 8 * 4}
_IMAGE_SIDES = (28, 28)
_COLUMNS = 8
"""Of extended labels: class, series, writer, digit, NIST's code, index in NIST's file, duplicate, 0."""
_CHUNK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class IdxFile:
    """One IDX file and what it must be.

    path:   where it lies
    kind:   images, labels or extended labels
    count:  number of items it must hold; None: as many as it says, up to ITEM_LIMIT
    remedy: what the user should do when it is not that
    """

    path: Path
    kind: Kind
    remedy: str
    count: int | None = None

    def fault(self, found: str, expected: str) -> DataError:
        """The error that says what is wrong with this file."""
        return DataError(self.path, found, expected, self.remedy)

    def read(self) -> bytes:
        """The file's whole payload (uncompressed), its header and length verified. Raises DataError."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The file's payload (uncompressed), its header first, in pieces of at most a megabyte.

        Reads and unpacks no more than the header promises and one byte, so that a bomb stops there. Header
        and length are verified on the way: what is yielded is whole only when the iteration ends.
        Raises DataError.
        """
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise self.fault("something that is not a file", f"an IDX file of {self.kind}")
            with self.path.open("rb") as raw:
                packed = raw.read(2) == _GZIP_MAGIC
                raw.seek(0)
                if not packed:
                    yield from self._pieces_of(raw)
                    return
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield from self._pieces_of(unpacked)
        except FileNotFoundError:
            raise self.fault("no such file", f"an IDX file of {self.kind}") from None
        except EOFError:
            raise self.fault(
                "a gzip stream that ends too early", "a whole one: the file is truncated"
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.fault(f"a damaged gzip stream ({error})", "a valid one") from None
        except OSError as error:
            raise self.fault(f"a file that cannot be read ({error.strerror})", "a readable one") from None

    def _pieces_of(self, stream: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
        header = stream.read(_HEADER_BYTES[self.kind])
        expected_bytes, found_bytes = self._promised_bytes(header), len(header)
        yield header
        while found_bytes <= expected_bytes:
            piece = stream.read(min(_CHUNK_BYTES, expected_bytes + 1 - found_bytes))
            if not piece:
                break
            found_bytes += len(piece)
            yield piece
        self._check_length(found_bytes, expected_bytes)

    def _promised_bytes(self, payload: bytes | memoryview) -> int:
        """How long the payload must be by its own header, which is verified on the way."""
        header = bytes(payload[: _HEADER_BYTES[self.kind]])
        if header[:1] == b"<":
            raise self.fault("a web page (HTML)", f"an IDX file of {self.kind}")
        if len(header) < _HEADER_BYTES[self.kind]:
            raise self.fault(f"{len(header)} bytes in all", f"a header of {_HEADER_BYTES[self.kind]} bytes")
        magic, count, *sides = (int.from_bytes(header[i : i + 4], "big") for i in range(0, len(header), 4))
        if magic != _MAGIC[self.kind]:
            raise self.fault(f"magic number 0x{magic:08x}", f"0x{_MAGIC[self.kind]:08x} for {self.kind}")
        if self.kind == "images" and tuple(sides) != _IMAGE_SIDES:
            raise self.fault(f"images of {sides[0]} x {sides[1]} pixels", "28 x 28")
        if self.kind == "extended labels" and sides[0] != _COLUMNS:
            raise self.fault(f"extended labels of {sides[0]} columns", f"{_COLUMNS}")
        if self.count is not None and count != self.count:
            raise self.fault(f"{count:,} {self.kind}", f"{self.count:,}")
        if not 1 <= count <= ITEM_LIMIT:
            raise self.fault(f"{count:,} {self.kind}", f"1 to {ITEM_LIMIT:,}")
        return self.payload_bytes(count)

    def payload_bytes(self, count: int) -> int:
        """Length of a payload of so many items, its header included."""
        return _HEADER_BYTES[self.kind] + count * _ITEM_BYTES[self.kind]

    def header(self, count: int) -> bytes:
        """The header of a file of so many images or labels."""
        sides = _IMAGE_SIDES if self.kind == "images" else ()
        return b"".join(number.to_bytes(4, "big") for number in (_MAGIC[self.kind], count, *sides))

    def item_count(self, payload_bytes: int) -> int:
        """How many items a payload of so many bytes, its header included, holds."""
        return (payload_bytes - _HEADER_BYTES[self.kind]) // _ITEM_BYTES[self.kind]

    def first(self, payload: bytes, count: int) -> bytes:
        """The payload of a file that holds the first so many of these items, header included."""
        header = payload[:4] + count.to_bytes(4, "big") + payload[8 : _HEADER_BYTES[self.kind]]
        return header + payload[len(header) : self.payload_bytes(count)]

    def _check_length(self, found_bytes: int, expected_bytes: int) -> None:
        if found_bytes > expected_bytes:
            raise self.fault("more bytes than its header promises", f"{expected_bytes:,}")
        if found_bytes < expected_bytes:
            raise self.fault(f"{found_bytes:,} bytes", f"{expected_bytes:,} as its header promises")

    def parse(self, payload: bytes | memoryview) -> UInt8[np.ndarray, "n ..."]:
        """The payload as a read-only array that shares its memory: images [n, 28, 28] or labels [n].

        Raises DataError when header or length are wrong.
        """
        self._check_length(len(payload), self._promised_bytes(payload))
        items = np.frombuffer(payload, np.uint8, offset=_HEADER_BYTES[self.kind])  # [n * 784] or [n]
        items.flags.writeable = False
        return items.reshape(-1, *_IMAGE_SIDES) if self.kind == "images" else items

    def parse_extended(self, payload: bytes | memoryview) -> Int32[np.ndarray, "n 8"]:
        """The payload of extended labels as integers in this machine's order of bytes, [n, 8].

        Raises DataError when header or length are wrong.
        """
        self._check_length(len(payload), self._promised_bytes(payload))
        return (
            np.frombuffer(payload, ">i4", offset=_HEADER_BYTES[self.kind])
            .reshape(-1, _COLUMNS)
            .astype(np.int32)
        )

    def check_labels(self, labels: UInt8[np.ndarray, "n"], class_count: int) -> None:
        """Raise DataError when a label is none of 0 … class_count − 1."""
        wrong = labels >= class_count
        if wrong.any():
            first = int(wrong.argmax())
            raise self.fault(f"label {labels[first]} at position {first:,}", f"labels 0 to {class_count - 1}")
