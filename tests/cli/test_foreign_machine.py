"""The command on a machine that is not one's own: another user, no home, nothing writable, odd compilers.

Each test runs the real command in a mount namespace of its own. Where the tests run as root, the command runs
as a user without an account; else as the same user, for whom all is read-only too.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import digitlab

ROOM = Path("/mnt")
"""Covered by an empty file system of the test's own."""
STRANGER, PLACE, NOEXEC = ROOM / "stranger", ROOM / "place", ROOM / "noexec"
"""Folders in it: one of another user, one that may be written, one from which nothing may be run."""
IS_ROOT = sys.platform == "linux" and os.geteuid() == 0
NOBODY = 54321
"""A user without an account, and so without a home."""

MACHINE = """
import json, os, pathlib, subprocess, sys
needed, room, free, is_root, user, covered, environment, command = json.loads(sys.argv[1])
real_user = os.geteuid()

def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)

def closed(path):  # the topmost folder above it that others may not enter
    above = reversed(pathlib.Path(path).parents)
    return next((str(folder) for folder in above if not folder.stat().st_mode & 1), None)

mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", room)
for name, mode in (("stranger", 0o700), ("place", 0o777), ("noexec", 0o777), ("staged", 0o755)):
    path = pathlib.Path(room, name)
    path.mkdir()
    path.chmod(mode)
mount("-t", "tmpfs", "-o", "mode=777,noexec", "tmpfs", f"{room}/noexec")
mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", f"{room}/place")
script = pathlib.Path(room, "garbage-cc")
script.write_text('#!/bin/sh\\nfor last; do [ "$before" = -o ] && echo rubbish > "$last"; before=$last; done\\n')
script.chmod(0o755)
pathlib.Path(room, "locked-cc").write_text("#!/bin/sh\\n")
pathlib.Path(room, "locked-cc").chmod(0o644)

if is_root:  # what the command needs must not lie behind a folder that is root's alone
    staged = {}
    for i, path in enumerate(needed):
        if closed(path):
            staged[path] = f"{room}/staged/{i}"
            pathlib.Path(staged[path]).mkdir()
            mount("--bind", path, staged[path])
    for path in sorted(staged):
        while folder := closed(path):
            mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
            pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
        mount("--bind", staged[path], path)

seen = set()
for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
    point, options = line.split()[4:6]
    point = point.encode().decode("unicode_escape")
    if point in free or point in seen or point.split("/")[1] in ("proc", "sys", "dev") and point != "/dev/shm":
        continue
    seen.add(point)
    kept = ",".join(option for option in options.split(",") if option not in ("rw", "ro"))
    done = subprocess.run(["mount", "-o", f"remount,bind,ro,{kept}", point], capture_output=True)
    if done.returncode and os.access(point, os.W_OK):
        sys.exit(f"{point} stays writable: {done.stderr.decode()}")
for path in covered:
    mount("-t", "tmpfs", "-o", "ro", "tmpfs", path)
for path in needed:
    assert not os.access(path, os.W_OK), path
os.chdir("/")
os.umask(0o022)
if is_root:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
os.execve(command[0], command, environment)
"""


def unshared() -> list[str]:
    """The command that gives a process mounts of its own."""
    return [
        "unshare",
        *([] if IS_ROOT else ["--user", "--map-root-user"]),
        "--mount",
        "--propagation",
        "private",
    ]


@cache
def why_not() -> str:
    """Why there can be no such machine here; "" where there can."""
    if sys.platform != "linux":
        return "namespaces are Linux's"
    if not ROOM.is_dir():
        return f"there is no {ROOM} to cover"
    probe = [*unshared(), "mount", "-t", "tmpfs", "tmpfs", str(ROOM)]
    done = subprocess.run(probe, capture_output=True, text=True)
    return f"no namespace can be had here: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture(autouse=True)
def _needs_a_namespace() -> None:
    if why_not():
        pytest.skip(why_not())


def on_machine(
    *command: str, free: tuple[Path, ...] = (), covered: tuple[str, ...] = (), **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run Python with these arguments where all but `free` is read-only, `covered` is hidden, and no more is set."""
    folders = [sys.base_prefix, sys.prefix, str(Path(digitlab.__file__).parent.parent), *sys.path]
    needed = [path for path in dict.fromkeys(folders) if Path(path).is_dir() and Path(path) != Path.cwd()]
    plan = [
        *(needed, str(ROOM), [str(path) for path in free], IS_ROOT, NOBODY, covered),
        *({"OMP_WAIT_POLICY": "PASSIVE", **environment}, [sys.executable, *command]),
    ]
    return subprocess.run(
        [*unshared(), sys.executable, "-c", MACHINE, json.dumps(plan)],
        capture_output=True,
        text=True,
        timeout=240,
    )


def digitlab_there(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return on_machine("-m", "digitlab", *arguments, **options)  # type: ignore[arg-type]


FAST = ("--epochs", "1", "--train-size", "1000")


def test_a_network_is_trained_where_nothing_can_be_written() -> None:
    done = digitlab_there("train", *FAST)
    assert (done.returncode, done.stderr) == (0, "")
    assert "completed after 10 steps" in done.stdout
