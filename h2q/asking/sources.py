"""The files in which answers are looked for: facts and passages of a knowledge base, and notes.

Does not keep anything of them: that is for ``index``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from h2q.datasets.knowledge_files import knowledge_files, numbered_lines, parse_fact
from h2q.datasets.templates import Fact
from h2q.datasets.text_files import find_text_files
from h2q.system.errors import CorpusError, KnowledgeError


@dataclass(frozen=True)
class Source:
    """One file, and the name that an answer gives for it."""

    path: Path
    name: str  # the path below the directory that the person named
    holds_facts: bool


def find_sources(knowledge_dir: Path | None, data_dir: Path | None) -> list[Source]:
    """All files below both directories; either may be a single file or None.

    Raises ``KnowledgeError`` or ``CorpusError`` for one that does not exist.
    """
    found: dict[Path, Source] = {}
    if knowledge_dir is not None:
        if not knowledge_dir.exists():
            raise KnowledgeError("knowledge.missing", path=knowledge_dir)
        files = knowledge_files(knowledge_dir)
        for path in files["facts"]:
            found[path] = Source(path, _name(path, knowledge_dir), True)
        for path in files["passages"]:
            found[path] = Source(path, _name(path, knowledge_dir), False)
    if data_dir is not None:
        if not data_dir.exists():
            raise CorpusError("corpus.missing", path=data_dir)
        for path in find_text_files(data_dir):
            found.setdefault(path, Source(path, _name(path, data_dir), False))
    return list(found.values())


def _name(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix() if path != directory else path.name


def contents(source: Source) -> Iterator[tuple[int, Fact | str]]:
    """What each line of a file holds, with its number: a fact or a line of text.

    A faulty fact is a line of text: it can still be found. What is not text is left out.
    """
    for number, line in numbered_lines(source.path, None, lambda number: None):
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        if source.holds_facts:
            try:
                yield number, parse_fact(line)
                continue
            except KnowledgeError:
                pass
        yield number, line
