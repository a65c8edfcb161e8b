"""Rows 39 and 40: out of memory; a crash in native code; a hang."""

import signal
import subprocess
import sys

from .nursery import REPOSITORY
from .trials import arguments

_RUN = "import sys; from tests.faults.nursery import run_small; sys.exit(run_small(sys.argv[1:]))"

_LITTLE_MEMORY = """
import resource, torch
from h2q.training.trainer import LocalModelTrainer as C
step = C.train_step
def hungry(self, *batch):
    if self.position.step == 2:
        used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, resource.RLIM_INFINITY))
        {allocation}
    return step(self, *batch)
C.train_step = hungry
"""


def test_row_39_out_of_memory_is_one_line_and_the_run_resumes(runs):
    """As PyTorch's allocator reports it, and as Python's does."""
    for allocation in ("torch.empty(2**28)", "bytes(2**30)"):
        output = runs.fresh()
        ending = runs.train(output, first=_LITTLE_MEMORY.format(allocation=allocation))
        assert ending.code == 1, ending.stderr
        lines = ending.stderr.strip().splitlines()
        assert len(lines) == 1 and "--resume" in lines[0], ending.stderr
        assert ending.acknowledged == [1, 2, 2]
        assert runs.finish(output, ending.acknowledged) == ""


def test_row_40_a_crash_shows_a_stack_and_the_run_resumes(runs):
    for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGBUS):
        output = runs.fresh()
        first = (
            "import os; from h2q.training.trainer import LocalModelTrainer as C; step = C.train_step\n"
            "def crashing(self, *batch):\n"
            f"    if self.position.step == 2: os.kill(os.getpid(), {int(number)})\n"
            "    return step(self, *batch)\n"
            "C.train_step = crashing\n"
        )
        ending = runs.train(output, first=first)
        assert ending.code == -number
        assert "Fatal Python error" in ending.stderr and "trainer.py" in ending.stderr
        assert runs.finish(output, ending.acknowledged) == ""


def test_row_40_a_process_that_hangs_can_be_asked_where(runs, tmp_path):
    """SIGUSR1 shows the stack of every thread, and the work goes on."""
    code = "import h2q.training.trainer as T; T.evaluate_both = lambda *_, **__: __import__('time').sleep(600)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code + _RUN, *map(str, arguments(runs.text, tmp_path / "out"))],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        try:
            for line in process.stdout:
                if "批次" in line:
                    break
            process.send_signal(signal.SIGUSR1)
            assert "most recent call first" in process.stderr.readline()
            assert process.poll() is None
        finally:
            process.kill()
