"""What the tests of faults share: one server of runs per process, and tools that may be missing."""

import os
import shutil
import subprocess
import sys

import pytest

from .nursery import Nursery, strace_works
from .trials import Runs


@pytest.fixture(scope="session")
def nursery(tmp_path_factory):
    if sys.platform != "linux":
        pytest.skip("needs Linux: processes are forked and watched through /proc")
    return Nursery(tmp_path_factory.mktemp("nursery"))


@pytest.fixture(scope="module")
def runs(nursery, tmp_path_factory):
    return Runs(nursery, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def strace():
    if not strace_works():
        pytest.skip("needs strace, and the right to use it")


@pytest.fixture(scope="session")
def root():
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def mounts(root):
    """Skips the test where a process may not mount in its own namespace."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
