"""Ink of one digit -> the image of 28 x 28 that MNIST's makers would have made of it.

Their procedure as Yadav & Bottou reconstructed it (2019, arXiv 1905.10498): the shorter side of the bounding
box is extended about its middle to a square, pixels are doubled while a side is under 20, the square is
resampled to 20 x 20 by area, and its centre of mass is put into the middle of 28 x 28.
"""

import math

import numpy as np
from jaxtyping import Float, Float32, UInt8

SIDE, DIGIT_SIDE = 28, 20
_FAR_EDGE = 0.99
"""Each pixel's area ends a little before its far edge."""
_CENTRE = 15
"""Half of 28, and one: where pixels' centres lie at i + 1/2, the centre of mass comes to at most 15."""


def mnist_image(ink: Float[np.ndarray, "rows columns"]) -> UInt8[np.ndarray, "28 28"]:
    """The image, white on black.

    ink: amount at each pixel, 0 … 1, of one digit alone; any margin is cut off
    Without any ink it is black.
    """
    box = cut_to_ink(ink)
    if not box.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    small = _resampled(_square(box))
    grey = np.rint(small / small.max() * 255)
    # The 20 pixels may reach over the 28 where nearly all ink is at one side of them.
    whole = np.zeros((SIDE + 2 * DIGIT_SIDE, SIDE + 2 * DIGIT_SIDE), np.uint8)
    top, left = (DIGIT_SIDE + _offset(grey.sum(axis)) for axis in (1, 0))
    whole[top : top + DIGIT_SIDE, left : left + DIGIT_SIDE] = grey
    return whole[DIGIT_SIDE:-DIGIT_SIDE, DIGIT_SIDE:-DIGIT_SIDE].copy()


def cut_to_ink(ink: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows2 columns2"]:
    """The bounding box of the ink; empty where there is none."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not rows.size:
        return ink[:0, :0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def is_as_mnist(pixels: UInt8[np.ndarray, "height width 3"]) -> bool:
    """Whether a picture is as MNIST's are already: 28 x 28, grey, and black for the most part."""
    if pixels.shape != (SIDE, SIDE, 3):
        return False
    grey = pixels[:, :, 0]
    is_grey = bool((pixels == grey[:, :, None]).all())
    return is_grey and bool((grey == 0).mean() > 0.5) and bool(grey.any())


def _square(box: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "side side"]:
    rows, columns = box.shape
    side = max(rows, columns)
    square = np.zeros((side, side), np.float64)
    top, left = (side - rows) // 2, (side - columns) // 2
    square[top : top + rows, left : left + columns] = box
    while len(square) < DIGIT_SIDE:
        square = square.repeat(2, 0).repeat(2, 1)
    return square


def _resampled(square: Float[np.ndarray, "side side"]) -> Float[np.ndarray, "20 20"]:
    """Each output pixel's share of the ink, by area."""
    side = len(square)
    scale = DIGIT_SIDE / side
    near = np.arange(side) * scale
    far = (np.arange(side) + _FAR_EDGE) * scale
    outputs = np.arange(DIGIT_SIDE)[:, None]
    # How much of input pixel j lies in output pixel i, [20, side].
    shares = np.clip(np.minimum(far, outputs + 1) - np.maximum(near, outputs), 0, None)
    return np.asarray(shares @ square @ shares.T)


def _offset(weights: Float[np.ndarray, "20"]) -> int:
    """Where the 20 pixels begin among the 28, so that their centre of mass comes to the middle."""
    centre = float(weights @ (np.arange(DIGIT_SIDE) + 0.5) / weights.sum())
    return math.floor(_CENTRE - centre)


def image_as_ink(image: UInt8[np.ndarray, "28 28"]) -> Float32[np.ndarray, "28 28"]:
    """The amount of ink in an image that is as MNIST's."""
    return image.astype(np.float32) / 255
