"""Scaling pixels to inputs."""

import numpy as np
import pytest

from digitlab.data import Dataset
from digitlab.data.arrays import InputScale, input_scale
from digitlab.spec import Precision

PIXELS = np.arange(784, dtype=np.uint8).reshape(1, 28, 28)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_unit_is_division_by_255(precision: Precision) -> None:
    inputs = input_scale("unit", PIXELS).apply(PIXELS, precision)
    assert inputs.dtype == precision
    assert inputs.shape == (1, 784)
    assert (inputs == PIXELS.reshape(1, 784).astype(precision) / np.dtype(precision).type(255)).all()


def test_symmetric_runs_from_minus_one_to_one() -> None:
    inputs = input_scale("symmetric", PIXELS).apply(PIXELS, "float64")
    assert inputs[0, [0, 255]].tolist() == [-1, 1]
    assert np.allclose(inputs, PIXELS.reshape(1, 784) / 127.5 - 1, atol=1e-15)


def test_standard_gives_mean_0_and_deviation_1(mnist: Dataset) -> None:
    scale = input_scale("standard", mnist.train.images)
    # Known of MNIST: 0.1307 and 0.3081 of 255.
    assert scale.offset / 255 == pytest.approx(0.1307, abs=5e-5)
    assert scale.divisor / 255 == pytest.approx(0.3081, abs=5e-5)
    assert scale.offset == pytest.approx(mnist.train.images.mean(dtype=np.float64), rel=1e-12)
    assert scale.divisor == pytest.approx(mnist.train.images.std(dtype=np.float64), rel=1e-9)
    some = scale.apply(mnist.train.images[:100], "float64")
    assert np.allclose(
        some, (mnist.train.images[:100].reshape(100, 784) - scale.offset) / scale.divisor, atol=1e-12
    )


def test_blank_images_stay_finite() -> None:
    scale = input_scale("standard", np.zeros((70, 28, 28), np.uint8))
    assert scale == InputScale(0.0, 1.0)
