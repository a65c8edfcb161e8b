"""The command line of both programs: arguments in, work done, an exit code out.

0 done, 1 failed while running, 2 wrong use or unusable input, 130 interrupted with everything
saved. PyTorch is loaded only when the arguments are in order.
"""

import contextlib
import faulthandler
import signal
import sys
from collections.abc import Callable

from h2q.cli.arguments import (
    chat_parser,
    language,
    parse,
    settings_from_file,
    train_parser,
    underscored,
)
from h2q.cli.settings import inference_call, training_call
from h2q.system.console import Console, prepare_streams
from h2q.system.errors import H2QError, Interrupted
from h2q.system.interrupts import termination_as_interrupt
from h2q.system.invocation import command_line, programs
from h2q.system.messages import catalogue
from h2q.system.messages.catalogue import message
from h2q.system.offline import forbid_network

_DEPENDENCIES = ("torch", "numpy", "tqdm")


def train_main(arguments: list[str] | None = None) -> int:
    """``local_training_system.py`` and ``h2q-train``; returns the exit code."""
    return _run(_train, sys.argv[1:] if arguments is None else arguments)


def chat_main(arguments: list[str] | None = None) -> int:
    """``local_inference_demo.py`` and ``h2q-chat``; returns the exit code."""
    return _run(_chat, sys.argv[1:] if arguments is None else arguments)


def _run(work: Callable[[list[str], Console], None], arguments: list[str]) -> int:
    """Does ``work``; whatever goes wrong becomes one line on stderr and an exit code."""
    _prepare_process()
    console = Console()
    arguments = underscored(arguments)
    try:
        catalogue.set_language(language(arguments))
        work(arguments, console)
    except Interrupted as error:
        console.warn("interrupted", error=error, command=_resume_command(arguments))
        return error.exit_code
    except KeyboardInterrupt:
        if work is _train:
            console.warn("train.killed")
        return Interrupted.exit_code
    except Exception as error:
        if (reason := _reason(error)) is None:
            raise
        console.warn("error", error=reason)
        return error.exit_code if isinstance(error, H2QError) else H2QError.exit_code
    return 0


def _prepare_process() -> None:
    """Prepares the streams, a traceback for a crash or a hang, and the network tripwire."""
    prepare_streams()
    catalogue.set_programs(*programs())
    with contextlib.suppress(RuntimeError, ValueError):  # no stderr, or one without a descriptor
        faulthandler.enable()
        if hasattr(signal, "SIGUSR1"):  # shows where a process that seems to hang is
            faulthandler.register(signal.SIGUSR1)
    forbid_network()


def _reason(error: Exception) -> str | None:
    """What went wrong, in one sentence; None for a bug, which keeps its traceback."""
    if isinstance(error, H2QError):
        return str(error)
    if isinstance(error, OSError):
        path, reason = error.filename or "?", error.strerror or error
        return message("file.system", path=path, reason=reason)
    if isinstance(error, ModuleNotFoundError) and error.name in _DEPENDENCIES:
        return message("dependency.missing", name=error.name)
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    ):
        return message("memory.full")
    return None


def _resume_command(arguments: list[str]) -> str:
    resume = [] if "--resume" in arguments else ["--resume"]
    return f"{programs()[0]} {command_line([*arguments, *resume])}"


def _train(arguments: list[str], console: Console) -> None:
    file = settings_from_file(arguments, train_parser())
    arguments = [*file.arguments, *arguments]
    catalogue.set_language(language(arguments))  # the file may name another one
    call = training_call(parse(train_parser(), arguments), file)
    console.silent = call.quiet
    with termination_as_interrupt():
        with console.passing("start.loading"):
            from h2q.cli.dry_run import dry_run
            from h2q.cli.train import train_or_evolve

        work = dry_run if call.dry_run else train_or_evolve
        work(call, console)


def _chat(arguments: list[str], console: Console) -> None:
    call = inference_call(parse(chat_parser(), arguments))
    console.silent = call.as_json
    if call.job.mode == "ask":
        from h2q.cli.ask import ask

        ask(call, console)
        return
    with console.passing("start.loading"):
        from h2q.cli.infer import infer

    infer(call, console)
