"""The makers' procedure, against a direct form of it, on real images, and by properties."""

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from digitlab.data import Dataset
from digitlab.rng import stream
from digitlab.vision import decode, read_digits
from digitlab.vision.mnist import is_as_mnist, mnist_image


def slowly(ink: np.ndarray) -> np.ndarray:
    """The procedure as it is told, pixel by pixel: each ink pixel spreads its area over what it covers."""
    rows, columns = np.nonzero(ink.any(1))[0], np.nonzero(ink.any(0))[0]
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(box.shape)
    square = np.zeros((side, side))
    top, left = (side - box.shape[0]) // 2, (side - box.shape[1]) // 2
    square[top : top + box.shape[0], left : left + box.shape[1]] = box
    while len(square) < 20:
        square = np.kron(square, np.ones((2, 2)))
    small, scale = np.zeros((20, 20)), 20 / len(square)
    for i, j in zip(*np.nonzero(square), strict=True):
        for y in range(int(i * scale), min(int((i + 1) * scale) + 1, 20)):
            for x in range(int(j * scale), min(int((j + 1) * scale) + 1, 20)):
                down = min((i + 0.99) * scale, y + 1) - max(i * scale, y)
                across = min((j + 0.99) * scale, x + 1) - max(j * scale, x)
                small[y, x] += max(down, 0) * max(across, 0) * square[i, j]
    small = np.rint(small / small.max() * 255)
    centre = [float((small.sum(1 - axis) * (np.arange(20) + 0.5)).sum() / small.sum()) for axis in (0, 1)]
    image = np.zeros((28, 28), np.uint8)
    top, left = (math.floor(15 - b) for b in centre)
    image[top : top + 20, left : left + 20] = small
    return image


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (20, 20), (33, 21), (40, 13), (57, 80)])
def test_it_is_the_procedure_as_told(shape: tuple[int, int]) -> None:
    random = stream(0, f"ink/{shape}")
    ink = random.random(shape) * (random.random(shape) < 0.6)
    ink[0, 0] = ink[-1, -1] = 1
    margin = np.pad(ink, ((2, 5), (0, 3)))
    assert np.abs(mnist_image(margin).astype(int) - slowly(margin)).max() <= 1


def test_a_bar_by_hand() -> None:
    """A bar of 40 x 4 becomes 20 x 2 in the middle: columns 9 and 10 of 20, put at 14 - 10 = 4."""
    image = mnist_image(np.ones((40, 4)))
    expected = np.zeros((28, 28), np.uint8)
    expected[5:25, 14:16] = 255  # floor(15 - 10) = 5 and 5 + 9 = 14
    np.testing.assert_array_equal(image, expected)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32))
def test_the_centre_of_mass_and_the_longer_side_are_mnists(rows: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    image = mnist_image(np.where(random.random((rows, columns)) < 0.5, random.random((rows, columns)), 1))
    places = np.arange(28)
    for axis in (0, 1):
        weights = image.sum(1 - axis, dtype=float)
        assert 13.5 < (weights @ places) / weights.sum() <= 14.5 + 1e-9
    extents = [np.ptp(np.flatnonzero(image.any(axis))) + 1 for axis in (0, 1)]
    assert max(extents) in {19, 20}
    assert image.max() == 255


def test_no_ink_is_black() -> None:
    assert not mnist_image(np.zeros((30, 20))).any()


def png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def test_an_image_of_mnist_goes_through_untouched(mnist: Dataset) -> None:
    for image in mnist.test.images[:200]:
        reading = read_digits(decode(png(image)))
        (found,) = reading.found
        np.testing.assert_array_equal(found.image, image)
        assert reading.contrast is None


def test_what_is_not_grey_on_black_is_no_image_of_mnist() -> None:
    black = np.zeros((28, 28, 3), np.uint8)
    assert not is_as_mnist(black)  # nothing there
    black[10, 10] = 200
    assert is_as_mnist(black)
    black[10, 10, 0] = 100
    assert not is_as_mnist(black)
    assert not is_as_mnist(255 - black)
    assert not is_as_mnist(np.zeros((28, 30, 3), np.uint8))


@pytest.mark.parametrize("times", [4, 8])
def test_enlarged_images_come_back(times: int, mnist: Dataset) -> None:
    """Wherever the geometry allows: the shorter side even, so that the square begins at whole pixels."""
    random = stream(0, "enlarged")
    close = even = 0
    for image in mnist.test.images[:150]:
        large = image.repeat(times, 0).repeat(times, 1)
        whole = np.zeros((28 * times + 90, 28 * times + 130), np.uint8)
        top, left = random.integers(0, 90), random.integers(0, 130)
        whole[top : top + len(large), left : left + len(large)] = large
        extents = [np.ptp(np.flatnonzero(image.any(axis))) + 1 for axis in (0, 1)]
        if min(extents) % 2 or max(extents) != 20:
            continue
        even += 1
        found = read_digits(decode(png(whole))).found
        close += len(found) == 1 and np.abs(found[0].image.astype(int) - image).max() <= 1
        inverted = read_digits(decode(png(255 - whole))).found
        np.testing.assert_array_equal(inverted[0].image, found[0].image)
    assert even > 60
    assert close >= even - 1
