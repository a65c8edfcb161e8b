"""Prompts as they come: from the command line, a file or a pipe.

A file holds a prompt on each line. Where its name ends with ``.jsonl`` it holds JSON lines:
strings, or objects with ``prompt`` and, optionally, settings of their own, named like the flags. A
line that cannot be used is reported and left out. Does not answer any, and loads no library.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from h2q.config import SamplingConfig, derived_seed, from_dict
from h2q.model.tokenizer import decode
from h2q.system.console import Console
from h2q.system.errors import PromptsError, SettingError
from h2q.system.files import parse_json

STANDARD_INPUT = "-"
_LINE_LIMIT_BYTES = 2**24  # enough for a prompt of 10 MB, but not for a disk image


@dataclass(frozen=True)
class Prompt:
    """One prompt and how to answer it."""

    line: int  # where it stands, from 1
    text: str
    sampling: SamplingConfig


def read_prompt(text: str) -> str:
    """The prompt that ``--prompt`` gives; ``-`` stands for all of standard input."""
    return decode(sys.stdin.buffer.read()) if text == STANDARD_INPUT else text


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, or standard input; raises ``PromptsError`` when the file cannot be opened."""
    if str(path) == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise PromptsError("prompts.unreadable", path=path, reason=error.strerror) from error
    with stream:
        yield stream


class PromptsFile:
    """The prompts of a file, read when they are needed; ``broken`` counts the lines left out."""

    def __init__(self, path: Path, sampling: SamplingConfig, console: Console):
        self.path = path
        self.broken = 0
        self._sampling = sampling
        self._console = console

    def __iter__(self) -> Iterator[Prompt]:
        as_json = Path(self.path).suffix == ".jsonl"
        with _opened(self.path) as stream:
            for line, data in enumerate(_lines(stream), 1):
                try:
                    if (prompt := self._parse(line, data, as_json)) is not None:
                        yield prompt
                except (ValueError, SettingError) as error:
                    self.broken += 1
                    self._console.warn(
                        "prompts.line", path=self.path, line=line, reason=str(error)[:200]
                    )

    def _parse(self, line: int, data: bytes, as_json: bool) -> Prompt | None:
        """None for a blank line; ``ValueError`` or ``SettingError`` for a broken one."""
        if len(data) > _LINE_LIMIT_BYTES:
            raise ValueError(f"more than {_LINE_LIMIT_BYTES} bytes")
        text = data.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
        if not text.strip():
            return None
        text, given = _parse_json_line(text) if as_json else (text, {})
        seed = derived_seed(self._sampling.seed, line - 1)
        settings = {**asdict(self._sampling), "seed": seed, **given}
        return Prompt(line, text, from_dict(SamplingConfig, settings))


def _parse_json_line(line: str) -> tuple[str, dict[str, Any]]:
    """The prompt and its own settings, not checked yet; ``ValueError`` where there is no prompt."""
    value = parse_json(line)
    given = dict(value) if isinstance(value, dict) else {"prompt": value}
    text = given.pop("prompt", None)
    if not isinstance(text, str):
        raise ValueError('no "prompt"')
    if isinstance(given.get("stop"), list):
        given["stop"] = tuple(given["stop"])
    return text, given


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. Of a line that is too long only the beginning is returned, with one byte
    more than ``_LINE_LIMIT_BYTES``."""
    while data := stream.readline(_LINE_LIMIT_BYTES + 1):
        yield data
        while len(data) > _LINE_LIMIT_BYTES and not data.endswith(b"\n"):
            data = stream.readline(_LINE_LIMIT_BYTES + 1)
