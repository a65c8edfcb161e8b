"""Row 38: no command uses a network. In ``.ci/run`` the whole suite runs under ``unshare -n``."""

import os
import re
import subprocess
import sys

import pytest

from h2q.system.paths import MODEL_PATH

from .loops import Evolutions
from .nursery import REPOSITORY
from .trials import arguments

_SCRIPTS = {"train": "local_training_system.py", "chat": "local_inference_demo.py"}


@pytest.fixture(scope="module")
def evolutions(nursery, tmp_path_factory):
    return Evolutions(nursery, tmp_path_factory.mktemp("evolutions"))


def sockets(trace) -> list:
    """The network calls in the trace, without those between processes of this machine."""
    lines = trace.read_text(encoding="ascii", errors="replace").splitlines()
    return [line for line in lines if re.search(r"\w+\(", line) and "AF_UNIX" not in line]


def test_row_38_no_command_opens_a_socket(runs, evolutions, strace, tmp_path):
    """Train, evolve and demo run in the nursery. Interactive runs as a process that is traced from
    its first call on, so the import of PyTorch is traced too."""
    options = ("-e", "trace=%network")
    trace = tmp_path / "trace"
    endings = [
        runs.train(runs.fresh(), trace=trace, trace_options=options),
    ]
    assert sockets(trace) == []
    output = evolutions.fresh()
    endings.append(evolutions.evolve(output, trace=trace, trace_options=options))
    assert sockets(trace) == []
    endings.append(
        runs.nursery.chat(
            *("--model", output / MODEL_PATH, "--max_length", 5),
            trace=trace,
            trace_options=options,
        )
    )
    assert sockets(trace) == []
    assert [ending.code for ending in endings] == [0, 0, 0]

    run = subprocess.run(
        [
            *("strace", "-f", "-qq", "-e", "trace=%network", "-o", str(trace), sys.executable),
            *(str(REPOSITORY / _SCRIPTS["chat"]), "--mode", "interactive"),
            *("--model", str(output / MODEL_PATH), "--max_length", "5"),
        ],
        input="hello\nquit\n",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert sockets(trace) == []


def test_the_trace_sees_a_socket(nursery, strace, tmp_path):
    """Shows that the test above can fail: a child that opens one before the tripwire is armed."""
    first = "import socket, h2q.cli.main as c; run = c._run\n"
    first += (
        "def opening(*a): socket.socket(socket.AF_INET).close(); return run(*a)\nc._run = opening\n"
    )
    trace = tmp_path / "trace"
    nursery.chat("--version", first=first, trace=trace, trace_options=("-e", "trace=%network"))
    assert "AF_INET" in "".join(sockets(trace))


def test_row_38_the_tripwire_ends_a_training_that_reaches_out(runs):
    output = runs.fresh()
    first = (
        "from h2q.training.trainer import LocalModelTrainer as C\n"
        "C.train_step = lambda *_: __import__('socket').create_connection(('127.0.0.1', 9))\n"
    )
    ending = runs.nursery.train(*arguments(runs.text, output), first=first)
    assert ending.code == 1
    assert "socket.getaddrinfo" in ending.stderr and "Traceback" not in ending.stderr
