"""What is found in a picture and a model -> answers, or why there is none: never a bare guess."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from digitlab.errors import PictureError
from digitlab.prediction.model import Model
from digitlab.vision import Box, Picture, Reading, read_digits

SURE = 0.6
"""An answer of less confidence is none."""
_MOST_UNSURE = 1 / 3
"""Of the marks in a row; where more are no digits for sure, the row is none of digits."""


@dataclass(frozen=True)
class Answer:
    """The answer to one digit.

    name:          of the likeliest class; None: not sure, and `doubt` says why
    probabilities: of each class, calibrated where the model is
    """

    name: str | None
    probabilities: tuple[float, ...]
    box: Box
    doubt: str = ""

    def top(self, names: Sequence[str], count: int = 3) -> list[tuple[str, float]]:
        """The likeliest classes, the likeliest first, with their probabilities."""
        order = sorted(range(len(self.probabilities)), key=lambda i: -self.probabilities[i])
        return [(names[i], self.probabilities[i]) for i in order[:count]]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What came of one file.

    name:     of the file
    reading:  every step from the picture to its images; None: it could not be decoded
    answers:  from left to right
    refusal:  why there are none; "" where there are
    is_error: the file is no picture that can be read
    """

    name: str
    class_names: tuple[str, ...]
    reading: Reading | None
    answers: tuple[Answer, ...]
    refusal: str = ""
    is_error: bool = False

    @property
    def text(self) -> str:
        """The answers as they stand in the picture; `?` where it is not sure."""
        names = ["?" if answer.name is None else answer.name for answer in self.answers]
        return "".join(names) if all(len(name) == 1 for name in names) else " ".join(names)

    def to_json(self) -> dict[str, object]:
        """As a document: `digit` is null where there is doubt, and `reason` says why."""
        digits = []
        for answer in self.answers:
            number = answer.name is not None and answer.name.isdecimal()
            digits.append(
                {
                    "digit": int(answer.name or 0) if number else answer.name,
                    "probabilities": list(answer.probabilities),
                    "box": list(answer.box),
                    **({"reason": answer.doubt} if answer.doubt else {}),
                }
            )
        return {"file": self.name, "digits": digits, **({"reason": self.refusal} if self.refusal else {})}


def predict(picture: Picture, model: Model, *, single: bool = False) -> Prediction:
    """The answers to what is in a picture. Raises WeightsError.

    single: it holds one digit, in however many pieces
    """
    reading = read_digits(picture, single=single)
    if not reading.found:
        refusal = f"no digit found: {reading.refusal}"
        return Prediction(picture.name, model.class_names, reading, (), refusal)
    answers = answered(reading.images, [found.box for found in reading.found], model)
    return Prediction(picture.name, model.class_names, reading, answers)


def unreadable(name: str, error: PictureError, model: Model) -> Prediction:
    """What came of a file that cannot be read."""
    return Prediction(name, model.class_names, None, (), str(error), is_error=True)


def answered(images: UInt8[np.ndarray, "n 28 28"], boxes: Sequence[Box], model: Model) -> tuple[Answer, ...]:
    """The answers to images that stand in one row."""
    probabilities = model.probabilities(images)
    strange = model.is_strange(images)
    doubts = [
        _doubt(row, bool(is_strange), model.class_names)
        for row, is_strange in zip(probabilities, strange, strict=True)
    ]
    unsure = sum(map(bool, doubts))
    if len(doubts) > 1 and unsure > _MOST_UNSURE * len(doubts):
        problem = f"not sure: {unsure} of {len(doubts)} marks in this row look like no digits"
        doubts = [doubt or problem for doubt in doubts]
    return tuple(
        Answer(
            None if doubt else model.class_names[int(row.argmax())],
            tuple(round(float(value), 6) for value in row),
            box,
            doubt,
        )
        for row, box, doubt in zip(probabilities, boxes, doubts, strict=True)
    )


def _doubt(row: Float[np.ndarray, "classes"], is_strange: bool, names: Sequence[str]) -> str:
    first, second = np.argsort(-row)[:2]
    if is_strange:
        return f"not sure: it looks like none of MNIST's digits; the nearest is {names[first]}"
    if row[first] < SURE:
        return f"not sure: {names[first]} ({row[first]:.0%}) or {names[second]} ({row[second]:.0%})"
    return ""
