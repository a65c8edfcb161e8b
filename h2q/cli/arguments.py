"""The argument parsers of both programs, and the language of their help.

What the arguments mean together is for ``settings``. Loads no library.
"""

import argparse
import re
from pathlib import Path
from typing import NoReturn

import h2q
from h2q import config
from h2q.cli.completion import SHELLS, Completion
from h2q.cli.help_formatter import HelpFormatter
from h2q.cli.settings_file import Settings, read_settings
from h2q.config import READABLE, InferenceJob, TrainingJob
from h2q.system.errors import SettingError
from h2q.system.messages import catalogue
from h2q.system.messages.catalogue import message
from h2q.system.paths import EXPORT_DIR, MODEL_PATH


class _Parser(argparse.ArgumentParser):
    """Reports wrong use as a ``SettingError`` of one line, instead of printing it and exiting."""

    def error(self, message: str) -> NoReturn:
        # The two most frequent sentences of argparse are said in the language in use.
        if found := re.fullmatch(r"argument (\S+): invalid (\w+) value: '(.*)'", message, re.S):
            raise SettingError("setting.type", name=found[1], value=found[3], type=found[2])
        if found := re.fullmatch(r"argument (\S+): expected one argument", message):
            raise SettingError("usage.no_value", flag=found[1])
        raise SettingError("usage.wrong", reason=message)


def _parser(description: str) -> _Parser:
    """A parser with the flags that both programs have."""
    parser = _Parser(
        description=message(description),
        allow_abbrev=False,
        add_help=False,
        formatter_class=HelpFormatter,
    )
    parser._optionals.title = message("help.options")
    parser._positionals.title = message("help.positionals")
    add, shells = parser.add_argument, "|".join(SHELLS)
    version = f"H2Q-Evo {h2q.__version__}"
    add("-h", "--help", action="help", help=message("help.help"))
    add("--version", action="version", version=version, help=message("help.version"))
    add("--completion", action=Completion, metavar=shells, help=message("help.completion"))
    add("--lang", metavar="zh|en", help=message("help.lang"))
    return parser


def train_parser() -> _Parser:
    """The flags of the training program; None stands for one that is not given."""
    parser = _parser("help.train")
    add, job = parser.add_argument, TrainingJob()
    modes, presets = "|".join(config.TRAINING_MODES), "|".join(config.PRESETS)
    devices, dtypes = "|".join(config.DEVICES), "|".join(config.DTYPES)
    switch, whose = "|".join(config.SWITCH), "|".join(config.KNOWLEDGE)
    add("--mode", default=job.mode, metavar=modes, help=message("help.mode_train"))
    add("--epochs", type=int, metavar="N", help=message("help.epochs"))
    add("--max_minutes", type=float, metavar="M", help=message("help.max_minutes"))
    add("--patience", type=int, metavar="N", help=message("help.patience"))
    add("--cycles", type=int, metavar="N", help=message("help.cycles"))
    add("--data_dir", type=Path, metavar="PATH", help=message("help.data_dir"))
    add("--eval_dir", type=Path, metavar="PATH", help=message("help.eval_dir"))
    add("--include", action="append", metavar="GLOB", help=message("help.include"))
    add("--encoding", metavar="NAME", help=message("help.encoding"))
    add("--knowledge_dir", type=Path, metavar="PATH", help=message("help.knowledge_dir"))
    add("--knowledge", default=job.knowledge, metavar=whose, help=message("help.knowledge"))
    add("--output_dir", type=Path, default=Path(), metavar="PATH", help=message("help.output_dir"))
    add("--resume", action="store_true", help=message("help.resume"))
    add("--dry_run", action="store_true", help=message("help.dry_run"))
    add("--quiet", action="store_true", help=message("help.quiet"))
    add("--tensorboard", action="store_true", help=message("help.tensorboard"))
    add("--config", type=Path, metavar="FILE", help=message("help.config"))
    add("--preset", metavar=presets, help=message("help.preset"))
    add("--lr", type=float, metavar="X", help=message("help.lr"))
    add("--memory", default=job.memory, metavar=switch, help=message("help.memory_train"))
    add("--batch_size", type=int, metavar="N", help=message("help.batch_size"))
    add("--seed", type=int, metavar="N", help=message("help.seed"))
    add("--device", default=job.device, metavar=devices, help=message("help.device"))
    add("--dtype", default=job.dtype, metavar=dtypes, help=message("help.dtype"))
    return parser


def chat_parser() -> _Parser:
    """The flags of the inference program."""
    parser = _parser("help.chat")
    add, job, sampling = parser.add_argument, InferenceJob(), READABLE
    modes, formats = "|".join(config.INFERENCE_MODES), "|".join(config.EXPORT_FORMATS)
    switch, model, export = "|".join(config.SWITCH), Path(MODEL_PATH), Path(EXPORT_DIR)
    add("files", nargs="*", type=Path, metavar="FILE", help=message("help.files"))
    add("--mode", default=job.mode, metavar=modes, help=message("help.mode_chat"))
    add("--model", type=Path, default=model, metavar="FILE", help=message("help.model"))
    add("--memory", default=job.memory, metavar=switch, help=message("help.memory_chat"))
    add("--format", default=job.format, metavar=formats, help=message("help.format"))
    add("--export_dir", type=Path, default=export, metavar="PATH", help=message("help.export_dir"))
    add("--knowledge_dir", type=Path, metavar="PATH", help=message("help.knowledge_dir_chat"))
    add("--data_dir", type=Path, metavar="PATH", help=message("help.data_dir_chat"))
    add("--prompt", metavar="TEXT", help=message("help.prompt"))
    add("--prompts_file", type=Path, metavar="FILE", help=message("help.prompts_file"))
    add("--json", action="store_true", help=message("help.json"))
    add("--lines", action="store_true", help=message("help.lines"))
    for name, text in (
        ("temperature", message("help.temperature")),
        ("max_length", message("help.max_length")),
        ("seed", message("help.seed")),
        ("top_k", message("help.top_k")),
        ("top_p", message("help.top_p")),
        ("min_p", message("help.min_p")),
        ("repetition_penalty", message("help.repetition_penalty")),
        ("loop_guard", message("help.loop_guard")),
    ):
        default = getattr(sampling, name)
        letter = "N" if isinstance(default, int) else "X"
        add(f"--{name}", type=type(default), default=default, metavar=letter, help=text)
    add("--stop", action="append", default=[], metavar="TEXT", help=message("help.stop"))
    return parser


def underscored(arguments: list[str]) -> list[str]:
    """``--data-dir`` is another spelling of ``--data_dir``."""
    return [
        re.sub(r"(?<=^--)[a-z-]+", lambda flag: flag[0].replace("-", "_"), argument)
        for argument in arguments
    ]


def language(arguments: list[str]) -> str:
    """The language that is asked for. A parser's help needs it before anything is parsed."""
    found = catalogue.default_language()
    for index, argument in enumerate(arguments):
        if argument.startswith("--lang="):
            found = argument.partition("=")[2]
        elif argument == "--lang" and index + 1 < len(arguments):
            found = arguments[index + 1]
    config.require_choice("--lang", found, catalogue.LANGUAGES)
    return found


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """The values of ``arguments``; an unknown flag raises ``SettingError`` with the nearest one."""
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        nearest = config.nearest(flag, parser._option_string_actions)
        hint = message("usage.nearest", nearest=nearest) if nearest else ""
        raise SettingError("usage.flag", flag=flag, hint=hint)
    return parsed


def settings_from_file(arguments: list[str], parser: argparse.ArgumentParser) -> Settings:
    """The settings in the file that ``--config`` names; none where no file is named."""
    only = _Parser(add_help=False, allow_abbrev=False)
    only.add_argument("--config", type=Path)
    path = only.parse_known_args(arguments)[0].config
    return read_settings(path, parser, arguments) if path is not None else Settings()
