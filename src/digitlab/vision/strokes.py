"""The pen's width: measured, and thin pens widened to what MNIST's digits are drawn with.

MNIST's makers had ink scanned at 300 dots an inch, so that a stroke is about 3 of the 20 pixels wide. The
line of a ball-pen in a large digit would be a grey shade after resampling.
"""

import math

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image
from scipy import ndimage

from digitlab.vision.mnist import DIGIT_SIDE

THIN = 1.3
"""Below this width, of 20 pixels, lie 0.1 % of MNIST's training digits."""
USUAL = 2.2
"""What a thin stroke is widened to: near the median of MNIST's training digits."""
_FRAME = 160
"""Pixels of the longer side while a stroke is widened."""


def pen_width(ink: Float[np.ndarray, "rows columns"]) -> float:
    """The width of the stroke, in pixels of a digit that is 20 pixels long.

    Twice the area by the length of the outline. The outline is the total variation of the ink, taken along
    rows and columns and divided by 4/π, the mean of |cos| + |sin| over all directions.
    """
    padded = np.pad(ink, 1)
    variation = float(np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum())
    if not variation:
        return 0.0
    outline = variation * math.pi / 4
    return float(2 * ink.sum() / outline * DIGIT_SIDE / max(ink.shape))


def stroke_length(ink: Float[np.ndarray, "rows columns"], pen: float) -> float:
    """How far the pen went, in longer sides of what it drew: the area by the pen's width.

    pen: its width, by `pen_width`
    """
    longer = max(ink.shape)
    return float(ink.sum()) / (pen * longer / DIGIT_SIDE) / longer if pen else 0.0


def widened(ink: Float32[np.ndarray, "rows columns"], pen: float) -> Float32[np.ndarray, "rows2 columns2"]:
    """The same digit drawn by a usual pen, where its own is thinner than all of MNIST's; else as it is.

    pen: its width, by `pen_width`
    """
    if not 0 < pen < THIN:
        return ink
    mask = _framed(ink)
    unit = max(mask.shape) / DIGIT_SIDE
    radius = (USUAL - pen_width(mask.astype(np.float32))) / 2 * unit
    if radius <= 0:
        return ink
    margin = math.ceil(radius) + 1
    away = ndimage.distance_transform_edt(~np.pad(mask, margin))
    # A soft edge: half a pixel inside and outside.
    return np.asarray(np.clip(radius + 0.5 - away, 0, 1), np.float32)


def _framed(ink: Float32[np.ndarray, "rows columns"]) -> np.ndarray:
    """A mask of about 160 pixels: large digits lose no line, small ones get smooth edges."""
    rows, columns = ink.shape
    factor = max(rows, columns) / _FRAME
    if factor > 1:
        block = math.ceil(factor)
        padded = np.pad(ink, ((0, -rows % block), (0, -columns % block)))
        blocks = padded.reshape(padded.shape[0] // block, block, padded.shape[1] // block, block)
        return np.asarray(blocks.max((1, 3)) >= 0.5 * ink.max())
    times = max(round(1 / factor), 1)
    image = Image.fromarray(np.pad(ink, 1))
    enlarged = np.asarray(image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC))
    return enlarged >= 0.4 * float(ink.max())
