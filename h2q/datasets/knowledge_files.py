"""The files of a knowledge base, read line by line: facts as JSON lines, passages as paragraphs.

A fact is a line ``{"id", "subject", "relation", "object", "aliases", "lang"}`` of a ``*.jsonl``
file; a passage is a paragraph of a ``*.txt`` or ``*.md`` file. Does not know the index, nor
whether two facts contradict each other.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from h2q.datasets.encodings import encoding_of
from h2q.datasets.templates import LANGUAGES, Fact
from h2q.system.errors import KnowledgeError
from h2q.system.files import parse_json

_PASSAGE_CHARACTERS = 16_384  # a longer paragraph is cut
_NAMES = ("id", "subject", "relation", "object")


def knowledge_files(directory: Path) -> dict[str, list[Path]]:
    """The files of facts and of passages below ``directory``, each in sorted order."""
    return {
        "facts": sorted(directory.rglob("*.jsonl")),
        "passages": sorted([*directory.rglob("*.txt"), *directory.rglob("*.md")]),
    }


def numbered_lines(
    path: Path, encoding: str | None, unreadable: Callable[[int], None]
) -> Iterator[tuple[int, str]]:
    """The lines of ``path`` and their numbers, from 1 on.

    The file is in ``encoding``, or in the one that is recognised. The lines end where the file is
    not text; then ``unreadable`` is called with the number of that line (0: the whole file).
    """
    if encoding is None:
        with open(path, "rb") as stream:
            encoding = encoding_of(stream)
    if not encoding:
        unreadable(0)
        return
    number = 0
    try:
        with open(path, encoding=encoding) as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line
    except UnicodeError:
        unreadable(number + 1)


def parse_fact(line: str) -> Fact:
    """The fact in a line; ``KnowledgeError`` says what is wrong with it."""
    try:
        values = parse_json(line)
    except ValueError as error:
        raise KnowledgeError("knowledge.not_json") from error
    if not isinstance(values, dict):
        raise KnowledgeError("knowledge.no_object")
    for name in _NAMES:
        if not _is_one_line(values.get(name)):
            raise KnowledgeError("knowledge.no_field", name=name)
    if values.get("lang") not in LANGUAGES:
        raise KnowledgeError("knowledge.no_language", value=values.get("lang"))
    aliases = values.get("aliases", [])
    if not (isinstance(aliases, list) and all(map(_is_one_line, aliases))):
        raise KnowledgeError("knowledge.aliases")
    return Fact(
        id=values["id"].strip(),
        subject=values["subject"].strip(),
        relation=values["relation"].strip(),
        object=values["object"].strip(),
        aliases=tuple(aliases),
        lang=values["lang"],
    )


def _is_one_line(value: Any) -> bool:
    """Whether ``value`` is printable text without line ends, and more than spaces."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Runs of lines that are not blank. A very long one comes in several parts."""
    kept: list[str] = []
    size = 0
    for line in lines:
        line = line.rstrip()
        parts = [
            line[i : i + _PASSAGE_CHARACTERS] for i in range(0, len(line), _PASSAGE_CHARACTERS)
        ]
        for part in parts or [""]:
            if kept and (not part or size + len(part) > _PASSAGE_CHARACTERS):
                yield "\n".join(kept)
                kept, size = [], 0
            if part:
                kept.append(part)
                size += len(part)
    if kept:
        yield "\n".join(kept)
