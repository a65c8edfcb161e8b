import sys
import types

import numpy as np
import pytest
import torch

from h2q.system import device
from h2q.system.device import (
    choose_device,
    choose_dtype,
    computing_in,
    environment,
    keep_freed_memory,
    peak_memory_bytes,
)
from h2q.system.errors import SettingError


@pytest.mark.parametrize("there", [True, False])
def test_the_device_is_a_card_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto") == ("cuda" if there else "cpu")
    assert choose_device("cpu") == "cpu"
    if there:
        assert choose_device("cuda") == "cuda"
    else:
        with pytest.raises(SettingError, match="cuda"):
            choose_device("cuda")


@pytest.mark.parametrize("where", ["cpu", "cuda"])
@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_for_processors_that_have_instructions_for_it(monkeypatch, where, supported):
    monkeypatch.setattr(device, "has_avx512_bfloat16", lambda: supported)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert choose_dtype("auto", where) == (torch.bfloat16 if supported else torch.float32)
    assert choose_dtype("float32", where) == torch.float32
    assert choose_dtype("bfloat16", where) == torch.bfloat16


def test_products_are_computed_in_the_wanted_precision():
    x = torch.ones(2, 2)
    for dtype in (torch.float32, torch.bfloat16):
        with computing_in(dtype, torch.device("cpu")):
            assert (x @ x).dtype == dtype


def test_freed_memory_is_kept(monkeypatch):
    """Up to 2 GB, glibc must neither map large blocks, which it gives back at once
    (M_MMAP_THRESHOLD), nor give back parts of its heap (M_TRIM_THRESHOLD)."""
    told = []
    library = types.SimpleNamespace(mallopt=lambda *setting: told.append(setting))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: library)
    keep_freed_memory()
    assert sorted(told) == [(-3, 2**31 - 1), (-1, 2**31 - 1)]


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_elsewhere_the_allocator_is_left_alone(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(device.ctypes, "CDLL", None)  # would fail when it is called
    keep_freed_memory()


def test_a_c_library_without_the_setting_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: object())
    keep_freed_memory()


def test_peak_memory_is_in_bytes(monkeypatch):
    held = np.ones(2**24)  # 128 MB
    assert 2**27 < peak_memory_bytes() < 2**36
    del held
    monkeypatch.setattr(device, "resource", None)
    assert peak_memory_bytes() == 0


def test_the_environment_is_what_json_can_hold():
    found = environment(torch.device("cpu"), torch.bfloat16)
    assert found["dtype"] == "bfloat16" and found["device"] == "cpu"
    assert list(found) == ["torch", "numpy", "threads", "processor", "device", "dtype"]
    assert all(isinstance(value, (str, int)) for value in found.values())
