"""The command line: both argument parsers, and an exit code for every ending.

0 done, 1 failed while running, 2 wrong use or unusable input, 130 interrupted with everything
saved. PyTorch is loaded only when the arguments are in order.
"""

import argparse
import contextlib
import faulthandler
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import h2q
from h2q import config, messages
from h2q.completion import SHELLS, Completion
from h2q.config import EvolutionConfig, SamplingConfig
from h2q.console import Console, prepare_streams
from h2q.errors import CorpusError, H2QError, Interrupted, ModelFileError, SettingError
from h2q.files import locked_directory
from h2q.help_text import HelpFormatter
from h2q.interrupts import termination_as_interrupt
from h2q.messages import message
from h2q.offline import forbid_network
from h2q.programs import command_line, programs
from h2q.settings_file import Settings, read_settings

_TRAINING_FLAGS = ("epochs", "max_minutes", "patience", "lr", "batch_size", "seed")
_SAMPLING_FLAGS = (
    *("temperature", "max_length", "seed", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "loop_guard"),
)
_CHAT_MODES = ("demo", "interactive", "score", "export")
_DEPENDENCIES = ("torch", "numpy", "tqdm")


def train_main(arguments: list[str] | None = None) -> int:
    """``local_training_system.py`` and ``h2q-train``; returns the exit code."""
    return _run(arguments, _train_parser, _train_or_evolve)


def chat_main(arguments: list[str] | None = None) -> int:
    """``local_inference_demo.py`` and ``h2q-chat``; returns the exit code."""
    return _run(arguments, _chat_parser, _chat)


def _run(arguments, build_parser, work) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    messages.set_programs(*programs())
    console = Console()
    with contextlib.suppress(RuntimeError, ValueError):  # no stderr, or one without a descriptor
        faulthandler.enable()
        if hasattr(signal, "SIGUSR1"):  # shows where a process that seems to hang is
            faulthandler.register(signal.SIGUSR1)
    forbid_network()
    try:
        arguments = _underscored(arguments)
        messages.set_language(_language(arguments))
        if build_parser is _train_parser:
            settings = _settings(arguments, build_parser())
            messages.set_language(_language([*settings.arguments, *arguments]))
            parsed = _parse(build_parser(), [*settings.arguments, *arguments])
            parsed.settings = settings
        else:
            parsed = _parse(build_parser(), arguments)
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


class _Parser(argparse.ArgumentParser):
    """Reports wrong use as a ``SettingError`` of one line instead of printing and leaving."""

    def error(self, reason: str):
        # What argparse says most often is said in the language in use.
        if found := re.fullmatch(r"argument (\S+): invalid (\w+) value: '(.*)'", reason, re.S):
            raise SettingError("setting.type", name=found[1], value=found[3], type=found[2])
        if found := re.fullmatch(r"argument (\S+): expected one argument", reason):
            raise SettingError("usage.no_value", flag=found[1])
        raise SettingError("usage.wrong", reason=reason)


def _parser(description: str) -> _Parser:
    parser = _Parser(
        description=message(description),
        allow_abbrev=False,
        add_help=False,
        formatter_class=HelpFormatter,
    )
    parser._optionals.title = message("help.options")
    parser._positionals.title = message("help.positionals")
    parser.add_argument("-h", "--help", action="help", help=message("help.help"))
    version = f"H2Q-Evo {h2q.__version__}"
    parser.add_argument(
        "--version", action="version", version=version, help=message("help.version")
    )
    parser.add_argument(
        "--completion", action=Completion, metavar="|".join(SHELLS), help=message("help.completion")
    )
    parser.add_argument("--lang", metavar="zh|en", help=message("help.lang"))
    return parser


def _train_parser() -> _Parser:
    parser = _parser("help.train")
    add = parser.add_argument
    add("--mode", default="train", metavar="train|evolve", help=message("help.mode_train"))
    add("--epochs", type=int, metavar="N", help=message("help.epochs"))
    add("--max_minutes", type=float, metavar="M", help=message("help.max_minutes"))
    add("--patience", type=int, metavar="N", help=message("help.patience"))
    add("--cycles", type=int, default=3, metavar="N", help=message("help.cycles"))
    add("--data_dir", type=Path, metavar="PATH", help=message("help.data_dir"))
    add("--eval_dir", type=Path, metavar="PATH", help=message("help.eval_dir"))
    add("--encoding", metavar="NAME", help=message("help.encoding"))
    add("--knowledge_dir", type=Path, metavar="PATH", help=message("help.knowledge_dir"))
    add("--output_dir", type=Path, default=Path(), metavar="PATH", help=message("help.output_dir"))
    add("--resume", action="store_true", help=message("help.resume"))
    add("--dry_run", action="store_true", help=message("help.dry_run"))
    add("--quiet", action="store_true", help=message("help.quiet"))
    add("--tensorboard", action="store_true", help=message("help.tensorboard"))
    add("--config", type=Path, metavar="FILE", help=message("help.config"))
    add("--preset", metavar="|".join(config.PRESETS), help=message("help.preset"))
    add("--lr", type=float, metavar="X", help=message("help.lr"))
    add("--batch_size", type=int, metavar="N", help=message("help.batch_size"))
    add("--seed", type=int, metavar="N", help=message("help.seed"))
    add("--device", default="auto", metavar="|".join(config.DEVICES), help=message("help.device"))
    add("--dtype", default="auto", metavar="|".join(config.DTYPES), help=message("help.dtype"))
    return parser


def _chat_parser() -> _Parser:
    parser = _parser("help.chat")
    add = parser.add_argument
    defaults = SamplingConfig()
    modes = "|".join(_CHAT_MODES)
    add("files", nargs="*", type=Path, metavar="FILE", help=message("help.files"))
    add("--mode", default="demo", metavar=modes, help=message("help.mode_chat"))
    add(
        "--model",
        type=Path,
        default=Path(config.MODEL_PATH),
        metavar="FILE",
        help=message("help.model"),
    )
    add(
        "--format",
        default=config.EXPORT_FORMATS[0],
        metavar="|".join(config.EXPORT_FORMATS),
        help=message("help.format"),
    )
    add(
        "--export_dir",
        type=Path,
        default=Path(config.EXPORT_DIR),
        metavar="PATH",
        help=message("help.export_dir"),
    )
    add("--prompt", metavar="TEXT", help=message("help.prompt"))
    add("--prompts_file", type=Path, metavar="FILE", help=message("help.prompts_file"))
    add("--json", action="store_true", help=message("help.json"))
    add("--lines", action="store_true", help=message("help.lines"))
    add(
        "--temperature",
        type=float,
        default=defaults.temperature,
        metavar="X",
        help=message("help.temperature"),
    )
    add(
        "--max_length",
        type=int,
        default=defaults.max_length,
        metavar="N",
        help=message("help.max_length"),
    )
    add("--seed", type=int, default=defaults.seed, metavar="N", help=message("help.seed"))
    for name, text in (
        ("top_k", message("help.top_k")),
        ("top_p", message("help.top_p")),
        ("min_p", message("help.min_p")),
        ("repetition_penalty", message("help.repetition_penalty")),
        ("loop_guard", message("help.loop_guard")),
    ):
        default = getattr(defaults, name)
        letter = "N" if isinstance(default, int) else "X"
        add(f"--{name}", type=type(default), default=default, metavar=letter, help=text)
    add("--stop", action="append", default=[], metavar="TEXT", help=message("help.stop"))
    return parser


def _underscored(arguments: list[str]) -> list[str]:
    """``--data-dir`` is another spelling of ``--data_dir``."""
    return [
        re.sub(r"(?<=^--)[a-z-]+", lambda flag: flag[0].replace("-", "_"), argument)
        for argument in arguments
    ]


def _language(arguments: list[str]) -> str:
    """The language wanted, needed before the parser with its help can be built."""
    found = messages.default_language()
    for index, argument in enumerate(arguments):
        if argument.startswith("--lang="):
            found = argument.partition("=")[2]
        elif argument == "--lang" and index + 1 < len(arguments):
            found = arguments[index + 1]
    _require_choice("--lang", found, messages.LANGUAGES)
    return found


def _parse(parser: _Parser, arguments: list[str]) -> argparse.Namespace:
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        nearest = config.nearest(flag, parser._option_string_actions)
        hint = message("usage.nearest", nearest=nearest) if nearest else ""
        raise SettingError("usage.flag", flag=flag, hint=hint)
    return parsed


def _settings(arguments: list[str], parser: _Parser) -> Settings:
    """What the file says that ``--config`` names; nothing where it names none."""
    only = _Parser(add_help=False, allow_abbrev=False)
    only.add_argument("--config", type=Path)
    path = only.parse_known_args(arguments)[0].config
    return read_settings(path, parser, arguments) if path is not None else Settings()


def _require_choice(name: str, value: str, known) -> None:
    if value not in known:
        raise SettingError("setting.choice", name=name, value=value, known=", ".join(known))


def _resume_command(arguments: list[str]) -> str:
    resume = [] if "--resume" in arguments else ["--resume"]
    return f"{programs()[0]} {command_line([*arguments, *resume])}"


def _train_or_evolve(arguments: argparse.Namespace, console: Console) -> None:
    _require_choice("--mode", arguments.mode, ("train", "evolve"))
    _require_choice("--device", arguments.device, config.DEVICES)
    _require_choice("--dtype", arguments.dtype, config.DTYPES)
    if arguments.encoding is not None:
        _require_encoding(arguments.encoding)
    preset = config.preset(arguments.preset or "readme")
    given = {name: getattr(arguments, name) for name in _TRAINING_FLAGS}
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
        from h2q.commands import TrainingCommands

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


def _require_encoding(name: str) -> None:
    try:
        b" ".decode(name)
    except LookupError as error:
        raise CorpusError("corpus.codec", encoding=name) from error
    except UnicodeError:  # half a character of UTF-16: the encoding exists
        pass


def _chat(arguments: argparse.Namespace, console: Console) -> None:
    _require_choice("--mode", arguments.mode, _CHAT_MODES)
    _require_choice("--format", arguments.format, config.EXPORT_FORMATS)
    _require_fitting(arguments)
    stop = tuple(text.replace("\\n", "\n") for text in arguments.stop)
    settings = {name: getattr(arguments, name) for name in _SAMPLING_FLAGS}
    sampling = SamplingConfig(**settings, stop=stop)
    console.silent = arguments.json
    if not arguments.model.exists():  # said at once, not after PyTorch is there
        raise ModelFileError("model.missing", path=arguments.model)
    if arguments.mode == "export":
        _export(arguments, console)
        return

    with console.passing("start.loading"):
        from h2q.chat_commands import run

    run(arguments, sampling, console)


def _require_fitting(arguments: argparse.Namespace) -> None:
    """What is given is of use in the mode that was chosen."""
    mode = arguments.mode
    if mode == "score" and not arguments.files:
        raise SettingError("usage.files")
    if mode != "score" and arguments.files:
        raise SettingError("usage.no_files", name=arguments.files[0])
    out_of_place = {
        "--lines": arguments.lines and mode != "score",
        "--json": arguments.json and mode == "interactive",
        "--prompts_file": arguments.prompts_file is not None and mode != "demo",
        "--prompt": arguments.prompt is not None and mode == "score",
    }
    for flag, wrong in out_of_place.items():
        if wrong:
            raise SettingError("usage.not_in", flag=flag, mode=mode)
    if arguments.prompt is not None and arguments.prompts_file is not None:
        raise SettingError("usage.prompt_or_file")


def _export(arguments: argparse.Namespace, console: Console) -> None:
    with console.passing("start.loading"):
        from h2q.export import export_model
        from h2q.model_file import load_model
    model, provenance = load_model(arguments.model)
    files = export_model(model, provenance, arguments.export_dir, arguments.format)
    console.say("export.done", form=arguments.format, files=" · ".join(map(str, files)))
