"""Both argument parsers, and what is checked of a command line before PyTorch is loaded."""

import argparse
import re
from pathlib import Path

import h2q
from h2q import config
from h2q.cli.completion import SHELLS, Completion
from h2q.cli.help_formatter import HelpFormatter
from h2q.cli.settings_file import Settings, read_settings
from h2q.config import SamplingConfig
from h2q.system.errors import CorpusError, SettingError
from h2q.system.messages import catalogue
from h2q.system.messages.catalogue import message
from h2q.system.paths import EXPORT_DIR, MODEL_PATH

TRAINING_FLAGS = ("epochs", "max_minutes", "patience", "lr", "batch_size", "seed")
SAMPLING_FLAGS = (
    *("temperature", "max_length", "seed", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "loop_guard"),
)
CHAT_MODES = ("demo", "interactive", "score", "export")


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


def train_parser() -> _Parser:
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


def chat_parser() -> _Parser:
    parser = _parser("help.chat")
    add = parser.add_argument
    defaults = SamplingConfig()
    modes = "|".join(CHAT_MODES)
    add("files", nargs="*", type=Path, metavar="FILE", help=message("help.files"))
    add("--mode", default="demo", metavar=modes, help=message("help.mode_chat"))
    add(
        "--model",
        type=Path,
        default=Path(MODEL_PATH),
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
        default=Path(EXPORT_DIR),
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


def underscored(arguments: list[str]) -> list[str]:
    """``--data-dir`` is another spelling of ``--data_dir``."""
    return [
        re.sub(r"(?<=^--)[a-z-]+", lambda flag: flag[0].replace("-", "_"), argument)
        for argument in arguments
    ]


def language(arguments: list[str]) -> str:
    """The language wanted, needed before the parser with its help can be built."""
    found = catalogue.default_language()
    for index, argument in enumerate(arguments):
        if argument.startswith("--lang="):
            found = argument.partition("=")[2]
        elif argument == "--lang" and index + 1 < len(arguments):
            found = arguments[index + 1]
    require_choice("--lang", found, catalogue.LANGUAGES)
    return found


def parse(parser: _Parser, arguments: list[str]) -> argparse.Namespace:
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        nearest = config.nearest(flag, parser._option_string_actions)
        hint = message("usage.nearest", nearest=nearest) if nearest else ""
        raise SettingError("usage.flag", flag=flag, hint=hint)
    return parsed


def settings_from_file(arguments: list[str], parser: _Parser) -> Settings:
    """What the file says that ``--config`` names; nothing where it names none."""
    only = _Parser(add_help=False, allow_abbrev=False)
    only.add_argument("--config", type=Path)
    path = only.parse_known_args(arguments)[0].config
    return read_settings(path, parser, arguments) if path is not None else Settings()


def require_choice(name: str, value: str, known) -> None:
    if value not in known:
        raise SettingError("setting.choice", name=name, value=value, known=", ".join(known))


def require_encoding(name: str) -> None:
    try:
        b" ".decode(name)
    except LookupError as error:
        raise CorpusError("corpus.codec", encoding=name) from error
    except UnicodeError:  # half a character of UTF-16: the encoding exists
        pass


def require_fitting(arguments: argparse.Namespace) -> None:
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
