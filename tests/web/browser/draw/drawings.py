"""Drawings as a canvas makes them: grey, 280 x 280, white ink on black; from MNIST, and of random strokes."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from digitlab.data import Dataset
from digitlab.rng import stream

SIDE = 280
_SMOOTH = 3


def drawings(mnist: Dataset, count: int) -> UInt8[np.ndarray, "n 280 280"]:
    """So many drawings, half of them enlarged digits, always the same."""
    random = stream(0, "drawings")
    return np.stack([(_enlarged(mnist, random) if i % 2 else _strokes(random)) for i in range(count)])


def _enlarged(mnist: Dataset, random: np.random.Generator) -> UInt8[np.ndarray, "280 280"]:
    """A test image, pixel by pixel or smoothed, of any size, anywhere."""
    image = Image.fromarray(mnist.test.images[random.integers(len(mnist.test))])
    side = int(random.integers(28, SIDE - 4))
    filters = [Image.Resampling.NEAREST, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR]
    large = np.asarray(image.resize((side, side), filters[random.integers(3)]))
    whole = np.zeros((SIDE, SIDE), np.uint8)
    top, left = random.integers(2, SIDE - side - 1, 2)
    whole[top : top + side, left : left + side] = large
    return whole


def _strokes(random: np.random.Generator) -> UInt8[np.ndarray, "280 280"]:
    """One to three curved strokes of a round pen, thin or thick, with soft edges."""
    image = Image.new("L", (SIDE * _SMOOTH, SIDE * _SMOOTH))
    draw = ImageDraw.Draw(image)
    pen = random.uniform(2, 6 if random.random() < 0.3 else 28) * _SMOOTH
    low, high = np.sort(random.uniform(20, SIDE - 20, (2, 2)), axis=0) * _SMOOTH
    for _ in range(random.integers(1, 4)):
        a, b, c, d = (random.uniform(low, high) for _ in range(4))
        for t in np.linspace(0, 1, 100):  # a Bézier curve
            x, y = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
