"""Runs the command line in processes that are killed, or whose system calls fail; many a minute.

Each process is a forked child of ``tests.forks``, so a trial costs half a second. In the children
``--preset tiny`` is a model of about 50 thousand parameters that is saved at every step. ``strace``
attaches to a child before it begins and injects a signal or an error into one of its system calls.

    python nursery.py REQUEST       (what a child runs; the request is JSON)
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.forks import fork_server

REPOSITORY = Path(__file__).resolve().parents[2]
CALLS = {  # the calls to inject into, with the names that other processors have for them
    "write": "write",
    "fsync": "fsync",
    "rename": "?rename,?renameat,?renameat2",
    "unlink": "?unlink,?unlinkat",
    "link": "?link,?linkat",
}
_PATIENCE_SECONDS = 300


def strace_works() -> bool:
    """Whether ``strace`` is there and may be used here."""
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-o", os.devnull, "-e", "inject=fsync:error=EIO:when=1", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Ending:
    """How a run ended: its exit code (minus the signal that killed it), and what it wrote."""

    code: int
    stdout: str
    stderr: str
    acknowledged: list[int]  # the steps whose save had returned
    tally: dict[str, int]  # system calls by name, where they were counted


class Nursery:
    """Forked runs, one at a time."""

    def __init__(self, directory: Path):
        """Keeps its own files (output and acknowledgements) in ``directory``."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.gate = self.directory / "gate"
        os.mkfifo(self.gate)

    def train(self, *arguments, **options) -> Ending:
        return self.run("train", *arguments, **options)

    def chat(self, *arguments, **options) -> Ending:
        return self.run("chat", *arguments, **options)

    def run(
        self,
        script: str,
        *arguments,
        cwd: Path | None = None,
        first: str = "",
        inject: str | None = None,
        count: str | None = None,
        trace: Path | None = None,
        trace_options: tuple = (),
        kill_after: float | None = None,
    ) -> Ending:
        """One run of a script with ``arguments``.

        ``first`` is code that the child executes first. ``inject`` is an injection in the syntax of
        strace, ``call:what:when=N``; ``count`` names calls to be counted instead; ``trace`` is a
        file for the trace that ``trace_options`` ask for. The child is killed from outside after
        ``kill_after`` seconds.
        """
        outputs = [self.directory / name for name in ("stdout", "stderr", "acknowledged")]
        for path in outputs:  # else a child that is killed at once would show the earlier child's
            path.write_bytes(b"")
        traced = bool(inject or count or trace)
        request = {
            "script": script,
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd or self.directory),
            "first": first,
            "outputs": list(map(str, outputs)),
            "gate": str(self.gate) if traced else "",
        }
        server = fork_server()
        with (
            open(os.devnull, "rb") as stdin,
            outputs[0].open("wb") as out,
            outputs[1].open("wb") as err,
        ):
            pid = server.start(
                Path(__file__), [json.dumps(request)], cwd=request["cwd"], streams=[stdin, out, err]
            )
        tracer, tally_path = None, self.directory / "tally"
        if traced:
            command = ["strace", "-f", "-p", str(pid)]
            if inject:
                calls = inject.partition(":")[0]
                names = CALLS.get(calls, calls)
                command += ["-e", f"trace={names}", "-o", os.devnull]
                command += ["-e", f"inject={names}:{inject.partition(':')[2]}"]
            elif count:
                command += ["-c", "-U", "calls,name", "-e", f"trace={count}", "-o", tally_path]
            else:
                command += [*trace_options, "-o", trace]
            tracer = subprocess.Popen(
                list(map(str, command)), stderr=subprocess.PIPE, encoding="utf-8"
            )
            if "attached" not in (said := tracer.stderr.readline()):
                raise RuntimeError(f"strace: {said}")
            self.gate.write_bytes(b"go")  # the child waits for it
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                os.kill(pid, signal.SIGKILL)
        code = server.wait()
        if tracer is not None:
            tracer.communicate(timeout=_PATIENCE_SECONDS)
        stdout, stderr = (
            path.read_text(encoding="utf-8", errors="replace") for path in outputs[:2]
        )
        saved = outputs[2].read_bytes()
        acknowledged = [int.from_bytes(saved[i : i + 8], "little") for i in range(0, len(saved), 8)]
        return Ending(code, stdout, stderr, acknowledged, _tally(tally_path) if count else {})


def _tally(path: Path) -> dict[str, int]:
    """Calls by name from the table of ``strace -c``."""
    rows = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}


def _use_small_model() -> None:
    """Makes ``--preset tiny`` the small model that this module's docstring describes."""
    from h2q import config

    small = config.ModelConfig(
        embed_dim=48, n_heads=2, n_layers=2, context_length=64, feedforward_dim=96
    )
    config.PRESETS["tiny"] = config.Preset(
        small, config.TrainingConfig(lr=2e-3, save_interval_seconds=0.0)
    )


def run_small(arguments: list[str]) -> int:
    """The training command with the small model, in a process that is not forked from a server."""
    from h2q.cli import main

    _use_small_model()
    return main.train_main(arguments)


def _child(request: dict) -> None:
    code = 99
    try:
        _use_small_model()
        _report_saves_to(os.open(request["outputs"][2], os.O_WRONLY))
        exec(request["first"], {})
        if request["gate"]:
            Path(request["gate"]).read_bytes()
        code = _run(request["script"], request["arguments"])
    except BaseException:
        with open(request["outputs"][1], "a", encoding="utf-8") as stream:  # 2 may be closed
            traceback.print_exc(file=stream)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _report_saves_to(descriptor: int) -> None:
    """Notes each step whose save has returned, with ``pwrite``: no fault is injected into it."""
    from h2q.checkpoint.directory import CheckpointDirectory
    from h2q.cli import report_plot
    from h2q.training.progress import ProgressReporter

    save, count = CheckpointDirectory.save, 0

    def save_and_note(self, step, *arguments, **options):
        nonlocal count
        path = save(self, step, *arguments, **options)
        os.pwrite(descriptor, step.to_bytes(8, "little"), 8 * count)
        count += 1
        return path

    CheckpointDirectory.save = save_and_note
    # A sample and a real picture take longer than all steps together. A picture is still written.
    ProgressReporter.sample = lambda self: None
    report_plot.draw = lambda log, history: _Picture()


class _Picture:
    def savefig(self, stream, **_):
        stream.write(bytes(10_000))


def _run(script: str, arguments: list[str]) -> int:
    from h2q.cli import main

    names = {"train": "local_training_system.py", "chat": "local_inference_demo.py"}
    sys.argv = [names[script], *arguments]
    return (main.train_main if script == "train" else main.chat_main)(arguments)


if __name__ == "__main__":
    _child(json.loads(sys.argv[1]))
