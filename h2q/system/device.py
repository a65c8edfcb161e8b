"""What this machine computes with: device, precision and memory. Does not know any model."""

import ctypes
import sys

import numpy as np
import torch

from h2q.system.errors import SettingError
from h2q.system.torch_private import has_avx512_bfloat16

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # the standard way to mark a missing module
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 2**31 - 1


def choose_device(name: str) -> str:
    """The device that ``name`` (``auto``, ``cpu`` or ``cuda``) stands for: ``cpu`` or ``cuda``.

    Raises ``SettingError`` when this machine does not have it.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError("device.missing", device=name)
    return name


def choose_dtype(name: str, device: str) -> torch.dtype:
    """The precision of the computation: ``auto`` is bfloat16 where the processor has instructions
    for it, and float32 elsewhere."""
    if name == "auto":
        name = "bfloat16" if _computes_bfloat16(device) else "float32"
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]


def _computes_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return has_avx512_bfloat16()


def computing_in(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which matrix products are computed in ``dtype``; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def keep_freed_memory() -> None:
    """Makes this process keep the memory of freed tensors and use it for the next ones.

    The C library of Linux gives large blocks back to the system at once. The system must then clear
    each page of the next block, which takes a tenth of a training step. Does nothing on other
    systems.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
                mallopt(parameter, _KEPT_BYTES)


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far; 0 where the system does not tell."""
    if resource is None:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def environment(device: torch.device, dtype: torch.dtype) -> dict[str, str | int]:
    """What a bit-identical result depends on besides settings and text, as JSON values."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "device": device.type,
        "dtype": str(dtype).removeprefix("torch."),
    }
