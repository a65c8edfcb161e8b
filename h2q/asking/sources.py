"""The files in which answers are looked for: facts and passages of a knowledge base, and notes.

Does not keep anything of them: that is for ``index``.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from h2q.datasets import knowledge_files
from h2q.datasets.extraction import text_lines
from h2q.datasets.file_search import find_files
from h2q.datasets.templates import Fact
from h2q.system.errors import DocumentError, KnowledgeError


@dataclass(frozen=True)
class Source:
    """One file, and the name that an answer gives for it."""

    path: Path
    name: str  # the path below the directory that the person named
    holds_facts: bool  # it lies in a knowledge base


def find_sources(knowledge_dir: Path | None, data_dir: Path | None) -> list[Source]:
    """All files below both directories; either may be a single file or None.

    Raises ``KnowledgeError`` or ``CorpusError`` for one that does not exist.
    """
    found: dict[Path, Source] = {}
    if knowledge_dir is not None:
        if not knowledge_dir.exists():
            raise KnowledgeError("knowledge.missing", path=knowledge_dir)
        files = knowledge_files.knowledge_files(knowledge_dir)
        for path in (*files["facts"], *files["passages"]):
            found[path] = Source(path, _name(path, knowledge_dir), True)
    if data_dir is not None:
        for path in find_files(data_dir).files:
            found.setdefault(path, Source(path, _name(path, data_dir), False))
    return list(found.values())


def _name(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix() if path != directory else path.name


def contents(source: Source) -> Iterator[tuple[int, Fact | str]]:
    """What each line of a file holds, with its number: facts, in any form that a knowledge base may
    have, or a line of text.

    A faulty fact is a line of text: it can still be found. What is not text is left out.
    """
    if not source.holds_facts:
        with contextlib.suppress(DocumentError):
            yield from ((number, line) for number, line in text_lines(source.path) if line.strip())
        return
    of_facts = set()
    for found in knowledge_files.contents(source.path, _lines(source.path)):
        if isinstance(found.content, Fact):
            of_facts.add(found.line)
            yield found.line, found.content
    for number, line in _lines(source.path):
        if number not in of_facts and line.strip():
            yield number, line.rstrip("\r\n")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return knowledge_files.numbered_lines(path, None, lambda number: None)
