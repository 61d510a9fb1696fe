"""Where pictures come from: files, folders, standard input, the clipboard."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from digitlab.errors import Fault, PictureError, SpecError
from digitlab.prediction.answers import Prediction, predict, unreadable
from digitlab.prediction.model import Model
from digitlab.vision import Picture, clipboard_picture, pictures_in, read_picture, read_stream


@dataclass(frozen=True)
class Source:
    """One picture to be read, by the name that it is told by."""

    name: str
    read: Callable[[], Picture]


def sources(files: Sequence[str], *, clipboard: bool = False) -> list[Source]:
    """A source for each file, each picture in a folder, `-` for standard input, and the clipboard.

    Raises SpecError when nothing is named, PictureError when a folder holds no picture.
    """
    if not files and not clipboard:
        problem = "is missing; name a picture, a folder, - for standard input, or say --clipboard"
        raise SpecError([Fault("file", "nothing", problem)])
    found: list[Source] = []
    for file in files:
        if file == "-":
            found.append(Source("standard input", lambda: read_stream(sys.stdin.buffer, "standard input")))
        elif _is_folder(file):
            found += [_of_file(str(path)) for path in pictures_in(file)]
        else:
            found.append(_of_file(file))
    if clipboard:
        found.append(Source("the clipboard", clipboard_picture))
    return found


def _of_file(path: str) -> Source:
    return Source(path, lambda: read_picture(path))


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def predictions(found: Sequence[Source], model: Model, *, single: bool = False) -> Iterator[Prediction]:
    """What comes of each source, in turn; a file that is no picture is told, and the others go on.

    Raises WeightsError.
    """
    for source in found:
        try:
            picture = source.read()
        except PictureError as error:
            yield unreadable(source.name, error, model)
            continue
        yield predict(picture, model, single=single)
