"""Contrast -> the amount of ink at each pixel: what is paper, what is printed line, what is pen."""

import numpy as np
from jaxtyping import Float32
from PIL import Image

from digitlab.vision.reading import Contrast, Ink
from digitlab.vision.rules import printed_lines

_PEN_SHARE = 2_000
_LEAST_PEN = 20
"""The pen's contrast is reached by 1 in 2,000 pixels, and by 20 at least: less is dust."""
LEAST_CONTRAST = 0.08
_ABOVE_NOISE = 6.0
_EDGE = 0.45
"""Of the pen's contrast: what has more is ink."""
_FAINT = 0.2
"""What has more stands out from the paper: pale printed lines are found by it."""
_SOFT_FROM, _SOFT_TO = 0.3, 0.6


def ink_of(contrast: Contrast) -> Ink | str:
    """The amount of ink at each pixel; or why there is none, in words."""
    values = contrast.values
    if contrast.is_flat:
        if not values.any():
            return "the picture is blank"
        rules = printed_lines(values > _FAINT) if _is_large(values) else np.zeros(values.shape, bool)
        return Ink(np.where(rules, 0, values).astype(np.float32), rules)
    pen = _pen_contrast(values)
    least = max(LEAST_CONTRAST, _ABOVE_NOISE * contrast.noise)
    if pen < least:
        return f"the picture is blank: nothing stands out from the paper by more than {100 * pen:.0f} %"
    rules = printed_lines(values > max(_FAINT * pen, 3 * contrast.noise))
    if rules.any():  # they may have been what stood out most
        values = np.where(rules, 0, values)
        pen = _pen_contrast(values)
        if pen < least:
            return "there are printed lines, and nothing is written on them"
    is_ink = values > max(_EDGE * pen, 3.5 * contrast.noise)
    soft = np.clip((values / pen - _SOFT_FROM) / (_SOFT_TO - _SOFT_FROM), 0, 1)
    return Ink(np.where(is_ink, soft, 0).astype(np.float32), rules)


def _is_large(values: Float32[np.ndarray, "height width"]) -> bool:
    return min(values.shape) >= 100


def _pen_contrast(values: Float32[np.ndarray, "height width"]) -> float:
    """The contrast that the darkest strokes reach, not their darkest pixels: means of 2 x 2 are compared."""
    means = np.asarray(Image.fromarray(values).reduce(2)).ravel()
    rank = min(max(_LEAST_PEN // 4, len(means) // _PEN_SHARE), len(means) - 1)
    return float(np.partition(means, len(means) - 1 - rank)[len(means) - 1 - rank])
