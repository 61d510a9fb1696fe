"""What a picture becomes on its way to 28 x 28 pixels, as frozen values."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it is worked on: upright, opaque, of bounded size.

    pixels:        red, green, blue
    name:          what errors call it
    width, height: of the file's picture, upright, in its own pixels; `pixels` may be fewer
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    name: str
    width: int
    height: int


class Box(NamedTuple):
    """A part of a picture: the first column and row in it, and the first behind it; pixels of the file."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, eq=False)
class Contrast:
    """How far each pixel is from its paper, as a share: 0 the paper, 1 black on it (or white, on black).

    values: after shading and shadows are taken out
    noise:  standard deviation of the paper's own values, larger where it is dark
    is_flat: all paper is of one colour, exactly: a drawing or a screenshot, where every difference is meant
    is_light_on_dark: the paper is darker than the ink
    """

    values: Float32[np.ndarray, "height width"]
    noise: Float32[np.ndarray, "height width"]
    is_flat: bool
    is_light_on_dark: bool


@dataclass(frozen=True, eq=False)
class Ink:
    """The amount of ink at each pixel, 0 … 1, without what is printed on the paper.

    rules: pixels that were taken for printed lines
    """

    amount: Float32[np.ndarray, "height width"]
    rules: Bool[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class Found:
    """One digit, or what may be one.

    box:   where it is
    ink:   its own ink, without its neighbours', as large as the box is in working pixels
    pen:   the width of its stroke, in pixels of a digit that is 20 pixels long
    drawn: the ink that was resampled: `ink`, or wider where the pen is thinner than MNIST's
    image: as MNIST's makers would have made it
    """

    box: Box
    ink: Float32[np.ndarray, "rows columns"]
    pen: float
    drawn: Float32[np.ndarray, "rows2 columns2"]
    image: UInt8[np.ndarray, "28 28"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What was found in a picture, with every step on the way.

    contrast, ink: None where the picture was as MNIST's already
    found:         digits, or what may be some, from left to right
    refusal:       why there is none; "" where something was found
    """

    picture: Picture
    contrast: Contrast | None
    ink: Ink | None
    found: tuple[Found, ...]
    refusal: str = ""

    @property
    def images(self) -> UInt8[np.ndarray, "n 28 28"]:
        """The images of all that was found."""
        return np.array([each.image for each in self.found], np.uint8).reshape(-1, 28, 28)
