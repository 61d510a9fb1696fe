"""The compiled kernel: `kernel.c`, built by the machine's own C compiler when it is first needed, and kept.

Built here and not when digitlab is installed, so that it always fits the processor it runs on, and digitlab
installs where there is no compiler. Wherever a kernel cannot be had, the engine trains with torch's products
instead, and one line says so and why.

A kept kernel is code that this process will run. So its name holds the SHA-256 of its bytes, which are proved
before it is loaded, and neither it nor its folder may be another user's or writable by others. The name also
holds what the kernel was made from: first what must fit (source, flags, processor), then who made it (the
compiler and its version). A machine with a compiler takes the kernel of this compiler alone; one without
takes any that fits.
"""

import atexit
import ctypes
import hashlib
import logging
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from digitlab import places
from digitlab.spec import Precision

SETTING = "DIGITLAB_KERNEL"
"""Environment variable: `torch` keeps the compiled kernel from being used."""

FUNCTIONS = (
    *("built_by", "lanes", "make_team", "team_size", "end_team"),
    *("scratch_numbers", "list_images", "pack", "pack_pixels", "train", "evaluate"),
)
"""What a library must have to be the kernel."""

_TYPES = {"float32": "float", "float64": "double"}
# No flag that lets the compiler reorder sums: bits must depend on the source alone.
_FLAGS = (
    "-O3",
    "-std=gnu17",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-pthread",
)
_PROCESSOR_FLAGS: tuple[list[str], ...] = (["-march=native"], ["-mcpu=native"], [])
"""The first that the compiler takes: which one it knows depends on compiler and processor."""
_BUILD_SECONDS = 60.0
"""A build is given up after so long, with all that it tries; it takes one or two seconds."""
_STALE_SECONDS = 3600
"""What is left of a build in a folder that nobody has changed for so long is not needed any more."""
_BUILD_PREFIX = "digitlab-kernel-"
_LONGEST_REASON = 400
"""Characters of what a compiler or a loader said."""

_log = logging.getLogger(__name__)
_building = threading.Lock()


class _NoKernelError(Exception):
    """Why there is no kernel to be had from a file, a folder or a compiler."""


@dataclass(frozen=True)
class _Kernel:
    """A loaded kernel and the file that it was loaded from."""

    library: ctypes.CDLL
    path: Path

    def moved_to(self, folder: Path) -> "_Kernel":
        """Keep it there: whole, or not at all, for its bytes are on the disk already.

        Raises _NoKernelError.
        """
        try:
            path = self.path.rename(folder / self.path.name)
            _sync(folder)
        except OSError as error:
            raise _NoKernelError(f"{folder}: {error.strerror}") from None
        return _Kernel(self.library, path)


def kernel(precision: Precision) -> ctypes.CDLL | None:
    """The kernel for this precision; None where it cannot be had, or is not wanted.

    Built within seconds at first use, then kept in the user's cache folder. Where it cannot be kept or cannot
    be had, one warning of the logger `digitlab` says why: a line on stderr, unless the program has other
    plans for it.
    """
    found = None if _is_unwanted() else _decided(precision)
    return found.library if found else None


def built_by(precision: Precision) -> str | None:
    """Which compiler built the kernel for this precision, in its own words; None where torch computes.

    Bits of results depend on it: "cc (Debian 12.2.0-14) 12.2.0".
    """
    library = kernel(precision)
    if library is None:
        return None
    library.built_by.restype = ctypes.c_char_p
    return str(library.built_by().decode())


def for_workers(precisions: Iterable[Precision]) -> dict[str, str]:
    """Environment variables by which child processes take over what this one found, and look no further.

    What is not there yet is built now, once for all of them.
    """
    if _is_unwanted():
        return {}
    decided = {precision: _decided(precision) for precision in precisions}
    return {_handed(precision): str(found.path) if found else "torch" for precision, found in decided.items()}


def _is_unwanted() -> bool:
    return os.environ.get(SETTING, "").lower() == "torch"


def _handed(precision: Precision) -> str:
    return f"{SETTING}_{precision.upper()}"


def _decided(precision: Precision) -> _Kernel | None:
    with _building:  # threads that ask at the same time wait for one build
        return _decide(precision)


@cache
def _decide(precision: Precision) -> _Kernel | None:
    """Find or build the kernel, once a process."""
    handed = os.environ.get(_handed(precision))
    if handed == "torch":
        return None
    if handed:
        with suppress(_NoKernelError):  # whoever handed it on is gone, and the file with it
            return _load(Path(handed))
    try:
        return _find_or_build(precision)
    except _NoKernelError as error:
        _tell(
            "the compiled kernel cannot be used, so torch computes, which takes several times as long: "
            f"{error} ({SETTING}=torch does the same without this line)"
        )
        return None


_told = threading.Event()


def _tell(text: str) -> None:
    """Say it in one line, and only the first that there is to say: what follows has the same cause."""
    if not _told.is_set():
        _told.set()
        _log.warning("digitlab: %s", text)


def _find_or_build(precision: Precision) -> _Kernel:
    """The kept kernel, else one that is built now and kept where that can be.

    Raises _NoKernelError.
    """
    end = time.monotonic() + _BUILD_SECONDS
    source = resources.files(__package__).joinpath("kernel.c").read_bytes()
    fit = _digest(source.decode(), *_FLAGS, *map(str, _PROCESSOR_FLAGS), _processor(), precision)
    try:
        compiler, no_compiler = _Compiler.find(end), None
    except _NoKernelError as error:
        compiler, no_compiler = None, error
    name = f"kernel-{fit}-{compiler.digest if compiler else '*'}"
    problems: list[str] = []
    try:
        folder = _kept_folder()
        for path in _newest_first(folder, f"{name}-*.so"):
            with suppress(_NoKernelError):
                return _load(path)
        if compiler:
            with _folder_to_build_in(folder) as place:
                return compiler.build(source, precision, place, name).moved_to(folder)
    except _NoKernelError as error:
        problems.append(str(error))
    if compiler is None:
        raise no_compiler or _NoKernelError("no compiler")
    try:
        built = compiler.build(source, precision, _folder_until_the_end(), name)
    except _NoKernelError as error:
        raise _NoKernelError("; ".join(dict.fromkeys([*problems, str(error)]))) from None
    _tell(f"the compiled kernel cannot be kept, so each program builds it again: {problems[0]}")
    return built


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode(errors="surrogateescape")).hexdigest()[:24]


# --- files that may be loaded ---


def _kept_folder() -> Path:
    """Where kernels are kept; it is made where it is not there.

    Raises _NoKernelError when they cannot be kept there.
    """
    try:
        cache_folder = places.cache_folder()
        if cache_folder is None:
            raise _NoKernelError("there is no home folder; XDG_CACHE_HOME can name a folder for it")
        folder = cache_folder / "kernels"
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        _refuse_what_others_change(folder, folder.stat())
    except OSError as error:
        raise _NoKernelError(f"{error.filename}: {error.strerror}") from None
    return folder


def _newest_first(folder: Path, pattern: str) -> list[Path]:
    def changed(path: Path) -> float:
        with suppress(OSError):
            return path.lstat().st_mtime
        return 0.0

    return sorted(folder.glob(pattern), key=changed, reverse=True)


def _refuse_what_others_change(name: Path, state: os.stat_result) -> None:
    """Raise _NoKernelError unless this user alone owns and may write it."""
    if state.st_uid != os.geteuid():
        raise _NoKernelError(f"{name} belongs to another user; XDG_CACHE_HOME can name another folder")
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _NoKernelError(f"other users may write to {name}; `chmod go-w {name}` ends that")


def _load(path: Path) -> _Kernel:
    """Load a kernel after proving that it is what its name says, and this user's own.

    Raises _NoKernelError.
    """
    try:
        _refuse_what_others_change(path.parent, path.parent.stat())
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(file, "rb") as opened:  # noqa: PTH123
            state = os.fstat(file)
            _refuse_what_others_change(path, state)
            if not stat.S_ISREG(state.st_mode):
                raise _NoKernelError(f"{path} is not a file")
            content = opened.read()
    except OSError as error:
        raise _NoKernelError(f"{path}: {error.strerror}") from None
    if not path.stem.endswith(f"-{hashlib.sha256(content).hexdigest()}"):
        raise _NoKernelError(f"{path} is damaged")
    try:
        library = ctypes.CDLL(str(path))
    except (OSError, UnicodeDecodeError) as error:  # the latter: why it cannot, with a name in Latin-1
        raise _NoKernelError(f"the library cannot be loaded ({_plain(str(error))})") from None
    for function in FUNCTIONS:
        if not hasattr(library, function):
            raise _NoKernelError(f"the library has no function {function!r}")
    return _Kernel(library, path)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


# --- the compiler ---


def _processor() -> str:
    """What tells processors apart that need kernels of their own: one home may serve many machines."""
    told = ("vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU part", "Features")
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in told:
                found.setdefault(name.strip(), value.strip())
    return f"{platform.machine()} {platform.processor()} {found}"


@dataclass(frozen=True)
class _Compiler:
    """A C compiler that answers: where it lies, what it calls itself, until when it may build."""

    path: str
    version: str
    end: float

    @classmethod
    def find(cls, end: float) -> "_Compiler":
        """The compiler that CC names, else the first that is there.

        end: of the time for all that it is asked, as `time.monotonic` tells it
        Raises _NoKernelError when there is none or it cannot be run.
        """
        names = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
        path = next(filter(None, map(shutil.which, names)), None)
        if path is None:
            raise _NoKernelError("no C compiler was found; install gcc or clang")
        _, said = _run([path, "--version"], b"", None, end)
        return cls(path, _plain(next(iter(said.splitlines()), "")), end)

    @property
    def digest(self) -> str:
        return _digest(self.path, self.version)

    def build(self, source: bytes, precision: Precision, folder: Path, name: str) -> _Kernel:
        """Build the kernel in an empty folder, and load it there under a name that ends with its SHA-256.

        Raises _NoKernelError.
        """
        _refuse_noexec(folder)
        output = folder / "kernel.so"
        try:
            self._compile(source, precision, output)
            if not output.is_file() or output.stat().st_size == 0:
                raise _NoKernelError(f"{self.path} wrote no library")
            output.chmod(0o600)
            _sync(output)
            digest = hashlib.sha256(output.read_bytes()).hexdigest()
            return _load(output.rename(folder / f"{name}-{digest}.so"))
        except OSError as error:
            raise _NoKernelError(f"{error.filename or folder}: {error.strerror}") from None

    def _compile(self, source: bytes, precision: Precision, output: Path) -> None:
        code, said = 0, ""
        for processor_flag in _PROCESSOR_FLAGS:
            command = [self.path, *_FLAGS, *processor_flag, f"-DREAL={_TYPES[precision]}"]
            command += [f"-DBUILT_BY={_c_string(self.version)}", "-x", "c", "-", "-o", str(output), "-lm"]
            code, said = _run(command, source, output.parent, self.end)
            if code == 0:
                return
        lines = said.splitlines() or ["no reason given"]
        reason = next((line for line in lines if "error" in line.lower()), lines[0])
        raise _NoKernelError(f"{self.path} ended with exit code {code} ({_plain(reason)})")


def _run(command: list[str], source: bytes, folder: Path | None, end: float) -> tuple[int, str]:
    """Run a compiler; its exit code and what it said. Its temporary files lie in the folder.

    Whatever ends the waiting ends the compiler, with all processes that it has started.
    Raises _NoKernelError when it cannot be run or does not end in time.
    """
    environment = os.environ | {"LC_ALL": "C"} | ({"TMPDIR": str(folder)} if folder else {})
    try:
        with subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
        ) as process:
            try:
                said, _ = process.communicate(source, max(end - time.monotonic(), 0.01))
            except BaseException:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
    except subprocess.TimeoutExpired:
        raise _NoKernelError(f"{command[0]} did not end within {_BUILD_SECONDS:g} seconds") from None
    except OSError as error:
        raise _NoKernelError(f"{command[0]} cannot be run ({error.strerror})") from None
    return process.returncode, said.decode(errors="replace")


def _c_string(text: str) -> str:
    """The text as a string of C."""
    return '"' + "".join(f"\\{character}" if character in '"\\' else character for character in text) + '"'


def _plain(text: str) -> str:
    """The text as one line of bounded length that a terminal shows as it is."""
    line = re.sub(r"[^ -~]+", " ", text).strip()
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


# --- folders to build in ---


def _new_folder(parent: Path) -> Path:
    """A folder of this user's alone.

    Raises OSError.
    """
    _remove_leftovers(parent)
    return Path(tempfile.mkdtemp(prefix=_BUILD_PREFIX, dir=parent))


@contextmanager
def _folder_to_build_in(parent: Path) -> Iterator[Path]:
    """A new folder, gone when the block ends; a kill leaves it to a later build.

    Raises _NoKernelError.
    """
    try:
        folder = _new_folder(parent)
    except OSError as error:
        raise _NoKernelError(f"{parent}: {error.strerror}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder_until_the_end() -> Path:
    """A new temporary folder that stays until the program ends, for its workers load what is in it.

    Raises _NoKernelError.
    """
    try:
        folder = _new_folder(Path(tempfile.gettempdir()).resolve())
    except OSError:
        raise _NoKernelError(
            "there is no temporary folder that can be written; TMPDIR can name one"
        ) from None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_leftovers(parent: Path) -> None:
    """Remove what killed processes left behind. A library that a running process has loaded stays loaded."""
    for leftover in parent.glob(f"{_BUILD_PREFIX}*"):
        with suppress(OSError):
            state = leftover.lstat()
            if state.st_uid == os.geteuid() and time.time() - state.st_mtime > _STALE_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)


def _refuse_noexec(folder: Path) -> None:
    """Raise _NoKernelError when no library can be loaded from there: known before it is built."""
    with suppress(OSError):
        if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
            raise _NoKernelError(
                f"{folder.parent} is mounted noexec; TMPDIR or XDG_CACHE_HOME can name a folder from which "
                "programs may run"
            )
