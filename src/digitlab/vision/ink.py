"""Contrast -> the amount of ink at each pixel: what is paper, what is printed line, what is pen."""

import numpy as np
from jaxtyping import Bool, Float32
from PIL import Image
from scipy import ndimage

from digitlab.vision.reading import Contrast, Ink
from digitlab.vision.rules import printed_lines

_PEN_SHARE = 10_000
_LEAST_PEN = 20
"""The pen's contrast is reached by 1 in 10,000 pixels, and by 20 at least: less is dust."""
LEAST_CONTRAST = 0.08
_ABOVE_NOISE, _PEN_BY_NOISE = 4.0, 14.0
"""Times the paper's noise: what one pixel must have, and what a pen does; textures come to 12, thin pencils
to 19."""
_EDGE, _FAINT_EDGE = 0.45, 0.3
"""Of the pen's contrast: what has more than the first is ink, and what has more than the second and hangs
together with ink. A stroke that is thin where others are thick would fall into pieces."""
_FAINT = 0.2
"""What has more stands out from the paper: pale printed lines are found by it."""
_SOFT_FROM, _SOFT_TO = 0.3, 0.6
_ONE_PEN, _QUARTER, _NEITHER = 0.1, 0.25, 0.003
"""By what share of its mean the contrast of a pen's strokes varies at most, in 99 % of photographs of digits.
In the others no pixel is a quarter as dark as the ink and neither ink nor printed line; in pictures of
something else more than this share is.
"""
_BESIDE, _LEAST_WITHIN = 4, 20
"""Pixels: what is so near to ink may be its edge; and strokes of fewer tell nothing."""
_SOME = (slice(None, None, 5), slice(None, None, 5))
"""Of the pixels, those by which a median is taken."""


def ink_of(contrast: Contrast) -> Ink | str:
    """The amount of ink at each pixel; or why there is none, in words."""
    values = contrast.values
    if contrast.is_flat:
        if not values.any():
            return "the picture is blank"
        rules = printed_lines(values, values > _FAINT) if _is_large(values) else np.zeros(values.shape, bool)
        return Ink(np.where(rules, 0, values).astype(np.float32), rules)
    clear = np.where(values > _ABOVE_NOISE * contrast.noise, values, 0)
    pen = _pen_contrast(clear)
    if pen < max(LEAST_CONTRAST, _PEN_BY_NOISE * float(np.median(contrast.noise[_SOME]))):
        return "the picture is blank: nothing stands out from the paper and its own pattern"
    rules = printed_lines(values, values > np.maximum(_FAINT * pen, 3 * contrast.noise))
    if rules.any():  # they may have been what stood out most
        clear = np.where(rules, 0, clear)
        pen = _pen_contrast(clear)
        if pen < LEAST_CONTRAST:
            return "there are printed lines, and nothing is written on them"
    is_surely_ink = clear > _EDGE * pen
    if _is_of_many_shades(contrast, is_surely_ink, rules):
        return "there are many shades, as in a picture of something else, where a pen has one"
    is_ink = _hanging_together(clear > _FAINT_EDGE * pen, is_surely_ink)
    amount = np.zeros_like(values, np.float32)
    amount[is_ink] = np.clip((clear[is_ink] / pen - _SOFT_FROM) / (_SOFT_TO - _SOFT_FROM), 0, 1)
    return Ink(amount, rules)


def _is_of_many_shades(
    contrast: Contrast, is_ink: Bool[np.ndarray, "height width"], rules: Bool[np.ndarray, "height width"]
) -> bool:
    """Whether the ink has no contrast of its own, and much else stands out that is no ink."""
    # Pixels with ink two pixels away on all four sides.
    middle = is_ink[2:-2, 2:-2] & is_ink[:-4, 2:-2] & is_ink[4:, 2:-2] & is_ink[2:-2, :-4] & is_ink[2:-2, 4:]
    within = contrast.values[2:-2, 2:-2][middle]
    if within.size < _LEAST_WITHIN or within.std() <= _ONE_PEN * within.mean():
        return False
    visible = np.maximum(_QUARTER * float(np.median(within)), _ABOVE_NOISE * contrast.noise)
    beside = ndimage.binary_dilation(is_ink | rules, iterations=_BESIDE)
    return bool(((contrast.values > visible) & ~beside).mean() > _NEITHER)


def _hanging_together(
    mask: Bool[np.ndarray, "height width"], sure: Bool[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """The connected pieces of a mask that hold something sure (a threshold with hysteresis, Canny 1986)."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    is_kept = np.zeros(count + 1, bool)
    is_kept[labels[sure]] = True
    return np.asarray(is_kept[labels])


def _is_large(values: Float32[np.ndarray, "height width"]) -> bool:
    return bool(min(values.shape) >= 100)


def _pen_contrast(values: Float32[np.ndarray, "height width"]) -> float:
    """The contrast that the darkest strokes reach, not their darkest pixels: means of 2 x 2 are compared."""
    means = np.asarray(Image.fromarray(values).reduce(2))
    rank = max(_LEAST_PEN // 4, means.size // _PEN_SHARE)
    ink = means[means > 0]
    return float(np.partition(ink, -rank)[-rank]) if len(ink) >= rank else 0.0
