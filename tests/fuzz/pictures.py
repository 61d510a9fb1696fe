"""Small intact pictures in every format that is read, and PNGs whose checksums are right again after a change."""

import io
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.mutations import changed_bytes

TOKENS = (
    b"\x89PNG\r\n\x1a\n", b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"acTL", b"fcTL", b"IEND", b"zTXt", b"\xff\xd8", b"\xff\xd9", b"\xff\xda",
    b"\xff\xdb", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdd", b"\xff\xe1", b"\xff\xee\x00\x0eAdobe", b"Exif\x00\x00", b"II*\x00", b"MM\x00*", b"GIF89a",
    b"\x2c", b"\x21\xf9\x04", b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"BM", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff", b"\x00\x00\xff\xff", b"<svg", b"%PDF", b"ftypheic",
)  # fmt: skip


def examples() -> list[bytes]:
    """One of each way to write a picture."""
    random = np.random.default_rng(0)
    grey = np.full((40, 56), 250, np.uint8)
    grey[8:32, 20:25] = 20
    grey = (grey - random.integers(0, 6, grey.shape)).astype(np.uint8)
    image = Image.fromarray(grey)
    colour = image.convert("RGB")
    clear = colour.convert("RGBA")
    clear.putalpha(Image.fromarray(255 - grey))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    ways: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (image, "PNG", {}), (colour, "PNG", {"exif": exif}), (clear, "PNG", {}), (deep, "PNG", {}), (image.convert("1"), "PNG", {}),
        (colour.quantize(8), "PNG", {"transparency": 0}), (colour, "JPEG", {"exif": exif}), (colour, "JPEG", {"progressive": True}),
        (image, "JPEG", {"quality": 30}), (colour.convert("CMYK"), "JPEG", {}), (colour, "WEBP", {}), (clear, "WEBP", {"lossless": True}),
        (colour, "BMP", {}), (colour.quantize(8), "BMP", {}), (image, "TIFF", {}), (colour, "TIFF", {"compression": "tiff_lzw"}),
        (deep, "TIFF", {}), (colour, "TIFF", {"compression": "jpeg"}), (image.convert("1"), "TIFF", {"compression": "group4"}),
        (image.convert("F"), "TIFF", {}), (colour.convert("CMYK"), "TIFF", {}), (colour, "GIF", {"save_all": True, "append_images": [colour.rotate(90)]}),
        (colour, "WEBP", {"save_all": True, "append_images": [colour.rotate(90)]}), (colour, "PNG", {"save_all": True, "append_images": [colour.rotate(9)]}),
    ]  # fmt: skip
    found = []
    for picture, kind, options in ways:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        found.append(file.getvalue())
    return found


def pictures() -> Callable[[Random], bytes]:
    """What makes changed pictures."""
    intact = examples()

    def make(rng: Random) -> bytes:
        content = rng.choice(intact)
        changed = changed_bytes(rng, content, TOKENS, rng.choice([60, 200, None]))
        return with_checksums(changed) if content.startswith(b"\x89PNG") and rng.random() < 0.7 else changed

    return make


def with_checksums(content: bytes) -> bytes:
    """A PNG with the checksum of each chunk made right, so that a change gets past it; else as it is."""
    found, place = bytearray(content), 8
    while place + 12 <= len(found):
        (length,) = struct.unpack(">I", found[place : place + 4])
        end = place + 8 + length
        if end + 4 > len(found):
            break
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[place + 4 : end]))
        place = end + 4
    return bytes(found)
