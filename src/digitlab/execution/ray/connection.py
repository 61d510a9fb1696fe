"""Starting a Ray cluster on this machine, or joining one that is there.

Whoever may talk to a Ray cluster may run any program on all its machines. So Ray's authentication by token
is on wherever the user's environment says nothing else: a cluster of our own gets a new token, which only its
processes know; of one that is joined, the user must have the token.
"""

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import ray
from ray import _raylet
from ray.exceptions import AuthenticationError

from digitlab.engine.device import usable_cores
from digitlab.errors import Fault, RunError, SpecError, cause_of, plain

_OWN = "ray"
_PREFIX = "digitlab-ray-"
_LONGEST_FOLDER = 40
"""Characters: Ray puts sockets deep into its folder, and the path of a socket has 107 at most."""
_MOST_CHARACTERS = 400
_SECONDS_TO_ANSWER = 10
_TOKEN_SETTINGS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def check_place(on: str) -> None:
    """Raise SpecError unless it is `ray`, `auto` or `ray://HOST:PORT`."""
    if on not in {_OWN, "auto"} and not on.startswith("ray://"):
        advice = "is not known; use `ray` (on this machine), `auto` (the cluster that runs here) or ray://HOST:10001"
        raise SpecError([Fault("on", on, advice)])


@contextmanager
def connected(on: str, workers: int | None = None) -> Iterator[None]:
    """A connection to a cluster, which ends with the block; a cluster of our own ends with it.

    on:      see `check_place`
    workers: processors of a cluster of our own; by default all
    Raises SpecError, and RunError when there is no connection.
    """
    check_place(on)
    with ExitStack() as stack:
        stack.enter_context(_settings(own=on == _OWN))
        stack.enter_context(_quiet())
        folder = stack.enter_context(_folder()) if on == _OWN else None
        stack.callback(_end)
        with _handler_kept():
            if folder is None:
                _join(on)
            else:
                _start(folder, workers or usable_cores())
        yield


def _start(folder: Path, processors: int) -> None:
    try:
        ray.init(
            address="local",
            _node_ip_address="127.0.0.1",
            num_cpus=processors,
            num_gpus=0,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(folder),
        )
    except Exception as error:  # noqa: BLE001  # Ray raises what it likes
        raise RunError(f"Ray cannot start on this machine: {_short(error)}; leave out --on") from None


def _join(on: str) -> None:
    _check_answers(on)
    try:
        ray.init(address=on, log_to_driver=False, logging_level=logging.ERROR)
    except AuthenticationError:
        raise RunError(
            f"the Ray cluster {on} asks for a token; copy its file ~/.ray/auth_token from the head node to "
            "this machine, or set RAY_AUTH_TOKEN"
        ) from None
    except Exception as error:  # noqa: BLE001  # Ray raises what it likes
        if "token" in str(error).lower():
            raise RunError(
                f"the Ray cluster {on} asks for another token, or for one where there is none; copy the file "
                "~/.ray/auth_token from its head node to this machine, or set RAY_AUTH_TOKEN"
            ) from None
        raise _not_joined(on, _short(error)) from None


def _check_answers(on: str) -> None:
    """Raise RunError where nothing answers at the cluster's address, if that is known: Ray would try for
    most of a minute, and write lines of its own.
    """
    address = os.environ.get("RAY_ADDRESS", "") if on == "auto" else on
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # Ray finds it, or says what is wrong with it
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _not_joined(
            on, f"nothing answers at {plain(address, _MOST_CHARACTERS)} ({_short(error)})"
        ) from None


def _not_joined(on: str, problem: str) -> RunError:
    remedy = "see that its port can be reached, and that ~/.ray/auth_token is the cluster's token"
    if on == "auto":
        remedy = (
            "start one here with `ray start --head`, or use ray://HOST:10001 or --on ray; where there is "
            "one, see that RAY_ADDRESS, if it is set, is its address, and ~/.ray/auth_token its token"
        )
    return RunError(f"no Ray cluster can be joined at {on}: {problem}; {remedy}")


def _end() -> None:
    """End the connection. What it cannot tell any more is not worth a word."""
    with suppress(Exception):
        ray.shutdown()


def _short(error: BaseException) -> str:
    said = cause_of(error) if isinstance(error, Exception) else repr(error)
    return plain(" ".join(said.split()), _MOST_CHARACTERS)


@contextmanager
def _settings(*, own: bool) -> Iterator[None]:
    """Ray's settings in the environment, where the user has none, while the block runs."""
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # Else Ray ends the program without a word of ours, a minute after the head node is lost.
        "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    }
    if not own:
        # How often Ray tries to reach the head node: else 20 times, of 40 seconds each.
        wanted["RAY_gcs_server_port_wait_time_s"] = "1"
    if own and not any(os.environ.get(name) for name in _TOKEN_SETTINGS):
        wanted["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    new = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(new)
    _refresh()
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)
        _refresh()


def _refresh() -> None:
    """Let Ray read its settings again: it keeps those that it found when it was loaded."""
    raylet = cast("Any", _raylet)  # whose stubs leave this out
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _handler_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it starts; the program's own handler is put back."""
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"ray\b")
        yield


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for the files of a cluster of our own; it goes with the cluster."""
    parent = Path(tempfile.gettempdir())
    if len(str(parent)) > _LONGEST_FOLDER:
        parent = Path("/tmp")  # noqa: S108  # a new folder with a name of its own, of this user alone
    _remove_leftovers(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    """Remove what killed programs left behind."""
    for leftover in parent.glob(f"{_PREFIX}*-*"):
        number = leftover.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError, ValueError):
            if leftover.lstat().st_uid != os.geteuid():
                continue
            try:
                os.kill(int(number), 0)
            except ProcessLookupError:
                shutil.rmtree(leftover, ignore_errors=True)
