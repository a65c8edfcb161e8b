"""``--completion``: the script with which a shell completes the flags of the installed commands.

Written by shtab, an extra.
"""

import argparse
from pathlib import Path

from h2q.system.errors import SettingError

SHELLS = ("bash", "zsh")


class Completion(argparse.Action):
    """Prints the script for the shell that is named, and leaves."""

    def __call__(self, parser, namespace, shell, option=None):
        if shell not in SHELLS:
            known = ", ".join(SHELLS)
            raise SettingError("setting.choice", name=option, value=shell, known=known)
        print(script(parser, shell))
        parser.exit()


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """What ``shell`` has to read; raises ``SettingError`` where shtab is not installed."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise SettingError("extra.missing", name="shtab", extra="completion") from error
    for action in parser._actions:
        if "|" in (action.metavar or ""):
            action.choices = action.metavar.split("|")
        elif action.type is Path:
            action.complete = shtab.FILE
    return shtab.complete(parser, shell)
