"""Rows 9 to 15, 17, 23 and 28: signals, a second process, clocks, other machines, no healthy
checkpoint, a gradient that is not finite, text that changes."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from h2q.checkpoint.directory import CheckpointDirectory
from h2q.system.paths import CHECKPOINT_DIR

from .nursery import REPOSITORY
from .trials import arguments, final_state, snapshot, write_text

_RUN = "import sys; from tests.faults.nursery import run_small; sys.exit(run_small(sys.argv[1:]))"


class Terminal:
    """The training command in a pseudo-terminal; a context that ends it."""

    def __init__(self, *options):
        self.master, slave = pty.openpty()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RUN, *map(str, options)],
            cwd=REPOSITORY,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(slave)
        self.screen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def see(self, text: str) -> None:
        while text not in self.screen:
            assert select.select([self.master], [], [], 120)[0], self.screen
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                data = b""
            assert data, self.screen
            self.screen += data.decode("utf-8", "replace")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@pytest.fixture
def long_text(tmp_path):
    """Text for a run that lasts until it is stopped."""
    return write_text(tmp_path / "long.txt", 200_000)


def test_row_9_ctrl_c_once_saves_and_says_how_to_go_on(long_text, tmp_path):
    options = arguments(long_text, tmp_path / "out", epochs=50)
    with Terminal(*options) as terminal:
        terminal.see("批次")
        terminal.type("\x03")
        assert terminal.process.wait(120) == 130
        terminal.see("--resume")
        assert "Traceback" not in terminal.screen
    assert CheckpointDirectory(tmp_path / "out" / CHECKPOINT_DIR).steps()


# Places at which signals arrive, each with the function that raises them.
_PLACES = {
    "step": "from h2q.training.train_step import TrainStep as C; name = '_update'",
    "save": "import h2q.checkpoint.container as C; name = '_digest'",
    "evaluation": "import h2q.training.trainer as C; name = 'evaluate_both'",
}
_SIGNAL = """
import os, signal
function, calls = getattr(C, name), []
def disturbed(*arguments, **options):
    calls.append(1)
    if len(calls) == {at}:
        for number in {signals}: os.kill(os.getpid(), number)
    return function(*arguments, **options)
setattr(C, name, disturbed)
"""


def disturbance(place: str, at: int, *signals: int) -> str:
    return _PLACES[place] + _SIGNAL.format(at=at, signals=list(map(int, signals)))


@pytest.mark.parametrize("place", _PLACES)
def test_row_10_ctrl_c_twice_leaves_at_once_and_still_resumes(runs, place):
    output = runs.fresh()
    first = disturbance(place, 2, signal.SIGINT, signal.SIGINT)
    ending = runs.train(output, first=first)
    assert ending.code == 130
    assert "--resume" in ending.stderr and "Traceback" not in ending.stderr
    assert not list(output.rglob("*.h2q.tmp"))
    assert runs.finish(output, ending.acknowledged) == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("place", _PLACES)
def test_row_11_termination_saves(runs, place, number):
    """Within a step, a save or an evaluation; when the program has ended, everything is on disk."""
    output = runs.fresh()
    ending = runs.train(output, first=disturbance(place, 1, number))
    assert ending.code == 130, ending.stderr
    assert "--resume" in ending.stderr and "Traceback" not in ending.stderr
    assert ending.acknowledged
    assert runs.finish(output, ending.acknowledged) == ""


_AT_START = """
import os, h2q.cli.inputs as C
opened = C.open_corpus
def disturbed(*arguments, **options):
    os.kill(os.getpid(), 15)
    return opened(*arguments, **options)
C.open_corpus = disturbed
"""


def test_row_11_termination_in_warm_up(runs):
    """Before the first step there is nothing to save: it ends at once, without a traceback."""
    output = runs.fresh()
    ending = runs.train(output, first=_AT_START)
    assert ending.code == 130, ending.stderr
    assert "Traceback" not in ending.stderr
    assert snapshot(output) == {}


def test_row_11_termination_in_an_evolution(nursery, tmp_path_factory):
    """At several moments of a cycle: it ends without a traceback, and the champion is whole."""
    from .loops import Evolutions

    evolutions = Evolutions(nursery, tmp_path_factory.mktemp("evolutions"))
    for delay in (0.05, 0.3, 0.8):
        output = evolutions.fresh()
        later = (
            "import os, signal, threading; pid = os.getpid()\n"
            f"threading.Timer({delay}, lambda: os.kill(pid, signal.SIGTERM)).start()\n"
        )
        ending = evolutions.evolve(output, first=later)
        assert ending.code in (0, 130), ending.stderr
        assert "Traceback" not in ending.stderr
        assert evolutions.finish(output) == ""


def test_an_ignored_signal_stays_ignored(runs):
    """``nohup``: the terminal closes, training goes on."""
    output = runs.fresh()
    first = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    ending = runs.train(output, first=first + disturbance("step", 1, signal.SIGHUP))
    assert ending.code == 0, ending.stderr
    assert final_state(output) == runs.expected


def test_row_12_a_second_process_is_refused_until_the_first_is_killed(runs, long_text, tmp_path):
    options = arguments(long_text, tmp_path / "out", epochs=50)
    with Terminal(*options) as first:
        first.see("批次")
        before = set(tmp_path.rglob("*"))
        second = runs.nursery.train(*options)
        assert second.code == 1
        assert str(first.process.pid) in second.stderr and str(tmp_path / "out") in second.stderr
        assert before <= set(tmp_path.rglob("*")) | {
            p for p in before if "tmp" in p.name or "step" in p.name
        }
        first.process.kill()
        first.process.wait()
    third = runs.nursery.train(*options, "--resume", kill_after=1.0)
    assert third.code == -9, "it trained until it was killed"


_OTHER_CLOCK = "import time; now = time.time; time.time = lambda: now() + {seconds}\n"


@pytest.mark.parametrize("seconds", [-3.2e7, 3.2e7])
def test_row_13_order_is_by_step_whatever_the_clock_says(runs, seconds):
    """The clock of the resumed run is a year off; the times of the files are in reverse order."""
    output = runs.fresh()
    killed = runs.train(output, first=disturbance("step", 4, signal.SIGKILL))
    assert killed.code == -9
    files = CheckpointDirectory(output / CHECKPOINT_DIR).steps()
    for step, path in files.items():
        os.utime(path, (time.time() + seconds - 1e5 * step,) * 2)
    first = _OTHER_CLOCK.format(seconds=seconds)
    resumed = runs.train(output, resume=True, first=first)
    assert min(resumed.acknowledged) == max(killed.acknowledged) + 1
    assert final_state(output) == runs.expected


def test_row_14_resumed_twice_in_one_epoch(runs):
    """In the third part the random state is that of a run that never stopped."""
    output = runs.fresh()
    for turn, at in enumerate((2, 2)):
        ending = runs.train(output, resume=turn > 0, first=disturbance("step", at, signal.SIGKILL))
        assert ending.code == -9
    assert runs.finish(output, ending.acknowledged) == ""


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("import torch; torch.__version__ = '9.9.9'\n", "torch"),
        ("import torch; torch.get_num_threads = lambda: 7\n", "threads"),
    ],
)
def test_row_15_another_machine_is_warned_about(runs, first, name):
    output = runs.fresh()
    assert runs.train(output, first=disturbance("step", 4, signal.SIGKILL)).code == -9
    resumed = runs.train(output, resume=True, first=first)
    assert resumed.code == 0
    lines = [line for line in resumed.stderr.splitlines() if "逐位相同" in line]
    assert len(lines) == 1 and name in lines[0]


def test_row_17_all_checkpoints_broken_is_refused(runs):
    output = runs.fresh()
    assert runs.train(output).code == 0
    directory = CheckpointDirectory(output / CHECKPOINT_DIR)
    for path in directory.steps().values():
        data = path.read_bytes()
        path.unlink()  # best.pt may be the same file
        path.write_bytes(data[: len(data) // 2])
    before = snapshot(output)
    resumed = runs.train(output, resume=True)
    assert resumed.code == 2
    assert str(directory.directory) in resumed.stderr.splitlines()[-1]
    assert snapshot(output) == before


_POISON = """
import torch, h2q.training.trainer as T
norm, calls = torch.nn.utils.get_total_norm, []
def poisoned(gradients):
    calls.append(1)
    if len(calls) == 3: gradients[5].view(-1)[0] = float('nan')
    return norm(gradients)
torch.nn.utils.get_total_norm = poisoned
"""


def test_row_23_a_gradient_that_is_not_finite_stops_before_the_update(runs):
    """The loss itself was finite. Earlier checkpoints stay, and the run resumes from them."""
    output = runs.fresh()
    ending = runs.train(output, first=_POISON)
    assert ending.code == 1
    assert len(ending.stderr.strip().splitlines()) == 1 and "3" in ending.stderr
    assert max(ending.acknowledged) == 2
    assert runs.finish(output, ending.acknowledged) == ""


def test_row_28_text_that_changes_while_it_is_trained_on(runs, tmp_path):
    """At step 2 the text grows, is cut, edited or deleted. One line says so, and a resumed run
    notices the change by the hash."""
    original = runs.text.read_bytes()
    changes = {
        "grown": "open(path, 'ab').write(b'more')",
        "cut": "open(path, 'r+b').truncate(100)",
        "edited": "open(path, 'r+b').write(b'Z')",
        "deleted": "os.unlink(path)",
    }
    for name, change in changes.items():
        output, text = tmp_path / name, tmp_path / f"{name}.txt"
        text.write_bytes(original)
        os.utime(text, ns=(10**18, 10**18))
        first = (
            "import os; from h2q.training.trainer import LocalModelTrainer as C; step = C.train_step\n"
            f"path = {str(text)!r}\n"
            "def changing(self, *batch):\n"
            f"    if self.position.step == 1: {change}\n"
            "    return step(self, *batch)\n"
            "C.train_step = changing\n"
        )
        ending = runs.nursery.train(*arguments(text, output), first=first)
        assert (ending.code, name) in ((2, name), (0, "deleted")), ending.stderr
        if ending.code == 0:  # it still reads the deleted file, which it has open
            continue
        assert len(ending.stderr.strip().splitlines()) == 1 and str(text) in ending.stderr
        before = snapshot(output)
        resumed = runs.nursery.train(*arguments(text, output, resume=True))
        assert resumed.code == 2, (name, resumed.stderr)
        assert {**before, **snapshot(output)} == snapshot(output)
        text.write_bytes(original)
        assert runs.nursery.train(*arguments(text, output, resume=True)).code == 0
        assert final_state(output)["tensors"] == runs.expected["tensors"]
    assert json.loads((tmp_path / "grown" / "training_log.json").read_text())
