"""Bytes of a stranger's file -> a Picture. Few formats, bounded pixels, and a sentence for everything else.

Pillow decodes, with the formats named that it may try. What a picture may be large by is known from its
header, before any of it is unpacked, and JPEGs are unpacked at a fraction of their size.
"""

import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageGrab, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from digitlab.errors import PictureError, plain
from digitlab.files import is_regular
from digitlab.vision.reading import Picture

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
BYTE_LIMIT = 64 << 20
PIXEL_LIMIT = 64_000_000
WORKING_SIDE = 1_000
"""Pixels of the longer side that are worked on: a digit of a twentieth of it is still larger than MNIST's."""
_LEAST_SIDE = 8
_TIFF_STARTS = (b"II", b"MM")
_STDERR = Lock()
_SCAN_LIMIT = 200
"""Of a JPEG: each costs a pass over the whole picture, and a file of a megabyte can hold a hundred
thousand."""
_PLUGINS = (TiffImagePlugin, WebPImagePlugin)  # loaded with this module: Pillow would load all it has
_USE = f"use a picture in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by the orientation that EXIF says."""


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """The picture in a file that a user names; never waits, never reads without end.

    Raises PictureError.
    """
    name = os.fspath(path)
    try:
        if not is_regular(path):
            raise _refused(name, "is not a regular file, but a pipe or a device", _USE)
        # Without waiting: what was a file a moment ago may be a pipe by now.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            return decode(_bounded(file, name), name)
    except OSError as error:
        raise _refused(name, f"cannot be read ({error.strerror})", "name a file that can") from None
    except ValueError:  # a NUL in its name
        raise _refused(name, "cannot be the name of a file", "name another") from None


def read_stream(stream: BinaryIO, name: str) -> Picture:
    """The picture that a stream holds until its end. Raises PictureError."""
    return decode(_bounded(stream, name), name)


def pictures_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of a folder whose names are those of pictures, by name; hidden ones are left out.

    Raises PictureError when it cannot be read, or holds none.
    """
    try:
        found = [path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES]
    except OSError as error:
        raise _refused(
            os.fspath(folder), f"cannot be read ({error.strerror})", "name a folder that can"
        ) from None
    if not (shown := sorted(path for path in found if not path.name.startswith("."))):
        suffixes = ", ".join(sorted(SUFFIXES))
        raise _refused(os.fspath(folder), "holds no picture", f"name a folder with files of {suffixes}")
    return shown


def clipboard_picture() -> Picture:
    """The picture in the clipboard.

    Raises PictureError when there is none, or no clipboard.
    """
    name = "the clipboard"
    try:
        found = ImageGrab.grabclipboard()
    except Exception as error:  # noqa: BLE001  # each platform has its own ways to have no clipboard
        problem = f"cannot be read ({plain(str(error), 200)})"
        remedy = "save the picture as a file and name it; on Linux, wl-paste or xclip is needed"
        raise _refused(name, problem, remedy) from None
    if isinstance(found, list) and found:  # files that were copied
        return read_picture(found[0])
    if not isinstance(found, Image.Image):
        raise _refused(name, "holds no picture", "copy one, or name a file")
    content = io.BytesIO()
    found.convert("RGBA").save(content, "PNG", compress_level=1)
    return decode(content.getvalue(), name)  # by the same way as any other


def decode(content: bytes, name: str = "picture") -> Picture:
    """The picture in these bytes: upright, on white where it was transparent, at most 1,000 pixels long.

    Of an animation it is the first frame; values of more than 8 bits are scaled by the largest.

    name: what errors call it
    Raises PictureError when they are not a picture in one of FORMATS, are damaged, or are too large.
    """
    if foreign := _foreign(content):
        raise _refused(name, *foreign)
    try:
        with warnings.catch_warnings():
            # Of damage that does no harm, and of sizes, which are refused here.
            warnings.simplefilter("ignore")
            with _silenced() if content.startswith(_TIFF_STARTS) else nullcontext():
                return _decoded(content, name)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise _refused(name, "is not a picture, or in no format that is read here", _USE) from None
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except MemoryError:
        raise _refused(name, "does not fit the free memory", "use a smaller picture") from None
    except Exception:  # noqa: BLE001  # Pillow raises whatever a damaged file leads it to, of a dozen kinds
        raise _refused(name, "is damaged or cut short", "get it again, or use another picture") from None


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep libtiff from writing to the process's stderr, past Python, what it thinks of a damaged file."""
    with _STDERR:
        try:
            kept = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _refused(name: str, problem: str, remedy: str) -> PictureError:
    return PictureError(f"{plain(name, 400)}: {problem}; {remedy}")


def _too_large(name: str, pixels: int | None = None) -> PictureError:
    held = f"{pixels / 1e6:,.0f} million" if pixels else "too many"
    return _refused(
        name,
        f"has {held} pixels, and {PIXEL_LIMIT // 1_000_000} million is the limit",
        "use a smaller picture",
    )


def _bounded(stream: BinaryIO, name: str) -> bytes:
    content = stream.read(BYTE_LIMIT + 1)
    if len(content) > BYTE_LIMIT:
        raise _refused(name, f"is longer than {BYTE_LIMIT >> 20} MB", "use a smaller picture")
    return content


def _foreign(content: bytes) -> tuple[str, str] | None:
    """What is wrong with bytes that are no picture of ours at first sight, and what to do."""
    start = content[:1024].lstrip().lower()
    if not content:
        return "is empty", _USE
    if start.startswith((b"<svg", b"<?xml", b"<!doctype svg")) or b"<svg" in start:
        return "is a drawing in SVG, whatever its name says", "export it as PNG"
    if start[4:8] == b"ftyp" and start[8:11] in {b"hei", b"hev", b"mif", b"avi"}:
        return "is in HEIC or AVIF, which are not read here", "save it as JPEG"
    if start.startswith(b"%pdf"):
        return "is a PDF", "export the page as PNG"
    if start.startswith(b"\xff\xd8") and content.count(b"\xff\xda") > _SCAN_LIMIT:
        return f"is a JPEG of more than {_SCAN_LIMIT} scans", "save it anew"
    return None


def _decoded(content: bytes, name: str) -> Picture:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > PIXEL_LIMIT:
            raise _too_large(name, width * height)
        if min(width, height) < _LEAST_SIDE:
            problem = f"is {width} x {height} pixels, too few to hold a digit"
            raise _refused(name, problem, f"use a picture of {_LEAST_SIDE} x {_LEAST_SIDE} or more")
        longer = max(width, height)
        if min(width, height) * WORKING_SIDE < longer * _LEAST_SIDE:
            problem = f"is {width} x {height} pixels, too long and narrow for a digit"
            raise _refused(name, problem, "cut out the part that holds it")
        # A JPEG is unpacked at 1/2, 1/4 or 1/8 where that is no smaller than what is worked on; no other can.
        factor = _reduction(image)
        image.draft(None, (max(width // factor, 1), max(height // factor, 1)))
        image.load()
        turn = _UPRIGHT.get(_orientation(image))
        working = _opaque(_reduced(_eight_bits(image)))
    if turn is not None:
        working = working.transpose(turn)
        if turn >= Image.Transpose.ROTATE_90 and turn != Image.Transpose.ROTATE_180:
            width, height = height, width
    pixels: UInt8[np.ndarray, "height width 3"] = np.asarray(
        working if working.mode == "RGB" else working.convert("RGB")
    )
    return Picture(pixels, name, width, height)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  # damaged EXIF does not make a picture worse
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """The same in 8 bits a channel, without a palette; one-bit and palette pictures as RGB or RGBA."""
    if image.mode in {"L", "RGB", "RGBA", "LA"} and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        numbers = _reduced(image if image.mode in {"I", "F"} else image.convert("I"))
        values = np.nan_to_num(np.asarray(numbers).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        largest = float(values.max())
        scaled = np.clip(values * (255 / largest), 0, 255) if largest > 0 else np.zeros_like(values)
        return Image.fromarray(np.rint(scaled).astype(np.uint8))
    if image.mode in {"P", "PA", "La", "RGBa"} or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB")  # one bit, CMYK, YCbCr, LAB, HSV


def _reduction(image: Image.Image) -> int:
    """Pixels of its side that become one, so that it is small enough."""
    return math.ceil(max(image.size) / WORKING_SIDE)


def _reduced(image: Image.Image) -> Image.Image:
    factor = _reduction(image)
    return image.reduce((min(factor, image.width), min(factor, image.height))) if factor > 1 else image


def _opaque(image: Image.Image) -> Image.Image:
    """A transparent picture on paper: on black where what is drawn is light, else on white."""
    if image.mode not in {"RGBA", "LA"}:
        return image
    drawn = np.asarray(image.convert("RGBA")).astype(np.float32)
    alpha = drawn[:, :, 3:] / 255
    weight = float(alpha.sum())
    brightness = float((drawn[:, :, :3].mean(2, keepdims=True) * alpha).sum()) / weight if weight else 0.0
    is_see_through = float((alpha < 0.5).mean()) > 0.2
    paper = 0 if is_see_through and brightness > 170 else 255
    return Image.fromarray(np.rint(drawn[:, :, :3] * alpha + paper * (1 - alpha)).astype(np.uint8))
