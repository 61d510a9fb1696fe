"""Which backend trains a cohort. One that computes with torch is loaded when it is chosen, not before."""

from digitlab.engine.device import Device
from digitlab.engine.lockstep.backend import Backend
from digitlab.engine.lockstep.c.backend import CompiledBackend
from digitlab.engine.lockstep.c.build import built_by, kernel
from digitlab.spec import Precision


def backend_for(device: Device, precision: Precision) -> Backend:
    """The compiled kernel on the CPU, where it can be had; torch on GPUs, and where there is no kernel."""
    library = kernel(precision) if device.kind == "cpu" else None
    if library is not None:
        return CompiledBackend(library, built_by(precision))
    from digitlab.engine.lockstep.torch_backend import TorchBackend

    return TorchBackend(device)
