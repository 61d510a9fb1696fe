"""Paper, printed lines, ink, segments: on pictures whose truth is known."""

import numpy as np
import pytest
from scipy import ndimage

from digitlab.rng import stream
from digitlab.vision import Picture, read_digits
from digitlab.vision.ink import ink_of
from digitlab.vision.paper import _medians, contrast_of
from digitlab.vision.reading import Contrast, Ink
from digitlab.vision.rules import printed_lines
from digitlab.vision.segmentation import Segment, segments
from digitlab.vision.strokes import THIN, USUAL, pen_width, widened


def picture(pixels: np.ndarray) -> Picture:
    colour = pixels if pixels.ndim == 3 else pixels[:, :, None].repeat(3, 2)
    colour = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    return Picture(colour, "x", colour.shape[1], colour.shape[0])


def ring(height: int = 300, width: int = 400, radius: float = 80, pen: float = 14) -> np.ndarray:
    """A zero: coverage 0 or 1."""
    y, x = np.mgrid[0:height, 0:width]
    away = np.hypot((y - height / 2) / 1.2, x - width / 2)
    return np.asarray(np.abs(away - radius) < pen / 2).astype(float)


def noise(shape: tuple[int, ...], sd: float = 3) -> np.ndarray:
    return np.asarray(stream(0, "noise").normal(0, sd, shape))


def agreement(ink: np.ndarray, truth: np.ndarray) -> float:
    """Intersection by union."""
    found, true = ink >= 0.5, truth >= 0.5
    return float((found & true).sum() / (found | true).sum())


def ink_in(pixels: np.ndarray) -> np.ndarray:
    found = ink_of(contrast_of(picture(pixels)))
    assert isinstance(found, Ink), found
    return found.amount


PAPER, PEN = np.array([240, 235, 220.0]), np.array([40, 40, 50.0])


def scene(truth: np.ndarray, pen: np.ndarray = PEN, paper: np.ndarray = PAPER) -> np.ndarray:
    return np.asarray(paper * (1 - truth[:, :, None]) + pen * truth[:, :, None] + noise((*truth.shape, 3)))


@pytest.mark.parametrize(
    "pen", [(40, 40, 50), (30, 45, 160), (190, 30, 40), (240, 200, 40), (120, 120, 120)], ids=str
)
def test_ink_of_any_colour_is_found(pen: tuple[int, int, int]) -> None:
    truth = ring()
    assert agreement(ink_in(scene(truth, np.array(pen, float))), truth) > 0.9


def test_light_on_dark_is_the_same_ink() -> None:
    truth = ring()
    assert agreement(ink_in(255 - scene(truth)), truth) > 0.9
    assert contrast_of(picture(255 - scene(truth))).is_light_on_dark
    assert not contrast_of(picture(scene(truth))).is_light_on_dark


@pytest.mark.parametrize("soft", [1.0, 4.0, 20.0])
def test_a_shadow_takes_no_ink_and_adds_none(soft: float) -> None:
    truth = ring()
    x = np.arange(truth.shape[1])
    light = 1 - 0.5 / (1 + np.exp(-(x - 170) / soft))
    assert agreement(ink_in(scene(truth) * light[None, :, None]), truth) > 0.88


def test_a_drawing_keeps_its_grey_values() -> None:
    pixels = np.full((60, 80), 200, np.uint8)
    pixels[20:40, 30:34] = [[100, 0, 0, 150]] * 20
    contrast = contrast_of(picture(pixels))
    assert (contrast.is_flat, contrast.is_light_on_dark) == (True, False)
    np.testing.assert_allclose(contrast.values[20, 30:34], [0.5, 1, 1, 0.25], atol=1e-6)
    assert contrast.values.sum() == pytest.approx(20 * 2.75)


@pytest.mark.parametrize("turn", [0.0, 2.0, -4.0])
@pytest.mark.parametrize("is_squared", [False, True])
def test_dark_printed_lines_go_and_strokes_stay(turn: float, is_squared: bool) -> None:
    truth = ring()
    y, x = np.mgrid[0 : truth.shape[0], 0 : truth.shape[1]]
    angle = np.radians(turn)
    lines = np.abs((y * np.cos(angle) - x * np.sin(angle) + 3) % 41 - 20) < 1.2
    if is_squared:
        lines |= np.abs((x * np.cos(angle) + y * np.sin(angle) + 3) % 41 - 20) < 1.2
    printed = scene(truth)
    printed[lines & (truth == 0)] = (100, 110, 150)
    ink = ink_in(printed)
    assert agreement(ink, truth) > 0.85
    (found,) = read_digits(picture(printed)).found
    assert abs(found.box.right - found.box.left - 174) < 10


def test_a_digits_own_bar_is_no_printed_line() -> None:
    mask = np.zeros((200, 160), bool)
    mask[30:34, 20:140] = True  # a seven
    for i in range(140):
        mask[34 + i, 138 - i // 2 : 142 - i // 2] = True
    assert not printed_lines(mask.astype(np.float32), mask).any()


def test_blank_paper_has_no_ink() -> None:
    for pixels in (
        np.full((200, 300), 250.0),
        240 + noise((200, 300)),
        np.zeros((200, 300)),
        np.linspace(90, 240, 300)[None].repeat(200, 0),
    ):
        found = ink_of(contrast_of(picture(pixels)))
        assert isinstance(found, str)
        assert found.startswith("the picture is blank")
    ruled = 240 + noise((300, 400))
    ruled[20::40] -= 90
    ruled[21::40] -= 90
    assert read_digits(picture(ruled)).refusal == "there are printed lines, and nothing is written on them"


def things(*greys: float) -> np.ndarray:
    """Bars beside each other on light paper, each of its own brightness."""
    pixels = 240 + noise((300, 400))
    for i, grey in enumerate(greys):
        left = 60 + 300 * i // len(greys)
        pixels[60:240, left : left + 30] = grey + noise((180, 30))
    return pixels


def test_things_of_many_shades_are_no_ink() -> None:
    refusal = "there are many shades, as in a picture of something else, where a pen has one"
    assert ink_of(contrast_of(picture(things(30, 180, 90, 200)))) == refusal
    for digits in (things(30, 30, 30, 30), things(30, 80, 60, 80)):  # by one pen; by one that is pressed
        assert isinstance(ink_of(contrast_of(picture(digits))), Ink)


def test_a_stroke_that_gets_pale_hangs_together_and_what_is_only_pale_goes() -> None:
    grey = np.full((300, 400), 240.0)
    grey[60:240, 60:90] = 40  # the pen
    for top in range(60, 240, 20):  # a stroke that is thin where others are thick
        grey[top : top + 10, 200:204] = 120
        grey[top + 10 : top + 20, 200:204] = 160
    grey[60:240, 300:304] = 175
    ink = ink_in(grey + noise(grey.shape)) > 0
    assert ndimage.label(ink[:, 150:250], np.ones((3, 3)))[1] == 1
    assert ink[70:230, 200:204].mean() > 0.95
    assert not ink[:, 290:].any()


def test_a_grainy_pen_has_one_shade_for_nothing_else_stands_out() -> None:
    pencil = np.where(stream(0, "grain").random((300, 400)) < 0.3, 110, 60)
    found = ink_of(contrast_of(picture(np.where(ring(pen=30) > 0, pencil, 240) + noise((300, 400)))))
    assert isinstance(found, Ink)


def test_dark_paper_without_noise_has_no_contrast() -> None:
    contrast = contrast_of(picture(np.zeros((50, 60))))
    assert isinstance(contrast, Contrast)
    assert not contrast.values.any()


# --- segments ---


def marks(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (200, 500)) -> np.ndarray:
    """Frames of 8 pixels' ink: left, top, right, bottom."""
    ink = np.zeros(shape, np.float32)
    for left, top, right, bottom in boxes:
        ink[top:bottom, left:right] = 1
        if min(bottom - top, right - left) > 24:
            ink[top + 8 : bottom - 8, left + 8 : right - 8] = 0
    return ink


def lefts(ink: np.ndarray, **options: bool) -> list[int]:
    found = segments(ink, **options)
    assert not isinstance(found, str), found
    return [segment.box.left for segment in found]


def test_digits_stand_from_left_to_right() -> None:
    assert lefts(marks((300, 40, 360, 140), (50, 50, 110, 150), (180, 45, 188, 145))) == [50, 180, 300]


def test_a_broken_stroke_is_kept_together() -> None:
    five = ((60, 30, 120, 38), (50, 50, 110, 140))
    assert lefts(marks(*five, (200, 40, 260, 140))) == [50, 200]
    four = ((50, 40, 90, 90), (97, 40, 105, 140))  # its halves side by side, close
    assert lefts(marks(*four, (200, 40, 260, 140))) == [50, 200]


def test_single_takes_all_as_one() -> None:
    found = segments(marks((50, 50, 80, 150), (95, 45, 103, 145)), single=True)
    assert not isinstance(found, str)
    (segment,) = found
    assert segment.box == (50, 45, 103, 150)


def test_each_segment_has_its_own_ink_alone() -> None:
    slanted = marks((50, 50, 110, 150))
    slanted[120:160, 104:108] = 0
    slanted[100:130, 120:190] = 1  # a neighbour that reaches over the first one's box
    slanted[40:100, 180:190] = 1
    found = segments(slanted)
    assert not isinstance(found, str)
    assert isinstance(found[0], Segment)
    assert found[0].ink.sum() == slanted[50:150, 50:110].sum()


def test_dust_goes_and_dots_near_a_digit_stay() -> None:
    ink = marks((50, 50, 110, 150))
    ink[60:62, 300:302] = 1
    ink[156:166, 70:80] = 1
    found = segments(ink)
    assert not isinstance(found, str)
    assert [segment.box for segment in found] == [(50, 50, 110, 166)]


@pytest.mark.parametrize(
    ("ink", "words"),
    [
        (np.zeros((50, 50), np.float32), "there is no ink"),
        (np.ones((200, 300), np.float32), "what stands out from the paper is no digit that a pen draws, but a stain, an edge or a drawing"),
        (marks((10, 10, 14, 15)), "what is drawn is too small to be read; take the picture from nearer, or cut out the digit"),
        (marks(*((20 + 22 * i, 40, 32 + 22 * i, 80) for i in range(21))), "there are 21 marks, as in a text; cut out a row of at most 20 digits"),
        (marks(*((20 + 40 * i, 20 + 60 * j, 45 + 40 * i, 50 + 60 * j) for i in range(5) for j in range(3))),
         "there are several rows of marks, as in a text; cut out one row of digits"),
    ],
)  # fmt: skip
def test_what_is_no_row_of_digits_is_refused(ink: np.ndarray, words: str) -> None:
    assert segments(ink) == words


def test_a_stroke_at_the_edge_is_a_stroke() -> None:
    ink = np.zeros((200, 300), np.float32)
    ink[0:120, 100:112] = 1
    assert lefts(ink) == [100]


# --- pens ---


@pytest.mark.parametrize("pen", [6, 14, 24])
def test_the_width_of_a_pen_is_measured(pen: int) -> None:
    ink = ring(pen=pen)
    cut = ink[np.ix_(ink.any(1), ink.any(0))]
    # An ellipse: its ring is 1.2 times as wide above and below as at its sides.
    assert pen_width(cut) == pytest.approx(1.1 * pen * 20 / max(cut.shape), rel=0.1)
    assert pen_width(np.zeros((10, 10))) == 0


@pytest.mark.parametrize(("radius", "pen"), [(80, 3), (80, 6), (12, 1.2), (140, 2)])
def test_thin_pens_are_widened_to_the_usual(radius: float, pen: float) -> None:
    ink = ring(400, 400, radius, pen)
    cut = ink[np.ix_(ink.any(1), ink.any(0))].astype(np.float32)
    thin = pen_width(cut)
    assert thin < THIN
    wide = widened(cut, thin)
    assert pen_width(wide) == pytest.approx(USUAL, rel=0.2)
    assert widened(cut, THIN) is cut


def test_a_drawing_keeps_its_greys_and_smooth_paper_is_no_drawing() -> None:
    drawn = 255 - 200 * ring()
    drawn[20:24, 20:24] = 252  # a pale speck is meant
    assert contrast_of(picture(drawn)).is_flat
    specks = 255 - 200 * ring() - (stream(0, "specks").random(drawn.shape) < 0.2) * 2
    contrast = contrast_of(picture(specks))
    assert not contrast.is_flat
    assert len(read_digits(picture(specks)).found) == 1


def test_the_brightness_of_ink_can_be_said() -> None:
    contrast = contrast_of(picture(scene(ring())), is_light=True)
    assert contrast.is_light_on_dark
    assert not contrast_of(picture(scene(ring()))).is_light_on_dark


def test_strokes_that_broke_are_one_digit_and_a_text_is_none() -> None:
    """A three in pieces above each other, some beside; and the same far apart, or more of them."""
    ink = np.zeros((400, 400), np.float32)
    for top, left, right in ((100, 150, 230), (150, 170, 235), (200, 145, 225)):
        ink[top : top + 14, left:right] = 1
        ink[top : top + 40, right - 14 : right] = 1
    found = segments(ink)
    assert isinstance(found, tuple)
    assert [tuple(segment.box) for segment in found] == [(145, 100, 235, 240)]
    apart = np.zeros((400, 400), np.float32)
    apart[20:60, 50:70] = apart[300:340, 50:70] = 1
    assert "several rows of marks" in str(segments(apart))


@pytest.mark.parametrize("window", [3, 9, 15])
def test_medians_are_those_of_another_library(window: int) -> None:
    values = stream(0, "medians").integers(0, 256, (31, 44)).astype(np.uint8)
    expected = ndimage.median_filter(values, window, mode="nearest")
    np.testing.assert_array_equal(_medians(values, window), expected)
