"""Printed lines: ruled and squared paper found by its long straight lines, and taken away.

Along a printed line ink covers most of the picture's width, at one small angle for all lines; no stroke of a
digit does. A line is removed column by column, and stays where a stroke crosses it or is darker than it.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy import ndimage

_ANGLES = np.tan(np.radians(np.arange(-8, 8.01, 0.25)))
"""Slopes of lines that are tried."""
_COVERED, _TO_THE_END, _MANY = 0.75, 0.05, 4
"""Of the picture's width: a line covers at least so much, and comes so near to both ends, or is one of
many."""
_LEAST_VISIBLE = 0.5
"""Of the picture's width: less of a line is left alone."""
_COARSE = 4
_THICKEST = 0.02
"""Of the picture's longer side: a line is thinner."""
_DARKER = 1.5
"""Times a line's own contrast: what has more is a stroke over it."""
_MOST_LINES = 120


def printed_lines(
    values: Float32[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """The pixels of a mask that belong to long straight lines, across and down, and to no stroke.

    values: contrast at each pixel
    mask:   where anything stands out from the paper
    """
    across = _lines_across(values, mask)
    rest = mask & ~across
    down = _lines_across(values.T, rest.T).T
    return np.asarray(across | down)


def _lines_across(
    values: Float32[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    height, width = mask.shape
    found = np.zeros_like(mask)
    if not _may_hold_lines(mask):
        return found
    rows, columns = np.nonzero(_coarse(mask))
    if not rows.size:
        return found
    slope = _slope(rows, columns)
    thickest = max(2.0, _THICKEST * max(height, width))
    points = np.nonzero(mask)
    for offset in _offsets(rows, columns, slope, -(-height // _COARSE), -(-width // _COARSE)):
        _take_away(values, mask, found, points, slope, offset * _COARSE, thickest)
    return found


def _may_hold_lines(mask: Bool[np.ndarray, "height width"]) -> bool:
    """Whether some strip of a few rows has ink in most of its columns, as a line's has, even a turned
    one's.
    """
    height, _width = mask.shape
    strip = max(4, height // 12)
    starts = np.arange(0, height, strip)
    columns_with_ink = np.logical_or.reduceat(mask, starts, axis=0)  # [strips, width]
    # A line at 8° passes through several strips: it covers an eighth of the width in one at least.
    return bool((columns_with_ink.mean(1) > _COVERED / 3).any())


def _coarse(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "rows columns"]:
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % _COARSE), (0, -width % _COARSE)))
    blocks = padded.reshape(padded.shape[0] // _COARSE, _COARSE, padded.shape[1] // _COARSE, _COARSE)
    return np.asarray(blocks.any((1, 3)))


def _slope(rows: Int[np.ndarray, "n"], columns: Int[np.ndarray, "n"]) -> float:
    """The slope along which ink lies in the fewest and fullest rows."""
    step = max(1, len(rows) // 8_000)
    rows, columns = rows[::step], columns[::step]
    best, found = -1.0, 0.0
    for slope in _ANGLES:
        counts = np.bincount(_offset(rows, columns, slope)).astype(np.float64)
        fullness = float((counts**2).sum())
        if fullness > best:
            best, found = fullness, float(slope)
    return found


def _offset(rows: Int[np.ndarray, "n"], columns: Int[np.ndarray, "n"], slope: float) -> Int[np.ndarray, "n"]:
    """The row in which a line of this slope through each point begins, from 0."""
    offsets = np.rint(rows - slope * columns).astype(np.int64)
    return np.asarray(offsets - offsets.min())


def _offsets(
    rows: Int[np.ndarray, "n"], columns: Int[np.ndarray, "n"], slope: float, height: int, width: int
) -> list[float]:
    """Where lines begin, in coarse rows at column 0, the fullest of each run of neighbours."""
    exact = np.rint(rows - slope * columns).astype(np.int64)
    first = int(exact.min())
    covered = np.zeros(int(exact.max()) - first + 3, np.int64)
    for phase in (0, 1):  # a line may lie between two rows: columns covered in either, for each pair of rows
        pair = (exact - first + phase) // 2
        counts = np.bincount(np.unique(pair * width + columns) // width)
        covered[1 - phase : 1 - phase + 2 * len(counts) : 2] = counts
    covered = covered[1:]  # of row i and the next
    # Of a turned line that leaves at the top or the bottom, what is in the picture.
    course = first + np.arange(len(covered))[:, None] + slope * np.arange(width)  # [lines, columns]
    visible = ((course >= 0) & (course < height)).sum(1)
    full = covered >= _COVERED * np.maximum(visible, _LEAST_VISIBLE * width)
    labels, count = ndimage.label(full)
    if not count:
        return []
    peaks = ndimage.maximum_position(covered, labels, np.arange(1, min(count, _MOST_LINES) + 1))
    lines = [int(peak[0]) for peak in peaks]
    if count < _MANY:  # the ones of a row are long straight lines too
        end = max(_TO_THE_END * width, 2)
        near = [columns[np.abs(exact - first - line - 0.5) <= 1.5] for line in lines]
        lines = [
            line
            for line, of_line in zip(lines, near, strict=True)
            if of_line.min() < end and of_line.max() >= width - end
        ]
    return [line + first + 0.5 for line in lines]


def _take_away(
    values: Float32[np.ndarray, "height width"],
    mask: Bool[np.ndarray, "height width"],
    found: Bool[np.ndarray, "height width"],
    points: tuple[np.ndarray, ...],
    slope: float,
    offset: float,
    thickest: float,
) -> None:
    """Mark a line's pixels in `found`, but for those at which a stroke crosses it, or which are darker."""
    height, width = mask.shape
    rows, columns = points
    near = np.abs(rows - slope * columns - offset - _COARSE / 2) < 2 * _COARSE
    if near.sum() < _LEAST_VISIBLE * width / 2:
        return
    x, y = columns[near].astype(np.float64), rows[near].astype(np.float64)
    # Fitted twice: strokes that cross pull the first one.
    fitted = np.polyfit(x, y, 1)
    close = np.abs(y - np.polyval(fitted, x)) < _COARSE
    if close.sum() > 10:
        fitted = np.polyfit(x[close], y[close], 1)
    counts = np.bincount(columns[near], minlength=width)
    thickness = float(np.median(counts[counts > 0]))
    if thickness > thickest:
        return
    middle = np.polyval(fitted, np.arange(width))
    half = math.ceil(thickness / 2 + 1)
    top = np.clip(np.rint(middle).astype(np.int64) - half, 0, height)
    bottom = np.clip(np.rint(middle).astype(np.int64) + half + 1, 0, height)
    crossed = _any_in(mask, top - 2, top) | _any_in(mask, bottom, bottom + 2)
    inside = (rows >= top[columns]) & (rows < bottom[columns]) & ~crossed[columns]
    rows, columns = rows[inside], columns[inside]
    own = values[rows, columns]
    is_line = own <= _DARKER * np.median(own) if own.size else np.zeros(0, bool)
    found[rows[is_line], columns[is_line]] = True


def _any_in(
    mask: Bool[np.ndarray, "height width"], first: Float[np.ndarray, "width"], end: Float[np.ndarray, "width"]
) -> Bool[np.ndarray, "width"]:
    """Of each column, whether the mask has anything in rows first … end - 1."""
    height, width = mask.shape
    columns = np.arange(width)
    found = np.zeros(width, bool)
    for step in range(2):
        row = np.clip(np.where(first + step < end, first + step, end - 1), 0, height - 1).astype(np.int64)
        is_inside = (first + step >= 0) & (first + step < height)
        found |= mask[row, columns] & is_inside
    return found
