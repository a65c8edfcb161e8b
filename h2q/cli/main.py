"""The command line: both argument parsers, and an exit code for every ending.

0 done, 1 failed while running, 2 wrong use or unusable input, 130 interrupted with everything
saved. PyTorch is loaded only when the arguments are in order.
"""

import argparse
import contextlib
import faulthandler
import signal
import sys
from dataclasses import replace

from h2q import config
from h2q.cli.arguments import (
    CHAT_MODES,
    SAMPLING_FLAGS,
    TRAINING_FLAGS,
    chat_parser,
    language,
    parse,
    require_choice,
    require_encoding,
    require_fitting,
    settings_from_file,
    train_parser,
    underscored,
)
from h2q.config import EvolutionConfig, SamplingConfig
from h2q.system.console import Console, prepare_streams
from h2q.system.errors import H2QError, Interrupted, ModelFileError, SettingError
from h2q.system.files import locked_directory
from h2q.system.interrupts import termination_as_interrupt
from h2q.system.invocation import command_line, programs
from h2q.system.messages import catalogue
from h2q.system.messages.catalogue import message
from h2q.system.offline import forbid_network

_DEPENDENCIES = ("torch", "numpy", "tqdm")


def train_main(arguments: list[str] | None = None) -> int:
    """``local_training_system.py`` and ``h2q-train``; returns the exit code."""
    return _run(arguments, train_parser, _train_or_evolve)


def chat_main(arguments: list[str] | None = None) -> int:
    """``local_inference_demo.py`` and ``h2q-chat``; returns the exit code."""
    return _run(arguments, chat_parser, _chat)


def _run(arguments, build_parser, work) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    catalogue.set_programs(*programs())
    console = Console()
    with contextlib.suppress(RuntimeError, ValueError):  # no stderr, or one without a descriptor
        faulthandler.enable()
        if hasattr(signal, "SIGUSR1"):  # shows where a process that seems to hang is
            faulthandler.register(signal.SIGUSR1)
    forbid_network()
    try:
        arguments = underscored(arguments)
        catalogue.set_language(language(arguments))
        if build_parser is train_parser:
            settings = settings_from_file(arguments, build_parser())
            catalogue.set_language(language([*settings.arguments, *arguments]))
            parsed = parse(build_parser(), [*settings.arguments, *arguments])
            parsed.settings = settings
        else:
            parsed = parse(build_parser(), arguments)
        work(parsed, console)
        return 0
    except Interrupted as error:
        console.warn("interrupted", error=error, command=_resume_command(arguments))
        return error.exit_code
    except H2QError as error:
        console.warn("error", error=error)
        return error.exit_code
    except KeyboardInterrupt:
        if work is _train_or_evolve:
            console.warn("train.killed")
        return Interrupted.exit_code
    except OSError as error:
        path, reason = error.filename or "?", error.strerror or error
        console.warn("error", error=message("file.system", path=path, reason=reason))
        return H2QError.exit_code
    except ModuleNotFoundError as error:
        if error.name not in _DEPENDENCIES:
            raise
        console.warn("error", error=message("dependency.missing", name=error.name))
        return H2QError.exit_code
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        console.warn("error", error=message("memory.full"))
        return H2QError.exit_code


def _resume_command(arguments: list[str]) -> str:
    resume = [] if "--resume" in arguments else ["--resume"]
    return f"{programs()[0]} {command_line([*arguments, *resume])}"


def _train_or_evolve(arguments: argparse.Namespace, console: Console) -> None:
    require_choice("--mode", arguments.mode, ("train", "evolve"))
    require_choice("--device", arguments.device, config.DEVICES)
    require_choice("--dtype", arguments.dtype, config.DTYPES)
    if arguments.encoding is not None:
        require_encoding(arguments.encoding)
    preset = config.preset(arguments.preset or "readme")
    given = {name: getattr(arguments, name) for name in TRAINING_FLAGS}
    given = {name: value for name, value in given.items() if value is not None}
    settings = arguments.settings
    given = {**settings.training, **given}
    if arguments.dry_run and arguments.resume:
        raise SettingError("dry.resume")
    evolving = {"cycles": arguments.cycles}
    if arguments.mode == "evolve" and "max_minutes" in given:
        evolving["max_minutes"] = given.pop("max_minutes")
    if arguments.mode == "evolve" and "lr" in given:
        evolving["lr"] = given["lr"]
    if "epochs" in given and given.get("max_minutes"):
        raise SettingError("usage.epochs_or_minutes")
    if "epochs" in given:
        given["max_minutes"] = 0.0
    replace(preset.training, **given)  # checks the values before anything is loaded or written
    replace(preset.model, **settings.model)
    evolution = EvolutionConfig(**evolving)
    console.silent = arguments.quiet

    with termination_as_interrupt():
        _work_in_output_dir(arguments, preset, given, evolution, console)


def _work_in_output_dir(arguments, preset, given, evolution, console) -> None:
    with console.passing("start.loading"):
        from h2q.cli.train import TrainingCommands

    commands = TrainingCommands(arguments, preset, given, console)
    if arguments.dry_run:
        commands.dry_run()
        return
    with locked_directory(arguments.output_dir):
        commands.remove_leftovers()
        if arguments.mode == "train":
            commands.train()
        else:
            commands.evolve(evolution)


def _chat(arguments: argparse.Namespace, console: Console) -> None:
    require_choice("--mode", arguments.mode, CHAT_MODES)
    require_choice("--format", arguments.format, config.EXPORT_FORMATS)
    require_fitting(arguments)
    stop = tuple(text.replace("\\n", "\n") for text in arguments.stop)
    settings = {name: getattr(arguments, name) for name in SAMPLING_FLAGS}
    sampling = SamplingConfig(**settings, stop=stop)
    console.silent = arguments.json
    if not arguments.model.exists():  # said at once, not after PyTorch is there
        raise ModelFileError("model.missing", path=arguments.model)
    if arguments.mode == "export":
        _export(arguments, console)
        return

    with console.passing("start.loading"):
        from h2q.cli.infer import run

    run(arguments, sampling, console)


def _export(arguments: argparse.Namespace, console: Console) -> None:
    with console.passing("start.loading"):
        from h2q.checkpoint.export import export_model
        from h2q.checkpoint.model_file import load_model
    model, provenance = load_model(arguments.model)
    files = export_model(model, provenance, arguments.export_dir, arguments.format)
    console.say("export.done", form=arguments.format, files=" · ".join(map(str, files)))
