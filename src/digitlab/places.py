"""Places: which folders of this machine are digitlab's, and the environment variables that name others.

A user may have no home folder (a container's user without an account, HOME unset). Then there is no place,
which is a value here, None: some do without, and others say what to do.
"""

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

_NAME = "digitlab"


def data_folder() -> Path | None:
    """Where data sets lie: DIGITLAB_DATA, else the platform's folder for a user's data."""
    configured = os.environ.get("DIGITLAB_DATA")
    return expanded(configured) if configured else _of_platform(platformdirs.user_data_path)


def store_file() -> Path | None:
    """Where results lie: DIGITLAB_STORE, else a file in the platform's folder for a user's data."""
    configured = os.environ.get("DIGITLAB_STORE")
    if configured:
        return expanded(configured)
    folder = _of_platform(platformdirs.user_data_path)
    return None if folder is None else folder / f"{_NAME}.db"


def cache_folder() -> Path | None:
    """Where what can be made again lies: the platform's folder for it (XDG_CACHE_HOME names it on Linux)."""
    return _of_platform(platformdirs.user_cache_path)


def expanded(path: str | os.PathLike[str]) -> Path | None:
    """An absolute path, with `~` for the home folder; None where there is no home."""
    # os.path.expanduser leaves the ~ of an unknown user as it is, where Path.expanduser raises.
    found = Path(os.path.expanduser(path))  # noqa: PTH111
    return None if found.parts[:1] == ("~",) else found.absolute()


def _of_platform(platform_folder: Callable[[str], Path]) -> Path | None:
    try:
        found = platform_folder(_NAME)
    except (RuntimeError, KeyError):  # no home
        return None
    return found if found.is_absolute() else None  # older platformdirs: `~/.local/share`, as it stands
