"""``--completion``: the script with which a shell completes the flags of the installed commands.

The script is made by shtab, an extra.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from h2q.config import require_choice
from h2q.system.errors import SettingError

SHELLS = ("bash", "zsh")


class Completion(argparse.Action):
    """Prints the script for the shell that is named, and exits."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        shell = str(values)
        require_choice(str(option_string), shell, SHELLS)
        print(script(parser, shell))
        parser.exit()


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for ``shell``; raises ``SettingError`` where shtab is not installed."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise SettingError("extra.missing", name="shtab", extra="completion") from error
    for action in parser._actions:
        if isinstance(action.metavar, str) and "|" in action.metavar:
            action.choices = action.metavar.split("|")
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # an attribute of shtab's own
    completed: str = shtab.complete(parser, shell)
    return completed
