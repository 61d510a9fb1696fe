"""Predictions -> files that show their steps, a PNG each."""

from pathlib import Path

from digitlab.errors import DigitlabError, plain
from digitlab.files import StrPath, write_whole
from digitlab.prediction.answers import Prediction
from digitlab.vision.explanation import Caption, steps_picture


def explained(prediction: Prediction) -> bytes | None:
    """A PNG of the steps; None where there was no picture."""
    if prediction.reading is None:
        return None
    summary = prediction.refusal or f"read as {prediction.text}"
    return steps_picture(prediction.reading, captions_of(prediction), plain(summary, 300))


def captions_of(prediction: Prediction) -> list[Caption]:
    """What is written beside each digit."""
    return [
        Caption(answer.doubt or f"{answer.name}", tuple(answer.top(prediction.class_names)))
        for answer in prediction.answers
    ]


class Explanations:
    """A folder of such files, named after the pictures."""

    def __init__(self, folder: StrPath) -> None:
        self._folder = Path(folder)
        self._names: set[str] = set()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise _unwritable(self._folder, error) from None

    def add(self, prediction: Prediction) -> Path | None:
        """Write the steps of a prediction; the file's path, or None where there was no picture.

        Raises DigitlabError when it cannot be written.
        """
        content = explained(prediction)
        if content is None:
            return None
        stem = Path(prediction.name).stem or "picture"
        name, number = f"{stem}-steps.png", 2
        while name in self._names:
            name, number = f"{stem}-steps-{number}.png", number + 1
        self._names.add(name)
        path = self._folder / name
        try:
            write_whole(path, content)
        except OSError as error:
            raise _unwritable(path, error) from None
        return path


def _unwritable(path: Path, error: Exception) -> DigitlabError:
    reason = getattr(error, "strerror", None) or str(error)
    return DigitlabError(
        f"{path}: cannot be written ({reason}); name a folder that you can write to by --explain"
    )
