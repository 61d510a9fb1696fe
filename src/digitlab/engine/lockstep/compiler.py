"""The compiled kernel: `kernel.c`, built by the machine's own C compiler when it is first needed, and kept.

Built here and not when digitlab is installed, so that it always fits the processor it runs on, and digitlab
installs where there is no compiler. Without one the engine trains with torch's products instead.
"""

import ctypes
import hashlib
import os
import platform
import secrets
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path

from digitlab import places
from digitlab.spec import Precision

SETTING = "DIGITLAB_KERNEL"
"""Environment variable: `torch` keeps the compiled kernel from being used."""

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
)
_PROCESSOR_FLAGS: tuple[list[str], ...] = (["-march=native"], ["-mcpu=native"], [])
"""The first that the compiler takes: which one it knows depends on compiler and processor."""
_TIME_LIMIT_SECONDS = 120


@cache
def kernel(precision: Precision) -> ctypes.CDLL | None:
    """The kernel for this precision; None where it cannot be built, or is not wanted.

    Built within seconds at first use, then kept in the user's cache folder under a name that holds source,
    compiler and processor.
    """
    compiler = _compiler()
    if os.environ.get(SETTING, "").lower() == "torch" or compiler is None:
        return None
    source = resources.files(__package__).joinpath("kernel.c").read_bytes()
    described = [source.decode(), compiler, *_FLAGS, _processor(), precision]
    name = f"kernel-{hashlib.sha256('|'.join(described).encode()).hexdigest()[:24]}.so"
    cache_folder = places.cache_folder()
    if cache_folder is not None:
        kept = cache_folder / "kernels" / name
        with suppress(OSError, UnicodeDecodeError):  # the latter: why it is not there, with a name in Latin-1
            return ctypes.CDLL(str(kept))
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            return _build(compiler, source, precision, kept)
    # The cache cannot be written. Where there is no temporary folder either, torch takes over.
    with suppress(OSError), tempfile.TemporaryDirectory() as folder:
        return _build(compiler, source, precision, Path(folder) / name)
    return None


def _compiler() -> str | None:
    """The C compiler: the one that CC names, else the first that is there."""
    return next(filter(None, map(shutil.which, [os.environ.get("CC", ""), "cc", "gcc", "clang"])), None)


def _processor() -> str:
    """What tells processors apart that need kernels of their own: one home may serve many machines."""
    flags = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {flags}"


def _build(compiler: str, source: bytes, precision: Precision, target: Path) -> ctypes.CDLL | None:
    """Compile to a file beside the target and move it there: the target is whole, or not there."""
    partial = target.with_name(f"{secrets.token_hex(8)}-{target.name}")
    try:
        for processor_flag in _PROCESSOR_FLAGS:
            command = [compiler, *_FLAGS, *processor_flag, f"-DREAL={_TYPES[precision]}"]
            command += ["-x", "c", "-", "-o", str(partial), "-lm"]
            with suppress(subprocess.TimeoutExpired):
                done = subprocess.run(  # noqa: S603
                    command, input=source, capture_output=True, timeout=_TIME_LIMIT_SECONDS, check=False
                )
                if done.returncode == 0:
                    partial.replace(target)
                    return ctypes.CDLL(str(target))
        return None
    finally:
        with suppress(OSError):
            partial.unlink()
