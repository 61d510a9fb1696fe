"""The steps from a Picture to images as MNIST's, in their order."""

from digitlab.vision.ink import ink_of
from digitlab.vision.mnist import SIDE, image_as_ink, is_as_mnist, mnist_image
from digitlab.vision.paper import contrast_of
from digitlab.vision.reading import Box, Contrast, Found, Picture, Reading
from digitlab.vision.segmentation import Segment, segments
from digitlab.vision.strokes import pen_width, widened

_SMALL = 0.25
"""Of the picture's longer side: how large a digit is that the edge of a shadow may hide."""


def read_digits(picture: Picture, *, single: bool = False) -> Reading:
    """The digits in a picture, from left to right, each as MNIST's makers would have made it.

    A picture that is as MNIST's already (28 x 28, grey on black) is passed on as it is.

    single: the picture holds one digit, however many pieces it is in
    """
    if is_as_mnist(picture.pixels):
        return Reading(picture, None, None, (_as_it_is(picture),))
    contrast = contrast_of(picture)
    reading = _read(picture, contrast, single)
    if reading.ink is None and not contrast.is_flat:
        # What is small may be hidden by the edge of a shadow, which looks like ink of the other brightness.
        other = _read(picture, contrast_of(picture, is_light=not contrast.is_light_on_dark), single)
        if other.found and all(_is_small(found.box, picture) for found in other.found):
            return other
    return reading


def _read(picture: Picture, contrast: Contrast, single: bool) -> Reading:
    ink = ink_of(contrast)
    if isinstance(ink, str):
        return Reading(picture, contrast, None, (), ink)
    found = segments(ink.amount, single=single, is_clean=contrast.is_flat)
    if isinstance(found, str):
        return Reading(picture, contrast, ink, (), found)
    return Reading(picture, contrast, ink, tuple(_made(segment, picture) for segment in found))


def _is_small(box: Box, picture: Picture) -> bool:
    longer = max(box.right - box.left, box.bottom - box.top)
    return longer <= _SMALL * max(picture.width, picture.height)


def _as_it_is(picture: Picture) -> Found:
    image = picture.pixels[:, :, 0].copy()
    ink = image_as_ink(image)
    return Found(Box(0, 0, SIDE, SIDE), ink, pen_width(ink), ink, image)


def _made(segment: Segment, picture: Picture) -> Found:
    pen = pen_width(segment.ink)
    drawn = widened(segment.ink, pen)
    return Found(_in_file(segment.box, picture), segment.ink, pen, drawn, mnist_image(drawn))


def _in_file(box: Box, picture: Picture) -> Box:
    """The box in pixels of the file."""
    rows, columns = picture.pixels.shape[:2]
    across, down = picture.width / columns, picture.height / rows
    return Box(
        int(box.left * across),
        int(box.top * down),
        min(round(box.right * across), picture.width),
        min(round(box.bottom * down), picture.height),
    )
