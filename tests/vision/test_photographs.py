"""Photographs of test digits, a short form of benchmarks/vision.py, with a small network."""

import numpy as np
import pytest

from digitlab import lab
from digitlab.data import Dataset
from digitlab.prediction import Model, predict
from digitlab.prediction.model import model_of
from digitlab.vision import decode, read_digits
from tests.vision.photographs import no_digit, photograph_of, row_of


@pytest.fixture(scope="module")
def model(mnist: Dataset) -> Model:
    spec = lab.make_spec(hidden=(128,), learning_rate=0.5, epochs=5, validation_size=5_000)
    return model_of(lab.run(spec)[1])


def test_photographs_keep_their_class(mnist: Dataset, model: Model) -> None:
    count = 60
    own = model.network.probabilities(mnist.test.images[:count]).argmax(1)
    kept = []
    for number in range(count):
        photograph = photograph_of(mnist.test.images[number], int(mnist.test.labels[number]), number)
        answers = predict(decode(photograph.content), model).answers
        kept.append(len(answers) == 1 and np.argmax(answers[0].probabilities) == own[number])
    assert sum(kept) >= 0.9 * count


def test_rows_are_cut_into_their_digits(mnist: Dataset) -> None:
    right = 0
    for number in range(18):
        length = 2 + number % 9
        chosen = slice(20 * number, 20 * number + length)
        photograph = row_of(mnist.test.images[chosen], mnist.test.labels[chosen], number)
        right += len(read_digits(decode(photograph.content)).found) == length
    assert right >= 16


def test_pictures_without_a_digit_are_refused(model: Model) -> None:
    refused = [
        all(answer.name is None for answer in predict(decode(no_digit(number).content), model).answers)
        for number in range(30)
    ]
    assert sum(refused) >= 28


@pytest.mark.parametrize(
    ("index", "number", "what"),
    [
        (363, 500_027, "beside the edge of a shadow"),
        (1_405, 500_117, "on squared paper in a shadow"),
        (3_029, 500_245, "by a thin pen on squared paper"),
        (6_668, 500_565, "on paper of one colour but for a JPEG's specks"),
        (9_384, 500_797, "on paper of one colour but for a JPEG's specks"),
        (2_831, 500_224, "by a pencil that left the paper"),
        (13_673, 501_141, "in pieces, for it was written on printed lines"),
    ],
)
def test_one_digit_is_found(mnist: Dataset, index: int, number: int, what: str) -> None:
    """Photographs that were once refused."""
    photograph = photograph_of(mnist.train.images[index], int(mnist.train.labels[index]), number)
    assert len(read_digits(decode(photograph.content)).found) == 1, what


@pytest.mark.parametrize("number", [900_036, 900_121, 910_091])
def test_edges_of_shadows_are_no_digits(number: int) -> None:
    reading = read_digits(decode(no_digit(number).content))
    assert reading.found == ()
    assert reading.refusal
