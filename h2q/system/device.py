"""What this machine computes with: device and precision."""

import ctypes
import sys

import numpy as np
import torch

from h2q.system.errors import SettingError

try:
    import resource
except ImportError:  # Windows
    resource = None
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 2**31 - 1


def choose_device(name: str) -> str:
    """``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``; ``SettingError`` when it is not there."""
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
    return getattr(torch, name)


def _computes_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # PyTorch has no public question for this; where the private one is gone, float32 is right.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(supported())


def computing_in(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which matrix products are done in ``dtype``; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def keep_freed_memory() -> None:
    """Makes this process keep the memory of freed tensors for the next ones.

    The C library of Linux gives large blocks back to the system at once, and each page of the
    next one must be cleared anew: a tenth of a training step. Elsewhere nothing is changed.
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


def environment(device: torch.device, dtype: torch.dtype) -> dict:
    """What a bit-identical result depends on besides settings and text, as JSON values."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "device": device.type,
        "dtype": str(dtype).removeprefix("torch."),
    }
