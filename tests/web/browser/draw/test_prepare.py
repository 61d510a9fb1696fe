"""What the page makes of drawings, against all of `digitlab.vision` on the same pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image
from playwright.sync_api import Page

from digitlab.data import Dataset
from digitlab.vision import Reading, decode, read_digits
from tests.web.browser.draw.drawings import SIDE, drawings

COUNT = 500
PREPARE = """async ([name, count, side]) => {
  const { inkOf, prepared } = await import("/static/lib/prepare.js");
  const bytes = new Uint8Array(await (await fetch(`/files/${name}`)).arrayBuffer());
  const found = [];
  for (let i = 0; i < count; i++) {
    const grey = bytes.subarray(i * side * side, (i + 1) * side * side);
    const pixels = new Uint32Array(side * side);
    for (let j = 0; j < pixels.length; j++) pixels[j] = 0xff000000 | (grey[j] * 0x10101);
    const data = new Uint8ClampedArray(pixels.buffer);
    const { image, isWidened, doubt, pen } = prepared(inkOf({ data, width: side, height: side }));
    found.push([String.fromCharCode(...image), isWidened, doubt, pen]);
  }
  return found;
}"""


def read(pixels: UInt8[np.ndarray, "280 280"]) -> Reading:
    """The whole way of a picture in Python, from its file on."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=0)
    return read_digits(decode(content.getvalue()), single=True)


def in_the_page(
    pixels: UInt8[np.ndarray, "n 280 280"], modules: Page, files: Path
) -> list[tuple[UInt8[np.ndarray, "28 28"], bool, str, float]]:
    (files / "drawings").write_bytes(pixels.tobytes())
    found = modules.evaluate(PREPARE, ["drawings", len(pixels), SIDE])
    return [(np.frombuffer(text.encode("latin-1"), np.uint8).reshape(28, 28), *rest) for text, *rest in found]


def test_500_drawings_become_what_vision_makes_of_them(mnist: Dataset, modules: Page, files: Path) -> None:
    pixels = drawings(mnist, COUNT)
    compared = widened = 0
    for drawing, (image, is_widened, doubt, pen) in zip(
        pixels, in_the_page(pixels, modules, files), strict=True
    ):
        reading = read(drawing)
        if doubt:  # what is no digit here is none there
            assert not reading.found, doubt
            continue
        (found,) = reading.found
        if found.ink.sum() * 255 < 0.999 * drawing.sum():
            continue  # of several pieces one is a blot: on a canvas every mark is meant
        assert np.abs(image.astype(int) - found.image).max() <= 1
        assert pen == pytest.approx(found.pen, rel=1e-4)
        assert is_widened == (found.drawn is not found.ink)
        compared += 1
        widened += is_widened
    assert compared >= 0.85 * COUNT
    assert widened >= 0.05 * COUNT  # thin pens are among them


def test_a_blank_and_what_is_no_digit(modules: Page, files: Path) -> None:
    blank = np.zeros((SIDE, SIDE), np.uint8)
    dot, bar, square = blank.copy(), blank.copy(), blank.copy()
    dot[100:104, 100:104] = bar[100:110, 20:260] = square[100:200, 100:200] = 255
    found = in_the_page(np.stack([blank, dot, bar, square]), modules, files)
    assert [doubt for _, _, doubt, _ in found] == ["blank", "small", "line", "blot"]
    assert not found[0][0].any()
    assert found[3][0][5:25, 5:25].min() > 0  # shown all the same
    for drawing in (blank, dot, bar, square):
        assert read(drawing).refusal
