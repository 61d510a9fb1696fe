"""Distorted copies of digits: turned, slanted, bent, by other pens, what else a hand might have done; and
then cut out and centred as MNIST's makers did.

Training on such copies is what makes small networks robust (Simard, Steinkraus & Platt 2003; Cireşan et al.
2010). Fields that bend are smooth by being made of few numbers, not by a blur: that is many times as fast. No
network has to learn sizes and places that no picture has once it is prepared.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

_SIDE, _MARGIN, _PADDED = 28, 4, 36
_MIDDLE = 13.5
_DIGIT, _CENTRE = 20, 14
"""The makers' longer side of a digit, and where in 28 pixels its centre of mass lies."""
_TURN = np.radians(10)
_STRETCH, _SLANT = 0.1, 0.15
"""Of the logarithm; of a row's shift by its height."""
_KNOTS, _BEND = 6, 0.8
"""Numbers along a side that make a field, and its standard deviation in pixels at a knot."""
_PEN = 1.0
_LOW, _HIGH = (0, 50), (150, 255)
"""Grey levels that become black and white, from and to."""
_INK, _ROUGH = 60, 2
"""Grey levels from which on a pixel is ink; pixels by which a copy's size is measured, and varies."""
_AT_ONCE = 200

Places = tuple[Float32[np.ndarray, "n rows"], Float32[np.ndarray, "n columns"]]
"""Of each image, or of all alike, the rows and the columns that are drawn, in pixels of a copy of 28 x 28."""


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
        hand = _hand(part, random)
        rough = np.arange(0.5, _SIDE, _ROUGH, dtype=np.float32)[None]
        places = _as_made(_drawn(hand, (rough, rough)), random)
        found[start : start + _AT_ONCE] = _inked(_drawn(hand, places), random)
        on_share(min(start + _AT_ONCE, len(images)) / len(images))
    return found


@dataclass(frozen=True, eq=False)
class _Hand:
    """How images are written anew: where each pixel of a copy comes from."""

    ink: Float32[np.ndarray, "pixels"]  # of all images, each with a margin
    turn: Float32[np.ndarray, "n 1 1"]
    slant: Float32[np.ndarray, "n 1 1"]
    stretch: tuple[Float32[np.ndarray, "n 1 1"], Float32[np.ndarray, "n 1 1"]]
    bend: tuple[Float32[np.ndarray, "n knots knots"], Float32[np.ndarray, "n knots knots"]]


def _hand(images: UInt8[np.ndarray, "n 28 28"], random: np.random.Generator) -> _Hand:
    n = len(images)

    def drawn(size: float) -> Float32[np.ndarray, "n 1 1"]:
        return random.uniform(-size, size, (n, 1, 1)).astype(np.float32)

    def field() -> Float32[np.ndarray, "n knots knots"]:
        return random.standard_normal((n, _KNOTS, _KNOTS), np.float32) * np.float32(_BEND)

    padded = np.zeros((n, _PADDED, _PADDED), np.float32)
    padded[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = _other_pens(images, random)
    stretch = np.exp(drawn(_STRETCH)), np.exp(drawn(_STRETCH))
    return _Hand(padded.ravel(), drawn(float(_TURN)), drawn(_SLANT), stretch, (field(), field()))


def _drawn(hand: _Hand, places: Places) -> Float32[np.ndarray, "n rows columns"]:
    """What a hand makes of each image, looked up bilinearly; black beyond its border."""
    y, x = _origins(hand, places)  # [n, rows, columns] each, in pixels of the image with its margin
    top, left = np.floor(y).astype(np.int32), np.floor(x).astype(np.int32)
    y -= top
    x -= left
    at = top * _PADDED + left + (np.arange(len(y), dtype=np.int32) * _PADDED**2)[:, None, None]
    beside = (0, 1, _PADDED, _PADDED + 1)
    upper, upper_right, lower, lower_right = (hand.ink.take(at + step) for step in beside)
    for left_one, right_one in ((upper, upper_right), (lower, lower_right)):
        left_one += x * (right_one - left_one)
    upper += y * (lower - upper)
    return np.asarray(upper)


def _origins(
    hand: _Hand, places: Places
) -> tuple[Float32[np.ndarray, "n rows columns"], Float32[np.ndarray, "n rows columns"]]:
    """Where in the image with its margin each place of a copy comes from."""
    along, across = (_bells(place) for place in places)
    rows, columns = places[0][:, :, None] - _MIDDLE, places[1][:, None, :] - _MIDDLE
    y = (np.cos(hand.turn) * rows + np.sin(hand.turn) * columns) * hand.stretch[0]
    x = (np.cos(hand.turn) * columns - np.sin(hand.turn) * rows) * hand.stretch[1] + hand.slant * rows
    found = []
    for straight, bend in zip((y, x), hand.bend, strict=True):
        bent = straight + along @ bend @ across.transpose(0, 2, 1) + _MIDDLE + _MARGIN
        found.append(np.clip(bent, 0, _PADDED - 1.001, dtype=np.float32))
    return found[0], found[1]


def _bells(places: Float32[np.ndarray, "n places"]) -> Float32[np.ndarray, "n places knots"]:
    """How much each knot counts at each place."""
    knots = np.linspace(0, _SIDE - 1, _KNOTS, dtype=np.float32)
    bells = np.exp(-(((places[:, :, None] - knots) / (knots[1] - knots[0])) ** 2))
    # So that the deviation is the same everywhere.
    return np.asarray(bells / np.sqrt((bells**2).sum(2, keepdims=True)))


def _as_made(rough: Float32[np.ndarray, "n 14 14"], random: np.random.Generator) -> Places:
    """Where to draw so that the longer side has the makers' size, and the centre of mass their place.

    Sizes vary by the roughness, places by half a pixel, as the makers moved digits by whole ones.

    rough: copies, drawn in rough pixels
    """
    centres, sides = [], []
    mass = np.maximum(rough.sum((1, 2)), 1)
    for axis in (2, 1):
        is_ink = np.asarray((rough > _INK).any(axis))  # [n, 14]
        first, last = is_ink.argmax(1), is_ink.shape[1] - 1 - is_ink[:, ::-1].argmax(1)
        sides.append((last - first + 1) * _ROUGH)
        centres.append((rough.sum(axis) * np.arange(0.5, _SIDE, _ROUGH)).sum(1) / mass)
    scale = np.maximum(*sides)[:, None] / _DIGIT  # [n, 1]
    pixels = np.arange(_SIDE) + random.uniform(-0.5, 0.5, (2, len(rough), 1)) - _CENTRE  # [2, n, 28]
    rows, columns = ((centre[:, None] + scale * own) for centre, own in zip(centres, pixels, strict=True))
    return rows.astype(np.float32), columns.astype(np.float32)


def _other_pens(
    images: UInt8[np.ndarray, "n 28 28"], random: np.random.Generator
) -> Float32[np.ndarray, "n 28 28"]:
    """The same, drawn by a thicker or a thinner pen: between each pixel and the most or least ink beside
    it.
    """
    amount = random.uniform(-_PEN, _PEN, (len(images), 1, 1)).astype(np.float32)
    images = images.astype(np.float32)
    thicker, thinner = _beside(images, np.maximum), _beside(images, np.minimum)
    thick = np.clip(amount, 0, 1)
    thin = np.clip(-amount, 0, 1) * 0.7
    return np.asarray(images + thick * (thicker - images) + thin * (thinner - images))


def _beside(
    images: Float32[np.ndarray, "n 28 28"], most: Callable[..., np.ndarray]
) -> Float32[np.ndarray, "n 28 28"]:
    found = images.copy()
    most(found[:, 1:], images[:, :-1], out=found[:, 1:])
    most(found[:, :, 1:], images[:, :, :-1], out=found[:, :, 1:])
    return found


def _inked(
    images: Float32[np.ndarray, "n 28 28"], random: np.random.Generator
) -> UInt8[np.ndarray, "n 28 28"]:
    """The same with edges as hard as ink has after a threshold, harder or softer."""
    low = random.uniform(*_LOW, (len(images), 1, 1)).astype(np.float32)
    high = random.uniform(*_HIGH, (len(images), 1, 1)).astype(np.float32)
    return np.asarray(np.rint(np.clip((images - low) / (high - low), 0, 1) * 255), np.uint8)
