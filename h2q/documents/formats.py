"""Which formats there are, and which one a file has, judged by its name.

``plain`` text is used as it lies. A ``marked_up`` format is text too, in any encoding, out of which
the marks are taken. A ``container`` is bytes of its own kind. Opens no file.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from h2q.documents.chats import telegram_dialogue, whatsapp_dialogue
from h2q.documents.epub import epub_text
from h2q.documents.html_text import visible_text
from h2q.documents.json_lines import text_values
from h2q.documents.office import odt_text, word_text
from h2q.documents.pdf import pdf_text
from h2q.documents.subtitles import cue_text

# From the decoded text of a file, in pieces of any length, to the text that is meant.
MARKED_UP: dict[str, Callable[[Iterable[str]], Iterator[str]]] = {
    "html": visible_text,
    "jsonl": text_values,
    "srt": cue_text,
    "vtt": cue_text,
    "whatsapp": whatsapp_dialogue,
    "telegram": telegram_dialogue,
}
CONTAINERS: dict[str, Callable[[BinaryIO], Iterator[str]]] = {
    "docx": word_text,
    "odt": odt_text,
    "epub": epub_text,
    "pdf": pdf_text,
}
PLAIN = ("txt", "md", "rst", "org", "log", "csv", "tsv")
_OTHER_NAMES = {"markdown": "md", "htm": "html", "xhtml": "html", "ndjson": "jsonl"}
_LONGEST_SUFFIX = 10  # a longer one names no format
_KNOWN = {*PLAIN, *MARKED_UP, *CONTAINERS} - {"whatsapp", "telegram"}


@dataclass(frozen=True)
class Format:
    """The format of a file."""

    name: str  # a key of the tables above, or the suffix of other text, ``py`` for example
    compressed: bool = False  # by gzip

    @property
    def as_it_lies(self) -> bool:
        """Whether the bytes of the file are the text."""
        return not self.compressed and self.name not in MARKED_UP and self.name not in CONTAINERS


def known_format(path: Path) -> Format | None:
    """The format of a file that is read without being asked for; None for any other."""
    name = path.name.lower()
    compressed = name.endswith(".gz")
    name = name.removesuffix(".gz")
    suffix = PurePath(name).suffix[1:]
    suffix = _OTHER_NAMES.get(suffix, suffix)
    if suffix == "txt" and ("whatsapp" in name or name == "_chat.txt"):
        return Format("whatsapp", compressed)
    if name == "result.json":
        return Format("telegram", compressed)
    if suffix not in _KNOWN or (compressed and suffix in CONTAINERS):
        return None
    return Format(suffix, compressed)


def format_of(path: Path) -> Format:
    """The format of a file that a person named; what is unknown is taken for plain text."""
    if (known := known_format(path)) is not None:
        return known
    name = path.name.lower()
    suffix = PurePath(name.removesuffix(".gz")).suffix[1:]
    names_format = suffix.isalnum() and not suffix[0].isdigit() and len(suffix) <= _LONGEST_SUFFIX
    if not names_format or suffix in MARKED_UP or suffix in CONTAINERS:  # x.telegram, x.docx.gz
        suffix = "txt"
    return Format(suffix, name.endswith(".gz"))
