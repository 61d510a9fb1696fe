"""Files of strangers: every kind that is read, and a sentence for every kind that is not."""

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digitlab.errors import PictureError
from digitlab.vision import decode, pictures_in, read_digits, read_picture
from digitlab.vision.decoding import PIXEL_LIMIT, WORKING_SIDE
from tests.fuzz.pictures import examples


def scene(side: int = 120) -> np.ndarray:
    """A dark bar, upright, left of the middle, on light paper; [side, side + 40]."""
    pixels = np.full((side, side + 40), 245, np.uint8)
    pixels[side // 6 : -side // 6, side // 3 : side // 3 + side // 12] = 20
    return pixels


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def read_as(content: bytes) -> np.ndarray:
    (found,) = read_digits(decode(content)).found
    return found.image


EXPECTED_IMAGE = Image.fromarray(scene())


@pytest.mark.parametrize(
    "content",
    [
        file_of(EXPECTED_IMAGE.convert("RGB"), "PNG"),
        file_of(EXPECTED_IMAGE, "TIFF"),
        file_of(EXPECTED_IMAGE, "BMP"),
        file_of(EXPECTED_IMAGE.convert("RGB"), "WEBP", lossless=True),
        file_of(EXPECTED_IMAGE.convert("RGB").quantize(4), "GIF"),
        file_of(EXPECTED_IMAGE.convert("CMYK"), "TIFF"),
        file_of(Image.fromarray(scene().astype(np.uint16) * 257), "PNG"),
        file_of(Image.fromarray(scene().astype(np.float32) / 7), "TIFF"),
        file_of(Image.fromarray(255 - scene()), "PNG"),
        file_of(EXPECTED_IMAGE.convert("1", dither=Image.Dither.NONE), "PNG"),
    ],
    ids=["colour", "tiff", "bmp", "webp", "gif", "cmyk", "16-bit", "float", "inverted", "one bit"],
)
def test_every_kind_is_read_as_the_same_digit(content: bytes) -> None:
    difference = read_as(content).astype(int) - read_as(file_of(EXPECTED_IMAGE))
    assert np.abs(difference).max() <= 1


def test_jpegs_are_read_as_nearly_the_same() -> None:
    for kind in ({"quality": 95}, {"quality": 75, "progressive": True}):
        difference = read_as(file_of(EXPECTED_IMAGE, "JPEG", **kind)).astype(int) - read_as(
            file_of(EXPECTED_IMAGE)
        )
        assert np.abs(difference).mean() < 12  # a column of the bar more or less


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_as_exif_says(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    image = EXPECTED_IMAGE if back is None else EXPECTED_IMAGE.transpose(Image.Transpose(back))
    picture = decode(file_of(image, "PNG", exif=exif))
    np.testing.assert_array_equal(picture.pixels[:, :, 0], scene())
    assert (picture.width, picture.height) == (160, 120)


def test_transparent_drawings_lie_on_paper_that_shows_them() -> None:
    alpha = Image.fromarray(255 - scene())
    for colour in ((0, 0, 0), (255, 255, 255), (200, 30, 30)):
        drawing = Image.new("RGBA", alpha.size, (*colour, 0))
        drawing.putalpha(Image.fromarray(np.where(scene() < 100, 255, 0).astype(np.uint8)))
        assert np.abs(read_as(file_of(drawing)).astype(int) - read_as(file_of(EXPECTED_IMAGE))).max() <= 1


def test_of_an_animation_the_first_frame_is_read() -> None:
    blank = Image.new("L", EXPECTED_IMAGE.size, 245)
    for kind in ("GIF", "PNG", "WEBP"):
        frames = file_of(
            EXPECTED_IMAGE.convert("RGB"), kind, save_all=True, append_images=[blank.convert("RGB")] * 3
        )
        assert decode(frames).pixels.min() < 60


def test_large_pictures_are_worked_on_small() -> None:
    picture = decode(file_of(Image.fromarray(scene(3_000)), "JPEG"))
    assert max(picture.pixels.shape) <= WORKING_SIDE
    assert (picture.width, picture.height) == (3_040, 3_000)
    (found,) = read_digits(picture).found
    assert abs(found.box.left - 1_000) < 12
    assert abs(found.box.bottom - 2_500) < 12


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is so large, in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "x: is empty; use a picture in PNG, JPEG, WEBP, BMP, TIFF or GIF"),
        (b"<?xml version='1.0'?><svg xmlns='...'/>", "x: is a drawing in SVG, whatever its name says; export it as PNG"),
        (b"  <svg></svg>", "x: is a drawing in SVG, whatever its name says; export it as PNG"),
        (b"\x00\x00\x00\x18ftypheic", "x: is in HEIC or AVIF, which are not read here; save it as JPEG"),
        (b"%PDF-1.7", "x: is a PDF; export the page as PNG"),
        (b"no picture at all", "x: is not a picture, or in no format that is read here; use a picture in PNG, JPEG, WEBP, BMP, TIFF or GIF"),
        (file_of(EXPECTED_IMAGE, "PPM"), "x: is not a picture, or in no format that is read here; use a picture in PNG, JPEG, WEBP, BMP, TIFF or GIF"),
        (file_of(EXPECTED_IMAGE)[:120], "x: is damaged or cut short; get it again, or use another picture"),
        (file_of(EXPECTED_IMAGE, "JPEG")[:700], "x: is damaged or cut short; get it again, or use another picture"),
        (bomb(10_000, 8_000), "x: has 80 million pixels, and 64 million is the limit; use a smaller picture"),
        (bomb(60_000, 60_000), "x: has too many pixels, and 64 million is the limit; use a smaller picture"),
        (file_of(Image.new("L", (300, 5))), "x: is 300 x 5 pixels, too few to hold a digit; use a picture of 8 x 8 or more"),
        (file_of(Image.new("L", (9_000, 20))), "x: is 9000 x 20 pixels, too long and narrow for a digit; cut out the part that holds it"),
        (b"\xff\xd8" + b"\xff\xda\x00" * 300, "x: is a JPEG of more than 200 scans; save it anew"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(PictureError) as error:
        decode(content, "x")
    assert str(error.value) == sentence


def test_a_bomb_takes_no_memory() -> None:
    content = bomb(8_000, 7_999)  # within the limit, and cut short
    tracemalloc.start()
    with pytest.raises(PictureError, match="damaged or cut short"):
        decode(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    assert PIXEL_LIMIT == 64_000_000


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(
        PictureError, match="is not a regular file, but a pipe or a device; use a picture in PNG"
    ):
        read_picture(tmp_path / "pipe.png")
    with pytest.raises(
        PictureError, match=r"none\.png: cannot be read \(No such file or directory\); name a file that can"
    ):
        read_picture(tmp_path / "none.png")
    with pytest.raises(PictureError, match=r"cannot be read \(Is a directory\)"):
        read_picture(tmp_path)
    with pytest.raises(PictureError, match="cannot be the name of a file; name another"):
        read_picture("a\0b.png")


def test_a_folders_pictures_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", ".hidden.png", "notes.txt", "c.tif"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures_in(tmp_path)] == ["a.jpeg", "b.PNG", "c.tif"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match=r"empty: holds no picture; name a folder with files of \.bmp, "):
        pictures_in(tmp_path / "empty")


def test_all_examples_of_the_fuzzer_are_read() -> None:
    for content in examples():
        assert decode(content).pixels.shape[2] == 3


def test_damaged_tiffs_write_nothing_past_python(capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(file_of(EXPECTED_IMAGE.convert("1"), "TIFF", compression="group4"))
    content[20:60] = bytes(40)
    with pytest.raises(PictureError):
        decode(bytes(content[:-40]))
    decode(file_of(EXPECTED_IMAGE.convert("1"), "TIFF", compression="group4"))
    os.write(2, b"still there\n")
    assert capfd.readouterr().err == "still there\n"
