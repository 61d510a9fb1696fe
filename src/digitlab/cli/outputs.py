"""Where commands write: `--output FILE` beside `--json`, and files whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from digitlab.errors import DigitlabError, Fault, SpecError

OutputOption = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write the JSON to this file.", show_default="stdout"),
]


@contextmanager
def output_file(path: Path, *, is_new: bool = False) -> Iterator[BinaryIO]:
    """A file to fill that takes the place of `path` when the block ends, and is gone when it raises.

    is_new: refuse to replace a file
    Raises DigitlabError when the place cannot be written.
    """
    from digitlab.files import written_whole

    try:
        with written_whole(path, is_new=is_new) as file:
            yield file
    except FileExistsError:
        raise DigitlabError(
            f"{path}: there is a file of this name; choose another name, or remove it"
        ) from None
    except BrokenPipeError:  # whoever read the pipe has gone: as for stdout
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DigitlabError(
            f"{path}: cannot be written ({reason}); "
            "make room there, or name a file in a folder that you can write to"
        ) from None


def checked_output(output: Path | None, *, json: bool) -> None:
    """Raise SpecError when a file is named and nothing is to go there: better before the work than after."""
    if output is not None and not json:
        raise SpecError([Fault("output", str(output), "is for JSON; say --json too, or leave it out")])
