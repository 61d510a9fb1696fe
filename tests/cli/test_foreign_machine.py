"""The command on a machine that is not one's own: another user, no home, nothing writable, odd compilers.

Each test runs the real command in a mount namespace of its own. Where the tests run as root, the command runs
as a user without an account; else as the same user under the number of none, for whom all is read-only too.
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
SOURCE = Path(digitlab.__file__).parent
IS_ROOT = sys.platform == "linux" and os.geteuid() == 0
NOBODY = 54321
"""A user without an account, and so without a home."""

MACHINE = """
import json, os, pathlib, shutil, subprocess, sys
needed, room, free, is_root, user, covered, environment, command = json.loads(sys.argv[1])

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
elif "/proc" not in covered:  # the same user under another number, that of no account
    command = [shutil.which("unshare"), "--user", f"--map-user={user}", *command]
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
    return f"no namespace is available here: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture(autouse=True)
def _needs_a_namespace() -> None:
    if why_not():
        pytest.skip(why_not())


def on_machine(
    *command: str, free: tuple[Path, ...] = (), covered: tuple[str, ...] = (), **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run Python with these arguments where all but `free` is read-only, `covered` is hidden, and no more is set."""
    data = str(Path(os.environ["DIGITLAB_DATA"], "datasets"))
    folders = [sys.base_prefix, sys.prefix, str(SOURCE.parent), *sys.path, data]
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
NO_HOME = "there is no home folder to keep a store in; set HOME, or name a file by --store or DIGITLAB_STORE"


# --- nothing can be written ---


@pytest.mark.parametrize("home", [{}, {"HOME": str(STRANGER), "PATH": ""}], ids=str)
def test_a_network_is_trained_where_nothing_can_be_written(home: dict[str, str]) -> None:
    done = digitlab_there("train", *FAST, **home)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "completed after 10 steps" in done.stdout


PYTHON = """
import digitlab as dl
from digitlab import lab
lab._SECONDS_TO_START_WORKERS = -1  # workers for however little work
specs = [dl.make_spec(epochs=1, train_size=1000, seed=seed) for seed in range(2)]
print(dl.train(specs[0]).outcome)
for result in dl.run_many(specs, workers=2):
    print(getattr(result, "outcome", result))
"""


def test_python_and_its_workers_train_where_nothing_can_be_written() -> None:
    done = on_machine("-c", PYTHON)
    assert (done.returncode, done.stdout) == (0, "completed\n" * 3), done.stderr


@pytest.mark.slow
def test_the_exercise_needs_no_place_without_its_observations() -> None:
    done = digitlab_there("exercise", "--no-studies", "--epochs", "1")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout.count("Model Accuracy = ") == 3


@pytest.mark.slow
def test_the_exercise_trains_its_networks_and_says_what_its_observations_need() -> None:
    done = digitlab_there("exercise", "--epochs", "1")
    assert done.returncode == 1
    assert done.stdout.count("Model Accuracy = ") == 3
    assert f"The three networks are trained; the observations need a store: {NO_HOME}\n" in done.stderr
    assert done.stderr.endswith(f"error: {NO_HOME}\n")


def test_a_store_that_was_named_is_told_before_the_training() -> None:
    done = digitlab_there("exercise", "--epochs", "1", DIGITLAB_STORE=str(ROOM / "runs.db"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {ROOM}/runs.db: no store can be made there (Read-only file system); name another place by "
        "--store or DIGITLAB_STORE\n"
    )


def test_data_are_listed_and_verified_where_there_is_no_home() -> None:
    done = digitlab_there("data", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "bundled" in done.stdout
    done = digitlab_there("data", "verify")
    assert (done.returncode, done.stderr, done.stdout.count("intact")) == (0, "", 4)


NO_PLACE_FOR_DATA = (
    "data set mnist: found no home folder to keep it in, expected a place to keep data; set HOME, or name a "
    "folder by the environment variable DIGITLAB_DATA"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("study", "run", "depth"), NO_HOME),
        (("runs", "list"), NO_HOME),
        (("report",), NO_HOME),
        (("data", "import", "mnist", str(SOURCE / "data" / "bundled" / "mnist")), NO_PLACE_FOR_DATA),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_what_needs_a_place_names_the_variable(arguments: tuple[str, ...], message: str) -> None:
    done = digitlab_there(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {message}\n")


@pytest.mark.parametrize("home", ["", "relative", "~nobody"])
def test_a_home_that_is_not_a_folder_is_none(home: str) -> None:
    assert digitlab_there("runs", "list", HOME=home).stderr == f"error: {NO_HOME}\n"


@pytest.mark.skipif(not IS_ROOT, reason="takes another user, which only root can become")
def test_the_home_of_another_user_is_told() -> None:
    done = digitlab_there("runs", "list", HOME=str(STRANGER))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {STRANGER}/.local/share/digitlab/digitlab.db: ")
    assert "(Permission denied); name another place by --store or DIGITLAB_STORE" in done.stderr
    assert digitlab_there("study", "list", HOME=str(STRANGER)).returncode == 0


@pytest.mark.usefixtures("mnist")
def test_intact_data_in_a_folder_that_may_only_be_read_are_used() -> None:
    data = os.environ["DIGITLAB_DATA"]
    script = "import digitlab as dl; data = dl.load_dataset(); print(open('/proc/self/maps').read())"
    done = on_machine("-c", script, DIGITLAB_DATA=data)
    assert f"{data}/datasets/mnist/train-images-idx3-ubyte" in done.stdout


# --- an odd compiler ---


@pytest.mark.parametrize(
    ("compiler", "folder"),
    [
        ("/bin/true", PLACE),
        (f"{ROOM}/garbage-cc", PLACE),
        (f"{ROOM}/locked-cc", PLACE),
        ("cc", NOEXEC),
    ],
    ids=str,
)
def test_a_network_is_trained_whatever_the_compiler_does(compiler: str, folder: Path) -> None:
    settings = {"CC": compiler, "HOME": str(folder), "TMPDIR": str(folder), "PATH": "/usr/bin:/bin"}
    done = digitlab_there("train", *FAST, free=(folder,), **settings)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "completed after 10 steps" in done.stdout


def test_a_kernel_is_built_in_a_home_whose_name_is_not_utf_8() -> None:
    home = os.fsdecode(b"/mnt/place/h\xf6m")
    settings = {"HOME": home, "TMPDIR": str(PLACE), "PATH": "/usr/bin:/bin"}
    done = digitlab_there("train", *FAST, "--json", free=(PLACE,), **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["outcome"] == "completed"


# --- a system that lacks something ---

PLANNED = """
import digitlab as dl
from digitlab import lab
specs = [dl.make_spec(epochs=1, train_size=1000, seed=seed) for seed in range(2)]
print(len(list(lab.run_many(specs))))
"""


def test_without_proc_and_shared_memory_many_are_planned_and_trained() -> None:
    done = on_machine("-c", PLANNED, covered=("/dev/shm", "/proc"))  # noqa: S108
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr
