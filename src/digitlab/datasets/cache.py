"""The cache: verified data sets on disk, a folder each, published whole or not at all.

A folder holds the four IDX files, uncompressed, so that they can be mapped into memory, and an imported
data set's `dataset.json` beside them. Whatever is published was proved; whatever is opened is proved again.
"""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from digitlab.errors import DataError

_STALE_SECONDS = 24 * 3600
_ATTEMPTS = 20


def data_directory() -> Path:
    """Where digitlab keeps its data: DIGITLAB_DATA, or the platform's place for it."""
    chosen = os.environ.get("DIGITLAB_DATA")
    # os.path.expanduser leaves the ~ of an unknown user as it is, where Path.expanduser raises.
    return Path(os.path.expanduser(chosen)) if chosen else platformdirs.user_data_path("digitlab")  # noqa: PTH111


def folder(name: str) -> Path:
    """The folder of one data set, whether it is there or not."""
    return data_directory() / "datasets" / name


@contextmanager
def publish(name: str) -> Iterator[Path]:
    """A new folder to fill; it takes the data set's place when the block ends, and is gone when it raises.

    Raises OSError when the place cannot be written.
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


def write(path: Path, payload: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())


def unwritable(name: str, error: OSError) -> DataError:
    """What to tell when a data set cannot be published."""
    reason = error.strerror or str(error)
    remedy = "make room, or name another folder by the environment variable DIGITLAB_DATA"
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
