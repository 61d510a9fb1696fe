"""Where and how a result was computed."""

import platform
from datetime import UTC, datetime

import numpy as np
import torch

from digitlab.engine.device import processor_name
from digitlab.result import Arithmetic, Provenance, Versions
from digitlab.version import __version__


def provenance(
    engine: str,
    device: torch.device,
    seconds: float,
    *,
    arithmetic: Arithmetic = "torch",
    compiler: str | None = None,
    threads: int | None = None,
) -> Provenance:
    """The provenance of a result that this process has just computed.

    compiler: that built the compiled kernel, where that computed
    threads:  on the CPU; by default as many as torch uses
    """
    return Provenance(
        engine=engine,
        arithmetic=arithmetic,
        device=str(device),
        processor=processor_name(device),
        threads=torch.get_num_threads() if threads is None else threads,
        compiler=compiler,
        c_library=" ".join(filter(None, platform.libc_ver())) or platform.platform(),
        matmul_precision=_matmul_precision(device) if arithmetic == "torch" else None,
        versions=Versions(
            digitlab=__version__,
            python=platform.python_version(),
            torch=str(torch.__version__),
            numpy=np.__version__,
        ),
        platform=platform.platform(),
        host=platform.node(),
        seconds=seconds,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _matmul_precision(device: torch.device) -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set for one backend, about which that function cannot speak
        backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
        return str(backend.matmul.fp32_precision)
