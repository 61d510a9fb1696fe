"""What torch knows of devices. Loaded only where torch computes, or a GPU is asked for."""

import torch


def gpu_counts() -> dict[str, int]:
    """How many GPUs of each kind there are."""
    return {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }


def gpu_free_memory(name: str) -> int:
    """Bytes that are free on a GPU."""
    if torch.device(name).type == "cuda":
        free, _ = torch.cuda.mem_get_info(name)
        return free
    return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()


def gpu_name(name: str) -> str:
    """What a CUDA device is called by its maker."""
    return torch.cuda.get_device_name(name)


def matmul_precision(kind: str) -> str:
    """How exactly torch multiplies matrices of float32 on a kind of device, in its words."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set for one backend, about which that function cannot speak
        backend = torch.backends.cuda if kind == "cuda" else torch.backends.mkldnn
        return str(backend.matmul.fp32_precision)
