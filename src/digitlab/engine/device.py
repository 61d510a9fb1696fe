"""Devices by name (cpu, cuda, mps), their memory, and forks.

Of the CPU all is known without torch, which takes a second to load; torch is asked about GPUs alone.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from digitlab.errors import DeviceError, RunError
from digitlab.spec import Precision


@dataclass(frozen=True)
class Device:
    """A device that is there, by the name that torch gives it: `cpu`, `cuda`, `cuda:1`, `mps`."""

    name: str

    @property
    def kind(self) -> str:
        """`cpu`, `cuda` or `mps`."""
        return self.name.partition(":")[0]


def find_device(name: str, precision: Precision = "float32") -> Device:
    """The device of this name (`cpu`, `cuda`, `cuda:1`, `mps`).

    Raises DeviceError when it is not there or cannot compute in this precision.
    """
    if name == "cpu":
        return Device(name)
    from digitlab.engine.torch_devices import gpu_counts

    kind, colon, number = name.partition(":")
    device_counts = {"cpu": 1, **gpu_counts()}
    usable = ", ".join(kind for kind, count in device_counts.items() if count)
    if kind not in device_counts or (colon and not number.isdecimal()):
        raise DeviceError(f"device: {name!r} is not known; use one of {usable}")
    if int(number or 0) >= device_counts[kind]:
        raise DeviceError(
            f"device: {name!r} is not on this machine, or torch was installed without it; use {usable}"
        )
    if kind == "mps" and precision == "float64":
        raise DeviceError("device: 'mps' cannot compute in float64; use cpu, or precision float32")
    return Device(f"{kind}:{int(number)}" if number else kind)


def usable_cores() -> int:
    """How many processor cores this process may compute on; two threads of one core count once."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return min(physical, allowed)


_SECONDS_TO_LOOK = 0.1


def free_cores() -> int:
    """How many of the usable cores are free of other work, at least one. It takes a tenth of a second."""
    try:
        shares = psutil.cpu_percent(_SECONDS_TO_LOOK, percpu=True)
    except OSError:  # Linux without /proc
        return usable_cores()
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(shares))
    busy = sum(share for core, share in enumerate(shares) if core in allowed) / 100
    return max(1, usable_cores() - round(busy))


_SHARE_OF_MEMORY = 0.8
"""How much of the memory that is free a plan uses."""
_UNKNOWN_MEMORY_BYTES = 2_000_000_000
"""Taken to be free where the system does not say."""


def free_memory(device: Device | None = None) -> int:
    """Bytes that a plan may use: most of what is free on the device; for the CPU, on the machine."""
    if device is not None and device.kind != "cpu":
        from digitlab.engine.torch_devices import gpu_free_memory

        return int(_SHARE_OF_MEMORY * gpu_free_memory(device.name))
    try:
        free = psutil.virtual_memory().available
    except OSError:  # Linux without /proc
        free = _UNKNOWN_MEMORY_BYTES
    return int(_SHARE_OF_MEMORY * free)


class MemoryRunError(RunError):
    """Memory did not suffice. Fewer runs at once may fit."""


@contextmanager
def memory_errors_named() -> Iterator[None]:
    """Say in words when memory does not suffice: torch says it in several ways.

    Raises MemoryRunError.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # The CPU's allocator raises a plain RuntimeError, which names it; so does Apple's.
        is_named = "DefaultCPUAllocator" in str(error) or "MPS backend out of memory" in str(error)
        # torch.OutOfMemoryError, which is known by its name alone where torch is not loaded.
        if is_named or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            raise MemoryRunError(
                "memory does not suffice for this run; use smaller layers or batches"
            ) from error
        raise


def processor_name(device: Device) -> str:
    """What computes, in the words of its maker."""
    if device.kind == "cuda":
        from digitlab.engine.torch_devices import gpu_name

        return gpu_name(device.name)
    cpuinfo = Path("/proc/cpuinfo")  # Linux; elsewhere the platform module knows as much as there is
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


_is_forked = False


def _after_fork() -> None:
    global _is_forked  # noqa: PLW0603
    _is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def is_forked() -> bool:
    """Whether this process was forked since this module was loaded, which is before torch is.

    Threads that a library computes with exist in the parent alone.
    """
    return _is_forked
