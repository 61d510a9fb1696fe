"""Distorted copies of digits: turned, scaled, slanted, bent, drawn by other pens; what else a hand might have
done.

Training on such copies is what makes small networks robust (Simard, Steinkraus & Platt 2003; Cireşan et al.
2010). Fields that bend are smooth by being made of few numbers, not by a blur: that is many times as fast.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, UInt8

_SIDE, _MARGIN = 28, 4
_MIDDLE = 13.5
_TURN = np.radians(13)
_SCALE, _SLANT, _SHIFT = 0.13, 0.22, 0.7
"""Of the logarithm; of a row's shift by its height; pixels."""
_KNOTS, _BEND = 6, 1.1
"""Numbers along a side that make a field, and its standard deviation in pixels at a knot."""
_PEN = 1.0
_AT_ONCE = 1_000


def distorted(
    images: UInt8[np.ndarray, "n 28 28"],
    random: np.random.Generator,
    on_share: Callable[[float], None] = lambda _: None,
) -> UInt8[np.ndarray, "n 28 28"]:
    """One distorted copy of each image.

    random:   a fresh stream
    on_share: told from time to time what share is done
    """
    found = np.empty_like(images)
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE]
        found[start : start + _AT_ONCE] = _other_pens(_moved(part, random), random)
        on_share(min(start + _AT_ONCE, len(images)) / len(images))
    return found


def _moved(
    images: UInt8[np.ndarray, "n 28 28"], random: np.random.Generator
) -> Float32[np.ndarray, "n 28 28"]:
    """Each image looked up at moved places, bilinearly; black beyond its border."""
    n, padded_side = len(images), _SIDE + 2 * _MARGIN
    padded = np.zeros((n, padded_side, padded_side), np.float32)
    padded[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = images
    y, x = _places(n, random)  # [n, 28, 28] each, in pixels of the padded image
    top, left = np.floor(y).astype(np.int32), np.floor(x).astype(np.int32)
    y -= top
    x -= left
    at = top * padded_side + left + (np.arange(n, dtype=np.int32) * padded_side**2)[:, None, None]
    flat = padded.ravel()
    upper = flat[at] * (1 - x) + flat[at + 1] * x
    lower = flat[at + padded_side] * (1 - x) + flat[at + padded_side + 1] * x
    return np.asarray(upper * (1 - y) + lower * y)


def _places(
    n: int, random: np.random.Generator
) -> tuple[Float32[np.ndarray, "n 28 28"], Float32[np.ndarray, "n 28 28"]]:
    """Of each pixel of each copy, the row and the column in the padded image that it comes from."""

    def drawn(size: float) -> Float32[np.ndarray, "n 1 1"]:
        return random.uniform(-size, size, (n, 1, 1)).astype(np.float32)

    turn, slant = drawn(float(_TURN)), drawn(_SLANT)
    tall, wide = np.exp(drawn(_SCALE)), np.exp(drawn(_SCALE))
    rows = (np.arange(_SIDE, dtype=np.float32) - _MIDDLE)[None, :, None]
    columns = (np.arange(_SIDE, dtype=np.float32) - _MIDDLE)[None, None, :]
    y = (np.cos(turn) * rows + np.sin(turn) * columns) * tall
    x = (np.cos(turn) * columns - np.sin(turn) * rows) * wide + slant * rows
    y = y + _field(n, random) + drawn(_SHIFT) + _MIDDLE + _MARGIN
    x = x + _field(n, random) + drawn(_SHIFT) + _MIDDLE + _MARGIN
    most = _SIDE + 2 * _MARGIN - 1.001
    return np.clip(y, 0, most, dtype=np.float32), np.clip(x, 0, most, dtype=np.float32)


def _field(n: int, random: np.random.Generator) -> Float32[np.ndarray, "n 28 28"]:
    """Smooth fields: few random numbers each, spread by bells."""
    knots = np.linspace(0, _SIDE - 1, _KNOTS, dtype=np.float32)
    distance = (np.arange(_SIDE, dtype=np.float32)[:, None] - knots) / (knots[1] - knots[0])
    bells = np.exp(-(distance**2))
    bells /= np.sqrt((bells**2).sum(1, keepdims=True))  # so that the deviation is the same everywhere
    numbers = random.standard_normal((n, _KNOTS, _KNOTS), np.float32) * np.float32(_BEND)
    return np.asarray(bells @ numbers @ bells.T)


def _other_pens(
    images: Float32[np.ndarray, "n 28 28"], random: np.random.Generator
) -> UInt8[np.ndarray, "n 28 28"]:
    """The same, drawn by a thicker or a thinner pen: between each pixel and the most or least ink beside
    it.
    """
    amount = random.uniform(-_PEN, _PEN, (len(images), 1, 1)).astype(np.float32)
    thicker, thinner = _beside(images, np.maximum), _beside(images, np.minimum)
    thick = np.clip(amount, 0, 1)
    thin = np.clip(-amount, 0, 1) * 0.7
    drawn = images + thick * (thicker - images) + thin * (thinner - images)
    return np.asarray(np.rint(np.clip(drawn, 0, 255)), np.uint8)


def _beside(
    images: Float32[np.ndarray, "n 28 28"], most: Callable[..., np.ndarray]
) -> Float32[np.ndarray, "n 28 28"]:
    found = images.copy()
    most(found[:, 1:], images[:, :-1], out=found[:, 1:])
    most(found[:, :, 1:], images[:, :, :-1], out=found[:, :, 1:])
    return found
