"""The picture of the steps: from the photograph to the images that a network saw, and what it said of
each.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlab.vision.reading import Box, Found, Picture, Reading

_PANEL, _TILE, _GAP, _TEXT = 300, 112, 12, 13
"""Pixels: the longer side of a step, a side of a digit's, and between them; of letters."""
_PAPER, _PEN, _MARK, _PALE = (255, 255, 255), (30, 30, 30), (0, 114, 178), (200, 216, 228)
_MOST_SHOWN = 12


@dataclass(frozen=True)
class Caption:
    """What is written beside a digit.

    title: the answer, or that there is none
    bars:  classes and their probabilities, the likeliest first
    """

    title: str
    bars: tuple[tuple[str, float], ...] = ()


def steps_picture(reading: Reading, captions: Sequence[Caption], summary: str) -> bytes:
    """A PNG of every step: the picture with its boxes, contrast, ink; and a line for each digit.

    captions: one for each digit that was found
    summary:  what was read in all, or why nothing was
    """
    steps = _steps(reading)
    rows = [_digit_row(*each) for each in zip(reading.found[:_MOST_SHOWN], captions, strict=False)]
    top = _side_by_side([_titled(title, image) for title, image in steps])
    parts = [_text(summary, top.width, size=_TEXT + 3), top, *rows]
    if (hidden := len(reading.found) - _MOST_SHOWN) > 0:
        parts.append(_text(f"and {hidden} more", top.width))
    whole = _stacked(parts).quantize(128, dither=Image.Dither.NONE)
    content = io.BytesIO()
    whole.save(content, "PNG", optimize=True)
    return content.getvalue()


def step_pictures(reading: Reading) -> list[tuple[str, bytes]]:
    """Name and PNG of each step: the picture with its boxes, contrast, ink."""
    found = []
    for title, image in _steps(reading):
        content = io.BytesIO()
        image.save(content, "PNG")
        found.append((title, content.getvalue()))
    return found


def contact_sheet(readings: Sequence[tuple[Reading, Sequence[Caption]]], side: int = 104) -> bytes:
    """A PNG of several pictures, a line each: picture, contrast, ink, then the images of what was found.

    An image stands under its answer, or under "not sure".

    side: pixels of the longer side of each step
    """
    lines = []
    for reading, captions in readings:
        steps = [_centred(_fitted(image, side), side) for _, image in _steps(reading)]
        digits = [
            _titled(
                caption.title.partition(":")[0],
                Image.fromarray(found.image)
                .convert("RGB")
                .resize((side - 20, side - 20), Image.Resampling.NEAREST),
            )
            for found, caption in zip(reading.found, captions, strict=True)
        ]
        lines.append(_side_by_side([*steps, *digits[:4]]))
    content = io.BytesIO()
    _stacked(lines).quantize(64, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()


def _steps(reading: Reading) -> list[tuple[str, Image.Image]]:
    steps = [("picture", _with_boxes(reading.picture, [found.box for found in reading.found]))]
    if reading.contrast is not None:
        steps.append(("away from the paper", _fitted(_grey(reading.contrast.values), _PANEL)))
    if reading.ink is not None:
        title = "ink, without printed lines" if reading.ink.rules.any() else "ink"
        steps.append((title, _fitted(_grey(reading.ink.amount), _PANEL)))
    return steps


def _with_boxes(picture: Picture, boxes: Sequence[Box]) -> Image.Image:
    image = _fitted(Image.fromarray(picture.pixels), _PANEL)
    draw = ImageDraw.Draw(image)
    across, down = image.width / picture.width, image.height / picture.height
    for box in boxes:
        corners = (box.left * across - 1, box.top * down - 1, box.right * across, box.bottom * down)
        draw.rectangle(corners, outline=_MARK, width=2)
    return image


def _digit_row(found: Found, caption: Caption) -> Image.Image:
    steps = [("its ink", _fitted(_grey(found.ink), _TILE))]
    if found.drawn is not found.ink:
        steps.append(("by a usual pen", _fitted(_grey(found.drawn), _TILE)))
    image = Image.fromarray(found.image).convert("RGB")
    steps.append(("28 x 28", image.resize((_TILE, _TILE), Image.Resampling.NEAREST)))
    tiles = [_titled(title, _centred(tile, _TILE)) for title, tile in steps]
    return _side_by_side([*tiles, _bars(caption)])


def _bars(caption: Caption) -> Image.Image:
    line, width = _TEXT + 7, 2 * _PANEL
    image = Image.new("RGB", (width, _TILE + _TEXT + 6), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((0, 0), caption.title, _PEN, _font())
    for i, (name, probability) in enumerate(caption.bars):
        y = (i + 1) * line + 4
        draw.text((0, y), name, _PEN, _font())
        draw.rectangle((30, y + 3, 30 + round(200 * probability), y + _TEXT), fill=_MARK)
        draw.text((36 + 200, y), f"{probability:.1%}", _PEN, _font())
    return image


def _grey(ink: np.ndarray) -> Image.Image:
    """Amounts of ink 0 … 1 as black on white."""
    return Image.fromarray(np.rint(255 * (1 - np.clip(ink, 0, 1))).astype(np.uint8))


def _fitted(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return image.resize(size, method).convert("RGB")


def _centred(image: Image.Image, side: int) -> Image.Image:
    whole = Image.new("RGB", (side, side), _PAPER)
    whole.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    ImageDraw.Draw(whole).rectangle((0, 0, side - 1, side - 1), outline=_PALE)
    return whole


def _titled(title: str, image: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (image.width, image.height + _TEXT + 6), _PAPER)
    ImageDraw.Draw(whole).text((0, 0), title, _PEN, _font())
    whole.paste(image, (0, _TEXT + 6))
    return whole


def _text(text: str, width: int, size: int = _TEXT) -> Image.Image:
    font = _font(size)
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > max(width, 2 * _PANEL):
            lines.append(line)
            longer = word
        line = longer
    lines.append(line)
    image = Image.new("RGB", (max(width, 2 * _PANEL), (size + 6) * len(lines)), _PAPER)
    for i, each in enumerate(lines):
        ImageDraw.Draw(image).text((0, i * (size + 6)), each, _PEN, font)
    return image


def _font(size: int = _TEXT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    width = sum(image.width + _GAP for image in images) - _GAP
    whole = Image.new("RGB", (width, max(image.height for image in images)), _PAPER)
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width + _GAP
    return whole


def _stacked(images: Sequence[Image.Image]) -> Image.Image:
    width = max(image.width for image in images) + 2 * _GAP
    height = sum(image.height + _GAP for image in images) + _GAP
    whole = Image.new("RGB", (width, height), _PAPER)
    top = _GAP
    for image in images:
        whole.paste(image, (_GAP, top))
        top += image.height + _GAP
    return whole
