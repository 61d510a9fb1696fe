"""Digits and weights as small PNG images, written out as data: URIs."""

import base64
import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import chain

Image = Sequence[Sequence[float]]

_NEGATIVE, _ZERO, _POSITIVE = (33, 102, 172), (247, 247, 247), (178, 24, 43)
"""Blue to white to red: ColorBrewer's RdBu, told apart by the colour-blind."""
_MIDDLE = 127


def grey(image: Image) -> str:
    """Ink in grey values 0 … 255, [row][column], as an image of black on white."""
    return _uri([[255 - min(max(round(value), 0), 255) for value in row] for row in image])


def diverging(image: Image, limit: float) -> str:
    """Weights, [row][column], from blue at -limit over white at 0 to red at limit."""
    return _uri([[_step(value, limit) for value in row] for row in image], _palette())


def largest(images: Iterable[Image]) -> float:
    """The largest finite size among all pixels; 1 where there is none above 0."""
    sizes = (abs(value) for image in images for row in image for value in row if math.isfinite(value))
    return max(sizes, default=0.0) or 1.0


def _step(value: float, limit: float) -> int:
    if not math.isfinite(value):
        return _MIDDLE
    return _MIDDLE + round(_MIDDLE * min(max(value / limit, -1.0), 1.0))


def _palette() -> bytes:
    colours = []
    for step in range(2 * _MIDDLE + 1):
        share, end = abs(step - _MIDDLE) / _MIDDLE, _POSITIVE if step > _MIDDLE else _NEGATIVE
        colours.append([round(zero + share * (full - zero)) for zero, full in zip(_ZERO, end, strict=True)])
    return bytes(chain.from_iterable(colours))


def _uri(pixels: Sequence[Sequence[int]], palette: bytes = b"") -> str:
    return f"data:image/png;base64,{base64.b64encode(_png(pixels, palette)).decode()}"


def _png(pixels: Sequence[Sequence[int]], palette: bytes) -> bytes:
    """A PNG file (ISO/IEC 15948) of 8-bit values, [row][column]: greys, or places in a palette of RGB."""
    height, width = len(pixels), len(pixels[0]) if pixels else 0
    colour_type = 3 if palette else 0
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(row) for row in pixels)
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data) for kind, data in chunks if data or kind == b"IEND"
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
