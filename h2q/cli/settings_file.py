"""Settings from a TOML file: flags of the command line, and tables of further settings.

The top level holds flags by their names (``epochs = 5``). The tables ``[model]``, ``[training]``
and ``[evolution]`` name any setting of ``ModelConfig``, ``TrainingConfig`` and ``EvolutionConfig``.
Nothing in the file is run. The flags of the file become arguments in front of those of the command
line, so a flag that is typed wins. The values of the tables are checked by ``config``.
"""

import argparse
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from h2q.config import EvolutionConfig, ModelConfig, TrainingConfig, Values, nearest
from h2q.system.errors import SettingError

TABLES = {"model": ModelConfig, "training": TrainingConfig, "evolution": EvolutionConfig}
_NOT_IN_A_FILE = {"--config", "--help", "--version"}
_EXCLUSIVE = (
    {"--epochs", "--max_minutes"},
    {"--dry_run", "--resume"},
    {"--knowledge", "--knowledge_dir"},
)


@dataclass(frozen=True)
class Settings:
    """What a file says: ``arguments`` for the command line, and the settings of each table."""

    arguments: list[str] = field(default_factory=list)
    model: Values = field(default_factory=dict)
    training: Values = field(default_factory=dict)
    evolution: Values = field(default_factory=dict)


def read_settings(path: Path, parser: argparse.ArgumentParser, given: list[str]) -> Settings:
    """The settings in ``path``, beside the arguments ``given`` for ``parser``.

    Raises ``SettingError`` for a file that cannot be read or is not TOML, for an unknown key (the
    error names the nearest one), and for the value of a flag that is of the wrong type.
    """
    content = _read_toml(path)
    tables = {name: _table(path, name, content.pop(name, {})) for name in TABLES}
    actions = {
        name: action
        for name, action in parser._option_string_actions.items()
        if name.startswith("--") and name not in _NOT_IN_A_FILE
    }
    named = {argument.partition("=")[0] for argument in given}
    overruled = named.union(*(pair for pair in _EXCLUSIVE if pair & named))
    arguments = []
    for key, value in content.items():
        flag = "--" + key.replace("-", "_")
        if flag not in actions:
            known = [*TABLES] if isinstance(value, dict) else [name[2:] for name in actions]
            raise _unknown(path, key, known)
        as_arguments = _as_arguments(path, key, value, actions[flag])
        if flag not in overruled:
            arguments += as_arguments
    return Settings(arguments, **tables)


def _read_toml(path: Path) -> dict[str, Any]:
    loads = _toml_reader()
    try:
        return loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError("file.system", path=path, reason=error.strerror) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
        raise SettingError("settings.toml", path=path, reason=error) from error


def _toml_reader() -> Callable[[str], dict[str, Any]]:
    """A function that parses TOML: of the standard library, or of tomli on Python 3.10."""
    reader: Callable[[str], dict[str, Any]]
    with contextlib.suppress(ModuleNotFoundError):
        import tomllib

        reader = tomllib.loads
        return reader
    try:
        import tomli
    except ModuleNotFoundError as error:
        raise SettingError("extra.missing", name="tomli", extra="toml") from error
    reader = tomli.loads
    return reader


def _table(path: Path, name: str, values: object) -> dict[str, Any]:
    """The settings of the table ``name``; unknown ones are refused."""
    if not isinstance(values, dict):
        raise SettingError("settings.value", path=path, name=name, value=values)
    known = [item.name for item in fields(TABLES[name])]
    for key in values:
        if key not in known:
            raise _unknown(path, f"{name}.{key}", [f"{name}.{setting}" for setting in known])
    return values


def _unknown(path: Path, key: str, known: list[str]) -> SettingError:
    return SettingError("settings.unknown", path=path, name=key, nearest=nearest(key, known) or "?")


def _as_arguments(path: Path, key: str, value: object, action: argparse.Action) -> list[str]:
    """``epochs = 5`` as ``--epochs=5``; a switch is true or false."""
    flag = "--" + key.replace("-", "_")
    if action.nargs == 0:
        valid = isinstance(value, bool)
        arguments = [flag] if value else []
    else:
        wanted = (int, float) if action.type is float else int if action.type is int else str
        valid = isinstance(value, wanted) and not isinstance(value, bool)
        arguments = [f"{flag}={value}"]
    if not valid:
        raise SettingError("settings.value", path=path, name=key, value=value)
    return arguments
