"""Files: one way to write them, whole or not at all, and one way to read a text that a user wrote.

A file that is written replaces the old one in one move, when all of it is on the disk: whatever stops the
writer (a full disk, a kill, a loss of power) leaves the old file or the new one, never a part.
"""

import codecs
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from digitlab.errors import Fault, SpecError

StrPath = str | os.PathLike[str]

TEXT_LIMIT_BYTES = 16 << 20
"""No document that a person writes is longer, and no result that digitlab prints."""

# The longest first: UTF-32's little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(content: bytes) -> str:
    """The text in UTF-8, or in what its byte-order mark says: PowerShell's `>` writes UTF-16.

    Raises UnicodeDecodeError.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding)


def read_text(path: StrPath, field: str, remedy: str) -> str:
    """The text of a file that a user names; never waits, and never reads without end.

    field, remedy: what the error names, and what it tells the user to do
    Raises SpecError when it is not a regular file, is too long, or is not text.
    """

    def refused(problem: str) -> SpecError:
        return SpecError([Fault(field, str(path), f"{problem}; {remedy}")])

    try:
        if not is_regular(path):
            raise refused("is not a regular file, but a pipe or a device")
        # Without waiting: what was a file a moment ago may be a pipe by now.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            content = file.read(TEXT_LIMIT_BYTES + 1)
    except OSError as error:
        raise refused(f"cannot be read ({error.strerror})") from None
    except ValueError:  # a NUL in its name
        raise refused("cannot be the name of a file") from None
    if len(content) > TEXT_LIMIT_BYTES:
        raise refused(f"is longer than {TEXT_LIMIT_BYTES >> 20} MB")
    try:
        return decoded(content)
    except UnicodeDecodeError:
        raise refused("is not a text in UTF-8 or UTF-16") from None


def is_regular(path: StrPath) -> bool:
    """Whether there is a regular file.

    Raises OSError when there is nothing, or a folder; ValueError when this cannot be a name.
    """
    mode = os.stat(path).st_mode  # noqa: PTH116  # Path.stat is the same, and needs a Path
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return stat.S_ISREG(mode)


@contextmanager
def written_whole(path: StrPath, *, is_new: bool = False) -> Iterator[BinaryIO]:
    """A file to fill that takes the place of `path` when the block ends, and is gone when it raises.

    Links are followed. A file that is replaced hands on its mode; a new one has the mode that the user's
    umask says. A device or a pipe (`/dev/stdout`) is written to directly.

    is_new: refuse to replace a file
    Raises OSError, with `path` for its file, when the place cannot be written.
    """
    try:
        if _is_stream(path):
            with open(path, "wb") as stream:  # noqa: PTH123
                yield stream
            return
        target = Path(os.path.realpath(path))
        if is_new and target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        partial = target.with_name(f".digitlab.partial-{secrets.token_hex(8)}")
        try:
            with partial.open("xb") as file:
                with suppress(FileNotFoundError):
                    os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
                yield file
                file.flush()
                os.fsync(file.fileno())
            _move(partial, target, is_new=is_new)
        finally:
            with suppress(OSError):
                partial.unlink()
    except OSError as error:  # named by the user's word for it, not by the partial file or by none
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_whole(path: StrPath, content: bytes | str, *, is_new: bool = False) -> None:
    """Write a file whole or not at all, as `written_whole` does; a text in UTF-8.

    Raises OSError.
    """
    with written_whole(path, is_new=is_new) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _is_stream(path: StrPath) -> bool:
    # /dev/stdout may lead to a regular file: to the one that a shell has open, which must stay the same.
    if os.fspath(path).startswith(("/dev/", "/proc/")):
        return True
    try:
        return not is_regular(path)
    except FileNotFoundError:
        return False


def _move(partial: Path, target: Path, *, is_new: bool) -> None:
    if is_new:
        try:
            os.link(partial, target)  # unlike a move, it replaces nothing
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            partial.replace(target)
    else:
        partial.replace(target)
