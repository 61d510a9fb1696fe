"""Answers: sure or with a doubt, never a bare guess; as JSON; from files, folders and streams."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digitlab.errors import PictureError, SpecError
from digitlab.prediction import predict, predictions, sources
from digitlab.prediction.answers import SURE, answered
from digitlab.prediction.explaining import Explanations, explained
from digitlab.prediction.typical import Typical
from digitlab.vision import Box, decode

BOX = Box(0, 0, 28, 28)


class Fixed:
    """A model that says what it is told to."""

    class_names = tuple("0123456789")

    def __init__(self, *rows: dict[int, float], strange: tuple[int, ...] = ()) -> None:
        self.rows = np.array([[row.get(i, 0.0) for i in range(10)] for row in rows])
        self.strange = strange
        self.typical: Typical | None = None

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        return self.rows[: len(images)]

    def is_strange(self, images: np.ndarray) -> np.ndarray:
        return np.isin(np.arange(len(images)), self.strange)


def answers(*rows: dict[int, float], **options: Any) -> list[tuple[str | None, str]]:
    images = np.zeros((len(rows), 28, 28), np.uint8)
    found = answered(images, [BOX] * len(rows), Fixed(*rows, **options))  # type: ignore[arg-type]
    return [(answer.name, answer.doubt) for answer in found]


def test_a_sure_answer_is_told_and_a_doubt_says_between_what() -> None:
    assert answers({7: 0.9, 1: 0.1}) == [("7", "")]
    assert answers({3: 0.55, 5: 0.44}) == [(None, "not sure: 3 (55%) or 5 (44%)")]
    assert SURE == 0.6


def test_what_looks_like_no_digit_is_none_however_sure_the_network_is() -> None:
    doubt = "not sure: it looks like none of MNIST's digits; the nearest is 7"
    assert answers({7: 1.0}, strange=(0,)) == [(None, doubt)]


def test_a_row_of_which_a_third_is_no_digit_is_none() -> None:
    sure, unsure = {7: 1.0}, {3: 0.5, 5: 0.5}
    assert [name for name, _ in answers(sure, sure, unsure)] == ["7", "7", None]
    assert answers(sure, unsure)[0] == (None, "not sure: 1 of 2 marks in this row look like no digits")


def bars(count: int) -> bytes:
    pixels = np.full((100, 60 + 60 * count), 255, np.uint8)
    for i in range(count):
        pixels[20:80, 50 + 60 * i : 58 + 60 * i] = 0
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def test_a_prediction_as_json() -> None:
    model: Any = Fixed({1: 1.0}, {1: 0.5, 7: 0.5}, {1: 0.75, 7: 0.25})
    document = predict(decode(bars(3), "a.png"), model).to_json()
    assert list(document) == ["file", "digits"]
    digits: Any = document["digits"]
    assert [digit["digit"] for digit in digits] == [1, None, 1]
    assert digits[0] == {"digit": 1, "probabilities": [0.0, 1.0] + [0.0] * 8, "box": [50, 20, 58, 80]}
    assert digits[1]["reason"] == "not sure: 1 (50%) or 7 (50%)"
    blank = predict(decode(bars(0), "b.png"), model).to_json()
    assert blank == {"file": "b.png", "digits": [], "reason": "no digit found: the picture is blank"}


def test_sources_are_files_folders_and_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.png").write_bytes(bars(2))
    (tmp_path / "folder" / "a.png").write_bytes(b"nothing")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bars(1))))
    model: Any = Fixed({1: 1.0}, {1: 1.0})
    found = list(predictions(sources([str(tmp_path / "folder"), "-"]), model))
    assert [(each.text, each.is_error) for each in found] == [("", True), ("11", False), ("1", False)]
    assert found[0].refusal.startswith(f"{tmp_path}/folder/a.png: is not a picture")
    assert found[2].name == "standard input"
    with pytest.raises(
        SpecError, match="file: 'nothing' is missing; name a picture, a folder, - for standard input"
    ):
        sources([])


def test_no_clipboard_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageGrab

    def none() -> None:
        raise NotImplementedError("wl-paste or xclip is required for ImageGrab.grabclipboard() on Linux")

    monkeypatch.setattr(ImageGrab, "grabclipboard", none)
    (found,) = sources([], clipboard=True)
    with pytest.raises(
        PictureError, match=r"the clipboard: cannot be read .*; save the picture as a file and name it"
    ):
        found.read()
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: None)
    with pytest.raises(PictureError, match="the clipboard: holds no picture; copy one, or name a file"):
        found.read()
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: Image.open(io.BytesIO(bars(1))))
    assert found.read().pixels.shape == (100, 120, 3)


def test_steps_are_drawn_whatever_came_of_it(tmp_path: Path) -> None:
    model: Any = Fixed(*[{1: 1.0}] * 30)
    folder = Explanations(tmp_path / "steps")
    for count, name in ((0, "a/x.png"), (1, "b/x.png"), (14, "x.jpg")):
        path = folder.add(predict(decode(bars(count), name), model))
        assert path is not None
        with Image.open(path) as image:
            assert image.size[0] > 300
    assert sorted(path.name for path in (tmp_path / "steps").iterdir()) == [
        "x-steps-2.png",
        "x-steps-3.png",
        "x-steps.png",
    ]
    (unreadable,) = predictions(sources([str(tmp_path / "none.png")]), model)
    assert explained(unreadable) is None
