"""The cache: verified data sets on disk, a folder each, published whole or not at all.

A folder holds the four IDX files, uncompressed, so that they can be mapped into memory, and an imported
data set's `dataset.json` beside them. What is published was verified; what is opened is verified again.
"""

import errno
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from digitlab import places
from digitlab.errors import DataError

_STALE_SECONDS = 24 * 3600
_ATTEMPTS = 20


def folder(name: str) -> Path:
    """The folder of one data set, whether it is there or not.

    Raises DataError where there is no home folder to hold it, and no other is named.
    """
    data = places.data_folder()
    if data is None:
        remedy = "set HOME, or name a folder by the environment variable DIGITLAB_DATA"
        raise DataError(f"data set {name}", "no home folder to keep it in", "a place to keep data", remedy)
    return data / "datasets" / name


def is_there(name: str) -> bool:
    """Whether the folder of a data set is there, and can be looked into."""
    try:
        return folder(name).is_dir()
    except (OSError, DataError):
        return False


@contextmanager
def publish(name: str) -> Iterator[Path]:
    """A new folder to fill; it takes the data set's place when the block ends, and is gone when it raises.

    Raises OSError when the place cannot be written, DataError when there is none.
    """
    target = folder(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    stage = _partial(target)
    stage.mkdir()
    try:
        yield stage
        _replace(stage, target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def unwritable(name: str, error: OSError) -> DataError:
    """What to tell when a data set cannot be published."""
    reason = error.strerror or str(error)
    remedy = "name another folder by the environment variable DIGITLAB_DATA"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        remedy = f"make room, or {remedy}"
    return DataError(folder(name), f"that it cannot be written ({reason})", "a place to keep data", remedy)


def _partial(target: Path) -> Path:
    """A new name beside the target for what is not (or no longer) it."""
    return target.with_name(f".{target.name}.partial-{secrets.token_hex(8)}")


def _replace(stage: Path, target: Path) -> None:
    # A folder cannot replace a full one in one move. Between the two moves there is none, which is told as
    # "not on this machine": never a mixture of old and new.
    for attempt in range(1, _ATTEMPTS + 1):
        old = _partial(target)
        with suppress(FileNotFoundError):
            target.rename(old)
        try:
            stage.rename(target)
        except OSError as error:
            # Another process may have put its own there between the two moves: then once more.
            if error.errno in {errno.EEXIST, errno.ENOTEMPTY} and attempt < _ATTEMPTS:
                continue
            with suppress(OSError):
                old.rename(target)
            raise
        else:
            return
        finally:
            shutil.rmtree(old, ignore_errors=True)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes left behind; a running one's is younger than a day."""
    for leftover in target.parent.glob(f".{target.name}.partial-*"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
