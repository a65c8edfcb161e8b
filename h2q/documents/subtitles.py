"""What is said in subtitles (SubRip ``.srt``, WebVTT ``.vtt``), without numbers, times and marks."""

import html
import re
from collections.abc import Iterable, Iterator

from h2q.documents.lines import lines_of

_CLOCK = r"(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}")
_MARKS = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")  # <i>, <00:01.000>, {\an8}
_NOT_SAID = {"WEBVTT", "NOTE", "STYLE", "REGION"}  # the first word of such a block of WebVTT


def cue_text(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of the cues. The line before a cue's times, its number or name, is left out."""
    before: str | None = None  # a line that is left out if times follow
    said = True
    block_begins = True
    for line in (line.strip() for line in lines_of(pieces)):
        if _TIMES.match(line):
            before, said, block_begins = None, True, False
            continue
        if before is not None:
            yield from _plain(before)
            before = None
        if not line:
            block_begins = True
        elif block_begins:
            block_begins = False
            said = line.split()[0] not in _NOT_SAID
            before = line if said else None
        elif line.isdecimal() and said:
            before = line
        elif said:
            yield from _plain(line)
    if before is not None:
        yield from _plain(before)


def _plain(line: str) -> Iterator[str]:
    """The line without its marks, if that leaves anything."""
    if text := html.unescape(_MARKS.sub("", line)).strip():
        yield text + "\n"
