"""Ink -> one piece of it a digit, from left to right; or why it holds none.

Connected pieces are sorted by what they may be: digits and large parts of digits; small parts; and what no
pen draws (a desk's edge, a stain, a frame). Parts that lie above each other are one digit, small parts belong
to the nearest. Several rows of writing are no row of digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from digitlab.vision.reading import Box
from digitlab.vision.strokes import pen_width, stroke_length

MOST_DIGITS = 20
"""In a row; more is a text."""
LEAST_SIDE = 8
"""Working pixels of a digit's longer side."""
_SPECK, _PART, _TALL = 0.06, 0.4, 0.7
"""Of the largest piece's longer side: below the first is dust, below the second a part of a digit."""
_REACH = 0.25
"""How far off a part may lie from its digit, in shares of the row's height."""
_SOLID = 8.5
"""A pen of 20 that draws a digit of 20 is a blot; MNIST's widest is below this."""
_LONGEST = 4.5
"""Of a digit's longer side: a pen draws no digit with a longer way; MNIST's longest is 3.4."""
_MOST_OTHERS = 2
"""As large as digits: a desk's edge and a stain may lie beside them."""
_WIDEST = 2.2
"""Times its height: MNIST's widest digit is 2.0."""
_DOT = 0.05
"""Of the picture's longer side: a blot that is smaller is a dot, which may belong to a digit."""
_OVERLAP, _ABOVE = 0.5, 0.22
_WHOLE, _BESIDE, _CLOSE = 0.8, 0.15, 0.1
"""Of heights: what is a whole digit's; how far apart parts may be where neither piece is, and where one
is."""
_NARROWEST = 0.1
"""Times its height: MNIST's narrowest digit is 0.1."""
_MOST_PIECES, _BROKEN = 4, 0.3
"""A digit whose strokes broke has so many pieces at most, and such gaps between them, in its heights."""
_LEAST_OF_PICTURE = 0.015
"""Of the picture's longer side."""
_TOO_MANY, _FAR_TOO_MANY = 60, 1_500
"""Large pieces, and pieces of any size but dust's: a texture, a page, a picture of something else."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Ink that hangs together, or pieces that were joined: its labels and its box in working pixels."""

    labels: tuple[int, ...]
    box: Box

    @property
    def height(self) -> int:
        """Rows of its box."""
        return self.box.bottom - self.box.top

    @property
    def width(self) -> int:
        """Columns of its box."""
        return self.box.right - self.box.left

    @property
    def size(self) -> int:
        """The longer side."""
        return max(self.height, self.width)

    def with_(self, other: "Piece") -> "Piece":
        """Both as one."""
        a, b = self.box, other.box
        box = Box(min(a.left, b.left), min(a.top, b.top), max(a.right, b.right), max(a.bottom, b.bottom))
        return Piece(self.labels + other.labels, box)


@dataclass(frozen=True, eq=False)
class Segment:
    """The ink of one digit, as large as its box."""

    box: Box
    ink: Float32[np.ndarray, "rows columns"]


def segments(
    ink: Float32[np.ndarray, "height width"], *, single: bool = False, is_clean: bool = False
) -> tuple[Segment, ...] | str:
    """The digits of a picture from left to right; or why there are none, in words.

    single:   take all that may be a digit as one
    is_clean: every speck is meant: there is no dust
    """
    labels, count = ndimage.label(ink > 0, np.ones((3, 3)))
    if not count:
        return "there is no ink"
    pieces = [
        Piece((i + 1,), Box(columns.start, rows.start, columns.stop, rows.stop))
        for i, (rows, columns) in enumerate(ndimage.find_objects(labels))
    ]
    if (no_dust := sum(piece.size >= LEAST_SIDE for piece in pieces)) > _FAR_TOO_MANY:
        return f"there are {no_dust:,} marks, as in a text or a picture of something else"
    drawn = [piece for piece in pieces if _is_drawn(piece, ink, labels, is_clean=is_clean)]
    if not drawn:
        return (
            "what stands out from the paper is no digit that a pen draws, but a stain, an edge or a drawing"
        )
    largest = max(piece.size for piece in drawn)
    if largest < max(LEAST_SIDE, _LEAST_OF_PICTURE * max(ink.shape)):
        return "what is drawn is too small to be read; take the picture from nearer, or cut out the digit"
    at_least = 0.5 * largest
    others = sum(piece.size >= at_least for piece in pieces) - sum(piece.size >= at_least for piece in drawn)
    if others > _MOST_OTHERS:
        return f"there are {others} things that no pen draws, as in a picture of something else"
    kept = [piece for piece in drawn if is_clean or piece.size >= _SPECK * largest]
    tallest = max(piece.height for piece in kept)
    large = [piece for piece in kept if piece.height >= _PART * tallest]
    small = [piece for piece in kept if piece.height < _PART * tallest]
    if len(large) > _TOO_MANY:
        return f"there are {len(large):,} marks, as in a text or a picture of something else"
    if single:
        groups = [_joined(large + [piece for piece in small if is_clean or _gap(piece, _joined(large)) == 0])]
    else:
        groups = _grouped(large)
        if (problem := _as_row(groups, len(ink))) is not None:
            if not _is_one_in_pieces(groups):
                return problem
            groups = [_joined(groups)]
    groups = [group for group in groups if group.width <= _WIDEST * group.height]
    if not groups:
        return "what is drawn is a line, and no digit"
    groups = _with_parts(groups, small, reach=2 * _REACH if is_clean else _REACH)
    groups.sort(key=lambda piece: (piece.box.left + piece.box.right, piece.box.top))
    return tuple(_cut(group, ink, labels) for group in groups)


def _is_drawn(
    piece: Piece, ink: Float32[np.ndarray, "height width"], labels: np.ndarray, *, is_clean: bool
) -> bool:
    """Whether a pen may have drawn it: no blot, no frame, no edge of something larger."""
    if piece.size < LEAST_SIDE:
        return True  # a part of something, or dust: that is decided later
    height, width = ink.shape
    box = piece.box
    edge = 0 if is_clean else max(2, max(height, width) // 200)
    left, right = box.left <= edge, box.right >= width - edge
    top, bottom = box.top <= edge, box.bottom >= height - edge
    sides = left + right + top + bottom
    if sides >= 3 or (left and right) or (top and bottom):
        return is_clean and sides <= 2 and piece.size < max(height, width)
    own = _cut(piece, ink, labels).ink
    pen = pen_width(own)
    is_round = min(own.shape) > 0.35 * max(own.shape)
    if is_round and piece.size > _DOT * max(ink.shape) and pen >= _SOLID:
        return False
    if stroke_length(own, pen) > _LONGEST:
        return False
    # An edge of something larger: what lies at the border takes much of it.
    on_border = (own[:, 0] > 0).sum() * left + (own[:, -1] > 0).sum() * right
    on_border += (own[0] > 0).sum() * top + (own[-1] > 0).sum() * bottom
    return bool(on_border <= 0.6 * piece.size)


def _joined(pieces: Sequence[Piece]) -> Piece:
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = whole.with_(piece)
    return whole


def _grouped(large: Sequence[Piece]) -> list[Piece]:
    """Pieces that lie above each other, or as close as parts of one digit do, as one; the closest first."""
    groups = list(large)
    while pairs := [
        (_gap(a, b), i, j) for (i, a), (j, b) in combinations(enumerate(groups), 2) if _is_one(a, b)
    ]:
        _, i, j = min(pairs)
        groups[i] = groups[i].with_(groups.pop(j))
    return groups


def _is_one(piece: Piece, other: Piece) -> bool:
    """Whether two pieces are parts of one digit."""
    both, gap = piece.with_(other), _gap(piece, other)
    low, high = sorted((piece.height, other.height))
    across = min(piece.box.right, other.box.right) - max(piece.box.left, other.box.left)
    if across > _OVERLAP * min(piece.width, other.width):  # above each other: a gap in a stroke, no next line
        return gap < _ABOVE * both.height
    if both.width > 1.1 * both.height:
        return False
    if high < _WHOLE * both.height:  # neither is as high as the digit
        return gap < _BESIDE * both.height
    return low < _TALL * high and gap < _CLOSE * high


def _as_row(groups: Sequence[Piece], height: int) -> str | None:
    """Why these are no row of digits in a picture of this height, in words; None: they are one."""
    cut = sum(piece.box.top <= 1 or piece.box.bottom >= height - 1 for piece in groups)
    if len(groups) > 2 and cut > len(groups) / 2:
        return "the picture's border cuts through most of the marks; leave some paper around a row of digits"
    if len(groups) > MOST_DIGITS:
        return f"there are {len(groups)} marks, as in a text; cut out a row of at most {MOST_DIGITS} digits"
    tallest = max(groups, key=lambda piece: piece.height)
    middle, reach = (tallest.box.top + tallest.box.bottom) / 2, tallest.height
    outside = [
        piece for piece in groups if abs((piece.box.top + piece.box.bottom) / 2 - middle) > 0.75 * reach
    ]
    # A row that climbs is a row: each is beside its neighbour.
    ordered = sorted(groups, key=lambda piece: piece.box.left)
    climbs = all(
        min(a.box.bottom, b.box.bottom) - max(a.box.top, b.box.top) > 0.3 * min(a.height, b.height)
        for a, b in pairwise(ordered)
    )
    if outside and not climbs:
        return "there are several rows of marks, as in a text; cut out one row of digits"
    return None


def _is_one_in_pieces(groups: Sequence[Piece]) -> bool:
    """Whether a few pieces that are no row may be one digit whose strokes broke: close together, less wide
    than high, and no mere line.
    """
    whole = _joined(groups)
    if len(groups) > _MOST_PIECES or not _NARROWEST * whole.height <= whole.width <= whole.height:
        return False
    return all(
        min(_gap(piece, other) for other in groups if other is not piece) < _BROKEN * whole.height
        for piece in groups
    )


def _gap(piece: Piece, other: Piece) -> float:
    """The distance between two boxes; 0 where they meet."""
    a, b = piece.box, other.box
    across = max(a.left - b.right, b.left - a.right, 0)
    down = max(a.top - b.bottom, b.top - a.bottom, 0)
    return float(np.hypot(across, down))


def _with_parts(groups: Sequence[Piece], small: Sequence[Piece], *, reach: float) -> list[Piece]:
    """Each small part goes to the nearest digit, if that is near."""
    height = max(piece.height for piece in groups)
    found = list(groups)
    for piece in small:
        gaps = [_gap(piece, group) for group in groups]
        nearest = int(np.argmin(gaps))
        if gaps[nearest] <= reach * height:
            found[nearest] = found[nearest].with_(piece)
    return found


def _cut(piece: Piece, ink: Float32[np.ndarray, "height width"], labels: np.ndarray) -> Segment:
    box = piece.box
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    part = labels[rows, columns]
    own: Bool[np.ndarray, "rows columns"] = np.isin(part, piece.labels)
    return Segment(box, np.where(own, ink[rows, columns], 0).astype(np.float32))
