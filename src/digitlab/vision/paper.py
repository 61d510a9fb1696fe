"""A picture -> how far each pixel is from its paper: colour, polarity and shading are taken out.

The paper's brightness at a place is what stays of the picture when everything narrower than a few strokes is
filled up by the brightest nearby (a grey closing); the contrast is one minus the ratio to it, so that a
shadow, which darkens paper and ink by one factor, cancels out. It serves as Sauvola's local threshold does
(Sauvola & Pietikäinen 2000), but ink does not lower it, and the edge of a shadow stays where it is.
"""

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from PIL import Image
from scipy import ndimage

from digitlab.vision.reading import Contrast, Picture

_FLAT_SHARE = 0.5
"""So much of a drawing or a screenshot is exactly its paper's colour."""
_FAINT, _FAINT_SHARE = 4, 0.05
"""Grey levels beside its paper's colour, which so much of a photograph has whose paper a JPEG made smooth;
drawings have less than a hundredth."""
_COARSE = 160
"""Pixels of the longer side on which colour and polarity are judged."""
_WINDOWS = (3, 5, 9, 17, 33, 65)
"""Reduced pixels: windows of closings that are tried, each about twice the one before."""
_GROWTH, _CLEAR, _CLEAR_PIXELS = 1.25, 0.12, 6
"""A window that finds less than so many times the ink of the one before shows that all strokes are narrower;
ink is what is so far from the paper, in so many pixels at least."""
_MEDIANS, _ONE_SIDED = ((2, 9), (4, 15)), 0.25
"""Factors of reduction and windows by which polarity is judged, and how one-sided what is seen must be."""
_BLUR = 16
"""Coarse pixels that are averaged to see how ink differs in colour from its surroundings."""
_SOME = (slice(None, None, 5), slice(None, None, 5))
"""Of the pixels, those by which medians are taken."""
_FROM_DEVIATION = 1.4826
"""A normal distribution's standard deviation by the median absolute one."""
_SMOOTHED_FROM, _BY_SMOOTHING = 0.025, 2.0
"""Noise of the paper from which on pixels are averaged with their neighbours, and what it is then divided by:
less than 3, for the noise of a JPEG is no pixel's own."""


def contrast_of(picture: Picture, *, is_light: bool | None = None) -> Contrast:
    """How far each pixel is from its paper. A picture of one colour has no contrast anywhere.

    is_light: whether ink is lighter than paper; None: as it looks. A drawing's ink is what there is
    """
    pixels = picture.pixels
    paper = _border_colour(pixels)
    # A few first: of a photograph hardly any are.
    if _share_of(paper, pixels[::4, ::4]) >= _FLAT_SHARE / 2 and _is_drawing(pixels, paper):
        return _of_drawing(pixels, paper)
    return _of_photograph(pixels, is_light)


def _is_drawing(pixels: UInt8[np.ndarray, "height width 3"], paper: UInt8[np.ndarray, "3"]) -> bool:
    if _share_of(paper, pixels) < _FLAT_SHARE:
        return False
    away = np.abs(pixels[_SOME].astype(np.int16) - paper.astype(np.int16)).max(2)
    return float(((away > 0) & (away <= _FAINT)).mean()) < _FAINT_SHARE


def _share_of(colour: UInt8[np.ndarray, "3"], pixels: UInt8[np.ndarray, "height width 3"]) -> float:
    red, green, blue = (pixels[:, :, channel] == colour[channel] for channel in range(3))
    return float((red & green & blue).mean())


def _border_colour(pixels: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "3"]:
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return np.asarray(np.median(border, axis=0)).astype(np.uint8)


def _of_drawing(pixels: UInt8[np.ndarray, "height width 3"], paper: UInt8[np.ndarray, "3"]) -> Contrast:
    """Differences from the paper's colour as they are, in shares of the largest."""
    away = pixels.astype(np.int16) - paper.astype(np.int16)  # [height, width, 3]
    if (away == away[:, :, :1]).all():
        signed = away[:, :, 0].astype(np.float32)
    else:
        signed = away @ _direction(away.reshape(-1, 3))  # [height, width]
    darker, lighter = -float(signed.clip(max=0).sum()), float(signed.clip(min=0).sum())
    is_light = lighter > darker
    values = (signed if is_light else -signed).clip(min=0)
    largest = float(values.max())
    return Contrast(
        (values / largest if largest else values).astype(np.float32),
        np.zeros_like(values, np.float32),
        True,
        is_light,
    )


def _of_photograph(pixels: UInt8[np.ndarray, "height width 3"], is_light: bool | None) -> Contrast:
    height, width = pixels.shape[:2]
    factor = -(-max(height, width) // _COARSE)
    coarse = np.asarray(Image.fromarray(pixels).reduce(factor)).astype(np.float32)  # [rows, columns, 3]
    direction = np.full(3, 1 / 3, np.float32)
    if (pixels[::7, ::7] != pixels[::7, ::7, :1]).any():
        image = Image.fromarray(coarse.astype(np.uint8))
        blurred = image.reduce(_BLUR).resize(image.size, Image.Resampling.BICUBIC)
        direction = _direction((coarse - np.asarray(blurred)).reshape(-1, 3))
    if is_light is None:
        is_light = _is_light_on_dark(coarse @ direction)
    values = pixels.astype(np.float32) @ direction  # [height, width]
    if is_light:
        values = 255 - values
    return _without_shading(values, is_light)


def _direction(away: np.ndarray) -> Float32[np.ndarray, "3"]:
    """The weights of red, green and blue by which ink differs most from paper; they add up to 1.

    away: how far pixels are from paper, [n, 3]; those that are furthest are ink
    """
    size = np.abs(away).sum(1)
    far = size >= 0.5 * np.percentile(size, 99.9)
    mean = np.abs(away[far].astype(np.float64).mean(0)) if far.any() else np.ones(3)
    return np.asarray(mean / (mean.sum() or 1), np.float32)


def _is_light_on_dark(grey: Float32[np.ndarray, "rows columns"]) -> bool:
    """Whether what is rare at its place is lighter than what surrounds it, rather than darker.

    Paper is what the median of a window shows; that keeps the edges of shadows where they are. A small window
    decides, if what it sees is one-sided; for strokes wider than it, a large one.
    """
    skew = 0.0
    for factor, window in _MEDIANS:
        small = np.asarray(Image.fromarray(np.rint(grey).astype(np.uint8)).reduce(factor))
        away = small.astype(np.float64) - _medians(small, window)
        third = float((np.abs(away) ** 3).sum())
        skew = float((away**3).sum()) / third if third else 0.0
        if abs(skew) > _ONE_SIDED:
            break
    return skew > 0


def _medians(values: UInt8[np.ndarray, "rows columns"], window: int) -> Int32[np.ndarray, "rows columns"]:
    """The median of the window around each value, which goes on beyond the border as it ends there.

    As ndimage.median_filter, in half of its time: NumPy partitions rows of 32-bit numbers by vectors.
    """
    padded = np.pad(values.astype(np.int32), window // 2, "edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (window, window)).reshape(-1, window**2)
    middle = window**2 // 2
    return np.asarray(np.partition(around, middle, axis=1)[:, middle].reshape(values.shape))


def _without_shading(values: Float32[np.ndarray, "height width"], is_light: bool) -> Contrast:
    """values: brightness 0 … 255, ink darker than paper."""
    height, width = values.shape
    factor = 4 if max(height, width) > 300 else 2 if max(height, width) > 100 else 1
    reduced = np.asarray(Image.fromarray(values).reduce(factor))
    closed = _closed(reduced)
    smooth = ndimage.uniform_filter(closed, 3, mode="nearest")
    size = (reduced.shape[1] * factor, reduced.shape[0] * factor)
    enlarged = Image.fromarray(smooth).resize(size, Image.Resampling.BILINEAR)
    paper = np.asarray(enlarged)[:height, :width]
    lit = np.maximum(paper, 1)
    contrast = 1 - values / lit
    contrast -= float(np.median(contrast[_SOME]))
    noise = _noise(values[_SOME] - paper[_SOME]) / lit  # more where it is dark
    if float(np.median(noise[_SOME])) > _SMOOTHED_FROM:
        contrast = ndimage.uniform_filter(contrast, 3, mode="nearest")
        noise /= _BY_SMOOTHING
    return Contrast(np.clip(contrast, 0, 1), noise.astype(np.float32), False, is_light)


def _noise(away: Float32[np.ndarray, "rows columns"]) -> float:
    """The standard deviation of the paper's own brightness, whatever is written on it."""
    return _FROM_DEVIATION * float(np.median(np.abs(away - np.median(away))))


def _closed(values: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    """The brightness of the paper: closed by a window wider than the strokes, and no wider than needed.

    A wider window would find the corners of shadows too. Strokes are narrower than the first window after
    which the next one finds hardly more; the fourth power lets pale printed lines count for little.
    """
    found, closings = [], []
    for window in _WINDOWS:
        # Goes on beyond the border as it ends there: else a gradient would look like ink at its dark end.
        half = window // 2
        whole = ndimage.grey_closing(np.pad(values, half, "edge"), (window, window), mode="nearest")
        closings.append(whole[half:-half, half:-half])
        contrast = 1 - values / np.maximum(closings[-1], 1)
        clear = contrast[contrast > _CLEAR]
        found.append(float((clear**4).sum()))
        if len(found) > 1 and clear.size >= _CLEAR_PIXELS and found[-1] < _GROWTH * found[-2]:
            break
    return closings[-1]
