"""Which backend trains a cohort. One that computes with torch is loaded when it is chosen, not before."""

from collections.abc import Sequence

from digitlab.engine.device import Device
from digitlab.engine.lockstep.backend import Backend
from digitlab.engine.lockstep.c.backend import CompiledBackend, gainful_threads
from digitlab.engine.lockstep.c.build import built_by, kernel
from digitlab.spec import RunSpec


def backend_for(device: Device, specs: Sequence[RunSpec], threads: int | None) -> Backend:
    """The compiled kernel on the CPU, where it can be had; torch on GPUs, and where there is no kernel.

    threads: that train each network together in the kernel; None: as many as gain, for a network alone
    """
    precision = specs[0].precision
    library = kernel(precision) if device.kind == "cpu" else None
    if library is not None:
        if threads is None:
            threads = gainful_threads(specs[0]) if len(specs) == 1 else 1
        return CompiledBackend(library, built_by(precision), threads)
    from digitlab.engine.lockstep.torch_backend import TorchBackend

    return TorchBackend(device)
