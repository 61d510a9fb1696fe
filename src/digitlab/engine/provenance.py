"""Where and how a result was computed."""

import platform
import runpy
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from digitlab.engine.device import Device, processor_name
from digitlab.result import Arithmetic, Provenance, Versions
from digitlab.version import __version__


def provenance(
    engine: str,
    device: Device,
    seconds: float,
    *,
    threads: int,
    arithmetic: Arithmetic = "torch",
    compiler: str | None = None,
    matmul_precision: str | None = None,
) -> Provenance:
    """The provenance of a result that this process has just computed.

    threads:  on the CPU
    compiler: that built the compiled kernel, where that computed
    matmul_precision: of torch, where that computed
    """
    return Provenance(
        engine=engine,
        arithmetic=arithmetic,
        device=device.name,
        processor=processor_name(device),
        threads=threads,
        compiler=compiler,
        c_library=" ".join(filter(None, platform.libc_ver())) or platform.platform(),
        matmul_precision=matmul_precision,
        versions=Versions(
            digitlab=__version__,
            python=platform.python_version(),
            torch=torch_version(),
            numpy=np.__version__,
        ),
        platform=platform.platform(),
        host=platform.node(),
        seconds=seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


@cache
def torch_version() -> str:
    """The version that torch gives itself ("2.13.0+cpu"), without loading it.

    Read from the file that torch takes it from: the version in the package's metadata lacks, in some builds,
    for which hardware it was built.
    """
    if "torch" not in sys.modules and (found := find_spec("torch")) is not None and found.origin is not None:
        with suppress(OSError, KeyError):
            return str(runpy.run_path(str(Path(found.origin).with_name("version.py")))["__version__"])
    return str(import_module("torch").__version__)
