"""What the page makes of drawings, against all of `digitlab.vision` on the same pictures."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image
from playwright.sync_api import Page

from digitlab.data import Dataset
from digitlab.rng import stream
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


DRAW = """async (drawings) => {
  const { inkCanvas, paint, readInk } = await import("/static/draw/drawing.js");
  const { asDrawn, prepared } = await import("/static/lib/prepare.js");
  const ink = inkCanvas();
  return drawings.map((strokes) => {
    paint(ink, { base: null, strokes }, "#fff");
    const values = readInk(ink);
    const texts = [prepared(values).image, asDrawn(values)].map((image) => String.fromCharCode(...image));
    return [ink.canvas.toDataURL("image/png").split(",")[1], ...texts];
  });
}"""


def test_what_is_drawn_on_the_canvas_is_what_vision_finds_in_its_picture(modules: Page) -> None:
    random = stream(0, "canvas")
    given = []
    for pen in np.geomspace(4, 40, 12):
        way = np.cumsum(random.normal(0, 16, (25, 2)), axis=0) + random.uniform(100, 180, 2)
        points = [{"x": float(x), "y": float(y)} for x, y in np.clip(way, 30, 250)]
        given.append([{"pen": float(pen), "points": points}])
    compared = 0
    for png, made, plain in modules.evaluate(DRAW, given):
        content = base64.b64decode(png)
        found = read_digits(decode(content), single=True).found
        grey = np.asarray(Image.open(io.BytesIO(content)).convert("L")).astype(float)
        means = grey.reshape(28, 10, 28, 10).mean((1, 3)) / grey.max() * 255
        np.testing.assert_allclose(as_image(plain), means, atol=1)
        if found:
            assert np.abs(as_image(made).astype(int) - found[0].image).max() <= 1
            compared += 1
    assert compared >= 8


def as_image(text: str) -> UInt8[np.ndarray, "28 28"]:
    return np.frombuffer(text.encode("latin-1"), np.uint8).reshape(28, 28)
