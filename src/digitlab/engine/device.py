"""Devices by name (cpu, cuda, mps), and their memory."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from digitlab.errors import DeviceError, RunError
from digitlab.spec import Precision


def find_device(name: str, precision: Precision = "float32") -> torch.device:
    """The device of this name (`cpu`, `cuda`, `cuda:1`, `mps`).

    Raises DeviceError when it is not there or cannot compute in this precision.
    """
    kind, _, number = name.partition(":")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    usable = ", ".join(kind for kind, count in there.items() if count)
    if kind not in there or (number and not number.isdecimal()):
        raise DeviceError(f"device: {name!r} is not known; use one of {usable}")
    if int(number or 0) >= there[kind]:
        raise DeviceError(
            f"device: {name!r} is not on this machine, or torch was installed without it; use {usable}"
        )
    if kind == "mps" and precision == "float64":
        raise DeviceError("device: 'mps' cannot compute in float64; use cpu, or precision float32")
    return torch.device(name)


def usable_cores() -> int:
    """How many processor cores this process may compute on; two threads of one core count once."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return min(physical, allowed)


_SHARE_OF_MEMORY = 0.8
"""How much of the memory that is free a plan uses."""
_UNKNOWN_MEMORY_BYTES = 2_000_000_000
"""Taken to be free where the system does not say."""


def free_memory(device: torch.device | None = None) -> int:
    """Bytes that a plan may use: most of what is free on the device; for the CPU, on the machine."""
    if device is None or device.type == "cpu":
        try:
            free = psutil.virtual_memory().available
        except OSError:  # Linux without /proc
            free = _UNKNOWN_MEMORY_BYTES
    elif device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return int(_SHARE_OF_MEMORY * free)


class MemoryRunError(RunError):
    """Memory did not suffice. Fewer runs at once may fit."""


@contextmanager
def telling_of_memory() -> Iterator[None]:
    """Say in words when memory does not suffice: torch says it in several ways.

    Raises MemoryRunError.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # The CPU's allocator raises a plain RuntimeError, which names it; so does Apple's.
        said = "DefaultCPUAllocator" in str(error) or "MPS backend out of memory" in str(error)
        if said or isinstance(error, MemoryError | torch.OutOfMemoryError):
            raise MemoryRunError(
                "memory does not suffice for this run; use smaller layers or batches"
            ) from error
        raise


def processor_name(device: torch.device) -> str:
    """What computes, in the words of its maker."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere the platform module knows as much as there is
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
