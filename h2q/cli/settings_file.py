"""Settings from a TOML file: the flags of the command line, and what the presets hold besides.

At the top stand flags by their names (``epochs = 5``); the tables ``[model]`` and ``[training]``
name any setting of ``ModelConfig`` and ``TrainingConfig``. Nothing in the file is run. Flags that
are given win over it, so the file's become arguments in front of them.
"""

import argparse
from dataclasses import dataclass, field, fields
from pathlib import Path

from h2q.config import ModelConfig, TrainingConfig, nearest
from h2q.system.errors import SettingError

FLAG = "--config"
TABLES = {"model": ModelConfig, "training": TrainingConfig}
_NOT_IN_A_FILE = {"--config", "--help", "--version"}
_EXCLUSIVE = ({"--epochs", "--max_minutes"}, {"--dry_run", "--resume"})


@dataclass(frozen=True)
class Settings:
    """What a file says: ``arguments`` of the command line, and settings by their names."""

    arguments: list[str] = field(default_factory=list)
    model: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)


def read_settings(path: Path, parser: argparse.ArgumentParser, given: list[str]) -> Settings:
    """The settings in ``path`` for a command line ``given`` that ``parser`` will read.

    Raises ``SettingError`` for a file that cannot be read or is no TOML, for a key that is not
    known, with the nearest one, and for a value of the wrong type.
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


def _read_toml(path: Path) -> dict:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        try:
            import tomli as tomllib
        except ModuleNotFoundError as error:
            raise SettingError("extra.missing", name="tomli", extra="toml") from error
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError("file.system", path=path, reason=error.strerror) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML
        raise SettingError("settings.toml", path=path, reason=error) from error


def _table(path: Path, name: str, values) -> dict:
    if not isinstance(values, dict):
        raise SettingError("settings.value", path=path, name=name, value=values)
    known = [item.name for item in fields(TABLES[name])]
    for key in values:
        if key not in known:
            raise _unknown(path, f"{name}.{key}", [f"{name}.{setting}" for setting in known])
    return values


def _unknown(path: Path, key: str, known: list[str]) -> SettingError:
    return SettingError("settings.unknown", path=path, name=key, nearest=nearest(key, known) or "?")


def _as_arguments(path: Path, key: str, value, action: argparse.Action) -> list[str]:
    """``epochs = 5`` as ``--epochs=5``; a switch is true or false."""
    flag = "--" + key.replace("-", "_")
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise SettingError("settings.value", path=path, name=key, value=value)
        return [flag] if value else []
    wanted = {int: int, float: (int, float)}.get(action.type, str)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise SettingError("settings.value", path=path, name=key, value=value)
    return [f"{flag}={value}"]
