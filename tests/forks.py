"""Runs Python files in forked children of one process that has loaded PyTorch already.

Loading PyTorch takes seconds; a fork takes almost no time. Otherwise a child is a separate process:
it has its own arguments, directory, environment, streams, signals and exit code. A fork cannot test
the start itself (``python FILE``: which modules are found, the options of the interpreter); tests
of the start run a subprocess. Needs Linux.

    python forks.py DESCRIPTOR      (the server, at the other end of a pair of UNIX sockets)
"""

import atexit
import contextlib
import functools
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_NUMBER_BYTES = 8
_PATIENCE_SECONDS = 300


class ForkServer:
    """A context that ends it. One child at a time."""

    def __enter__(self):
        self._channel, theirs = socket.socketpair()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
        environment.pop("H2Q_LANG", None)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return self

    def __exit__(self, *_):
        self._channel.close()
        self._server.wait(30)

    def start(self, file: Path, arguments, *, cwd: Path, streams, environment=None) -> int:
        """The process id of a child that runs ``file`` as ``python FILE ARGUMENTS`` would.

        ``streams`` are open files or descriptors for 0, 1 and 2. The environment is the server's
        where none is given. ``wait`` has to follow.
        """
        request = {
            "file": str(file),
            "arguments": list(map(str, arguments)),
            "cwd": str(cwd),
            "environment": environment,
        }
        data = json.dumps(request).encode("ascii")
        descriptors = [s if isinstance(s, int) else s.fileno() for s in streams]
        socket.send_fds(self._channel, [_encoded(len(data))], descriptors)
        self._channel.sendall(data)
        self._pid = self._number()
        return self._pid

    def wait(self, seconds: float = _PATIENCE_SECONDS) -> int:
        """The exit code of the child, or minus the signal that killed it. After ``seconds`` the
        child is killed, and ``TimeoutError`` is raised."""
        try:
            self._channel.settimeout(seconds)
            return self._number()
        except TimeoutError:
            os.kill(self._pid, signal.SIGKILL)
            self._channel.settimeout(None)
            self._number()
            raise
        finally:
            self._channel.settimeout(None)

    def run(
        self, file: Path, *arguments, cwd: Path, env=None, input=None, stdout=None, encoding="utf-8"
    ) -> subprocess.CompletedProcess:
        """As ``subprocess.run`` would, from the first call to the last; output is captured.

        ``input`` comes by a pipe. ``stdout`` may be an open file, which gets it instead.
        """
        with contextlib.ExitStack() as stack:
            captured = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
            stdin = os.open(os.devnull, os.O_RDONLY) if input is None else _piped(input, encoding)
            streams = [stdin, stdout or captured[0], captured[1]]
            try:
                self.start(file, arguments, cwd=cwd, streams=streams, environment=env)
            finally:
                os.close(stdin)
            code = self.wait()
            for stream in captured:
                stream.seek(0)
            outputs = [stream.read() for stream in captured]
        if encoding is not None:
            outputs = [output.decode(encoding) for output in outputs]
        return subprocess.CompletedProcess([file, *arguments], code, *outputs)

    def _number(self) -> int:
        data = self._channel.recv(_NUMBER_BYTES, socket.MSG_WAITALL)
        if len(data) != _NUMBER_BYTES:
            raise RuntimeError("the server of forked runs has ended")
        return int.from_bytes(data, "little", signed=True)


@functools.cache
def fork_server() -> ForkServer:
    """The server of this process. It starts when the first test asks for it."""
    server = ForkServer().__enter__()
    atexit.register(server.__exit__)
    return server


def _encoded(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "little", signed=True)


def _piped(data: str | bytes, encoding: str | None) -> int:
    """The end to read of a pipe into which a thread writes ``data``."""
    data = data if isinstance(data, bytes) else data.encode(encoding)
    source, sink = os.pipe()

    def write():
        with contextlib.suppress(BrokenPipeError), open(sink, "wb") as pipe:
            pipe.write(data)

    threading.Thread(target=write, daemon=True).start()
    return source


def _serve(channel: socket.socket) -> None:

    _warm_up()
    while True:
        size, descriptors, _, _ = socket.recv_fds(channel, _NUMBER_BYTES, 3)
        if not size:
            return
        request = json.loads(channel.recv(int.from_bytes(size, "little"), socket.MSG_WAITALL))
        pid = os.fork()
        if pid == 0:
            channel.close()
            _child(request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(_encoded(pid))
        _, status = os.waitpid(pid, 0)
        channel.sendall(_encoded(os.waitstatus_to_exitcode(status)))


def _warm_up() -> None:
    """Makes a step with each optimizer, so that PyTorch's imports at the first use happen once.

    On one thread: a child could not use the threads of a parallel region that ran before the fork.
    """
    import torch

    from h2q.config import ModelConfig, TrainingConfig
    from h2q.model.transformer import Transformer
    from h2q.training.optimizers import Optimizers

    assert torch.get_num_threads() == 1
    config = ModelConfig(embed_dim=16, n_heads=2, n_layers=1, context_length=8, feedforward_dim=16)
    for name in ("adamw", "muon"):
        model = Transformer(config).initialize(0)
        optimizers = Optimizers(model, TrainingConfig(optimizer=name), torch.float32)
        model(torch.ones(1, 8, dtype=torch.long)).sum().backward()
        optimizers.step()


def _child(request: dict, descriptors: list[int]) -> None:
    """Becomes ``python FILE ARGUMENTS``, and ends as an interpreter does."""
    code = 1
    try:
        if request["environment"] is not None:
            os.environ.clear()
            os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        _take_streams(descriptors)
        sys.path[:1] = [
            str(Path(request["file"]).parent),
            *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
        ]
        sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
        sys.argv = [request["file"], *request["arguments"]]
        runpy.run_path(request["file"], run_name="__main__")
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        with contextlib.suppress(OSError, ValueError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None and not stream.closed:
                    stream.flush()
            except (OSError, ValueError):
                code = 120
        os._exit(code)


def _take_streams(descriptors: list[int]) -> None:
    """These descriptors as 0, 1 and 2, in the encoding that the environment asks for."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        if descriptor > 2:
            os.close(descriptor)
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = open(  # noqa: SIM115
            number,
            "r" if number == 0 else "w",
            encoding=encoding or getattr(sys, name).encoding,
            errors="backslashreplace" if number == 2 else errors or getattr(sys, name).errors,
            closefd=False,
        )
        if number:
            stream.reconfigure(line_buffering=number == 2 or stream.isatty())
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), socket.socket(fileno=int(sys.argv[1])) as channel:
        _serve(channel)
