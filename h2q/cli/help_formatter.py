"""The text of ``--help`` in columns of the screen, where a Chinese character takes two.

argparse counts characters and breaks lines at blanks only, so Chinese help would run over the edge.
"""

import argparse
import re
from collections.abc import Iterable
from typing import Any

from h2q.system.console import columns
from h2q.system.messages.catalogue import message

# What stays in one piece: a word or one wide character, with the punctuation next to it.
_PIECE = re.compile(
    r"\s+|[（“《]*(?:[\u2e80-\u2fff\u3040-\u9fff\uf900-\ufaff]|[^\s\u2e80-\u9fff\uf900-\uffef]+)"
    r"[，。；：、！？）”》]*|."
)


class HelpFormatter(argparse.HelpFormatter):
    """The formatter of argparse, with other line breaks and with our word before the usage."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, message("help.usage"))

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in wrapped(text, width - len(indent)))


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` columns, broken at blanks and between wide
    characters, never before a closing mark. A word wider than a line gets a line of its own."""
    lines = [""]
    for piece in _PIECE.findall(" ".join(text.split())):
        if columns(lines[-1] + piece.rstrip()) > width and lines[-1].strip():
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        if lines[-1] or piece.strip():
            lines[-1] += piece
    return lines
