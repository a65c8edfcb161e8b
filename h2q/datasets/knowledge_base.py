"""The knowledge base: facts and passages, checked and indexed on disk.

Both go into SQLite, with a trigram index (FTS5) that serves Chinese as well as English: memory
does not grow with their number. A line that cannot be used is listed with its place and never
taught. Does not know models.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from h2q.datasets.knowledge_files import knowledge_files, numbered_lines, paragraphs, parse_fact
from h2q.datasets.templates import (
    LANGUAGES,
    WORDINGS_NAME,
    Fact,
    Wordings,
    longest_question_bytes,
    read_wordings,
)
from h2q.system.errors import KnowledgeError, SaveFailed
from h2q.system.files import saving
from h2q.system.messages.catalogue import message
from h2q.system.paths import shipped_knowledge_dir

_VERSION = 2  # of the index; when it changes, every index is built anew
_SCHEMA = """
CREATE TABLE facts (number INTEGER PRIMARY KEY, id TEXT UNIQUE, subject TEXT, relation TEXT,
    object TEXT, aliases TEXT, lang TEXT, file TEXT, line INTEGER);
CREATE UNIQUE INDEX by_subject ON facts (lang, subject, relation);
CREATE INDEX by_object ON facts (lang, relation, object);
CREATE TABLE passages (number INTEGER PRIMARY KEY, text TEXT, file TEXT);
CREATE VIRTUAL TABLE words USING fts5(text, content='passages', content_rowid='number',
    tokenize='trigram');
CREATE TABLE problems (file TEXT, line INTEGER, reason TEXT);
CREATE TABLE about (signature TEXT, digest TEXT);
"""
_FACT_COLUMNS = "id, subject, relation, object, aliases, lang"


@dataclass(frozen=True)
class Problem:
    """A place in the person's files that could not be used, and why."""

    path: Path
    line: int
    reason: str


class KnowledgeBase:
    """What is known, how it is worded, and which lines of the files could not be used."""

    def __init__(self, index: sqlite3.Connection, wordings: Wordings):
        self._index = index
        weakref.finalize(self, index.close)  # when nobody refers to this object any more
        self.wordings = wordings
        self.fact_count = self._number("SELECT count(*) FROM facts")
        self.passage_count = self._number("SELECT count(*) FROM passages")
        self.relation_count = self._number(  # in each language
            "SELECT count(*) FROM (SELECT DISTINCT lang, relation FROM facts)"
        )
        self.problem_count = self._number("SELECT count(*) FROM problems")
        self.digest: str = self._index.execute("SELECT digest FROM about").fetchone()[0]

    def _number(self, query: str, *values: str) -> int:
        number: int = self._index.execute(query, values).fetchone()[0]
        return number

    def facts(self) -> Iterator[Fact]:
        """All facts, in the order of the files."""
        for row in self._index.execute(f"SELECT {_FACT_COLUMNS} FROM facts ORDER BY number"):
            yield _fact(row)  # unlike ``map``, this keeps the index open while it is read

    def fact(self, number: int) -> Fact:
        """The fact with that number, from 1 to ``fact_count``."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE number = ?"
        return _fact(self._index.execute(query, (number,)).fetchone())

    def facts_by_id(self, ids: Iterable[str]) -> list[Fact]:
        """The facts with these ids, in the order given. Ids that are not there are skipped."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE id = ?"
        rows = (self._index.execute(query, (name,)).fetchone() for name in ids)
        return [_fact(row) for row in rows if row is not None]

    def facts_like(self, fact: Fact) -> list[Fact]:
        """All facts of the same relation and language, in the order of the files."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE lang = ? AND relation = ? ORDER BY number"
        return [_fact(row) for row in self._index.execute(query, (fact.lang, fact.relation))]

    def objects(self, relation: str, lang: str) -> list[tuple[str, int]]:
        """The objects of a relation and how many facts have each, the most frequent first."""
        query = (
            "SELECT object, count(*) AS n FROM facts WHERE lang = ? AND relation = ? "
            "GROUP BY object ORDER BY n DESC, object"
        )
        return self._index.execute(query, (lang, relation)).fetchall()

    def is_unique_object(self, fact: Fact) -> bool:
        """Whether the object leads back to one subject only."""
        query = "SELECT count(*) FROM facts WHERE lang = ? AND relation = ? AND object = ?"
        return self._number(query, fact.lang, fact.relation, fact.object) == 1

    def knows_subject(self, subject: str) -> bool:
        """Whether there is a fact about ``subject`` in any language."""
        query = "SELECT count(*) FROM facts WHERE lang = ? AND subject = ?"
        return any(self._number(query, lang, subject) for lang in LANGUAGES)

    def passage(self, number: int) -> tuple[str, str]:
        """Text and file name of the passage with that number, from 1 to ``passage_count``."""
        query = "SELECT text, file FROM passages WHERE number = ?"
        text, file = self._index.execute(query, (number,)).fetchone()
        return text, file

    def search(self, text: str, limit: int = 5) -> list[str]:
        """The passages that hold ``text`` (three characters or more), the best match first.

        For answers from a person's own notes; evolution does without it.
        """
        query = "SELECT text FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        quoted = '"' + text.replace('"', '""') + '"'
        return [row[0] for row in self._index.execute(query, (quoted, limit))]

    def problems(self, limit: int = -1) -> list[Problem]:
        """The places that could not be used, at most ``limit`` of them (-1: all)."""
        rows = self._index.execute("SELECT file, line, reason FROM problems LIMIT ?", (limit,))
        return [Problem(Path(file), line, reason) for file, line, reason in rows]


def _fact(row: tuple[Any, ...]) -> Fact:
    name, subject, relation, value, aliases, lang = row
    return Fact(name, subject, relation, value, tuple(json.loads(aliases)), lang)


@dataclass(frozen=True)
class _Source:
    """All that an index depends on."""

    directory: Path
    wordings: Wordings
    context_length: int
    encoding: str | None  # None: the one that is recognised

    def signature(self) -> str:
        """A hash that stays the same as long as files and settings do."""
        files = [file for found in knowledge_files(self.directory).values() for file in found]
        statuses = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        described = json.dumps(
            [_VERSION, self.wordings, self.context_length, self.encoding, statuses],
            ensure_ascii=False,
        )
        described += message("knowledge.no_object")  # the index keeps problems in one language
        return hashlib.sha256(described.encode("utf-8", "surrogateescape")).hexdigest()


def wordings_of(directory: Path) -> Wordings:
    """The shipped wordings, and those of ``directory``, which win. Raises ``KnowledgeError``."""
    wordings = read_wordings(shipped_knowledge_dir() / WORDINGS_NAME)
    if (directory / WORDINGS_NAME).is_file():
        for relation, by_language in read_wordings(directory / WORDINGS_NAME).items():
            wordings[relation] = {**wordings.get(relation, {}), **by_language}
    return wordings


def load_knowledge_base(
    directory: Path,
    index_path: Path | None = None,
    *,
    context_length: int = 512,
    encoding: str | None = None,
) -> KnowledgeBase:
    """Reads all facts and passages below ``directory``.

    The index is kept at ``index_path`` and used again as long as the files do not change; without
    a path it is in memory. A line is listed under ``problems`` and left out when it is no fact,
    repeats one, contradicts one, or does not fit into ``context_length`` bytes as a question.
    Files are UTF-8, or of the ``encoding`` named, or of one that is recognised. Raises
    ``KnowledgeError`` when nothing usable is found.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise KnowledgeError("knowledge.missing", path=directory)
    wordings = wordings_of(directory)
    source = _Source(directory, wordings, context_length, encoding)
    base = KnowledgeBase(_index(source, index_path), wordings)
    if not base.fact_count and not base.passage_count:
        raise KnowledgeError("knowledge.empty", path=directory, problems=base.problem_count)
    return base


def _index(source: _Source, path: Path | None) -> sqlite3.Connection:
    """The index of ``source``: in memory, or at ``path``, built when there is none that fits."""
    signature = source.signature()
    if path is None:
        index = sqlite3.connect(":memory:")
        _build(index, source, signature)
        return index
    if (kept := _opened(path, signature)) is not None:
        return kept
    temporary = path.with_suffix(".new")
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(temporary)) as index:
            _build(index, source, signature)
    except sqlite3.OperationalError as error:  # a full disk
        raise SaveFailed("save.failed", path=path, reason=error) from error
    with saving(path):
        os.replace(temporary, path)
    return sqlite3.connect(path)


def _opened(path: Path, signature: str) -> sqlite3.Connection | None:
    """The index at ``path``; None if it is missing, damaged or belongs to other files."""
    if not path.exists():
        return None
    with contextlib.suppress(sqlite3.DatabaseError):
        index = sqlite3.connect(path)
        with contextlib.suppress(sqlite3.DatabaseError):
            if index.execute("SELECT signature FROM about").fetchone() == (signature,):
                return index
        index.close()  # Windows replaces no file that is open
    return None


def _build(index: sqlite3.Connection, source: _Source, signature: str) -> None:
    index.executescript(_SCHEMA)
    digest = hashlib.sha256(json.dumps(source.wordings, sort_keys=True).encode())
    files = knowledge_files(source.directory)
    for path in files["facts"]:
        for number, line in _lines(index, path, source.encoding):
            if not line.strip():
                continue
            try:
                fact = _usable_fact(index, line, source)
            except KnowledgeError as error:
                _note(index, path, number, str(error))
            else:
                digest.update(repr(fact).encode())
                _insert(index, fact, path, number)
    for path in files["passages"]:
        lines = (line for _, line in _lines(index, path, source.encoding))
        for passage in paragraphs(lines):
            digest.update(passage.encode())
            index.execute("INSERT INTO passages VALUES (NULL, ?, ?)", (passage, path.name))
    index.execute("INSERT INTO words(words) VALUES ('rebuild')")
    index.execute("INSERT INTO about VALUES (?, ?)", (signature, digest.hexdigest()))
    index.commit()


def _lines(
    index: sqlite3.Connection, path: Path, encoding: str | None
) -> Iterator[tuple[int, str]]:
    """Numbered lines of ``path``. A file, or the rest of one, that is not text is a problem."""

    def unreadable(number: int) -> None:
        _note(index, path, number, message("skip.not_text"))

    return numbered_lines(path, encoding, unreadable)


def _note(index: sqlite3.Connection, path: Path, line: int, reason: str) -> None:
    index.execute("INSERT INTO problems VALUES (?, ?, ?)", (str(path), line, reason))


def _insert(index: sqlite3.Connection, fact: Fact, path: Path, line: int) -> None:
    aliases = json.dumps(fact.aliases, ensure_ascii=False)
    index.execute(
        "INSERT INTO facts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        (fact.id, fact.subject, fact.relation, fact.object, aliases, fact.lang, path.name, line),
    )


def _usable_fact(index: sqlite3.Connection, line: str, source: _Source) -> Fact:
    """The fact in ``line``. Raises ``KnowledgeError`` when there is none, when the index already
    holds it or contradicts it, or when a question about it is too long."""
    fact = parse_fact(line)
    _require_new(index, fact)
    if longest_question_bytes(source.wordings, fact) + 2 > source.context_length:
        raise KnowledgeError("knowledge.long", most=source.context_length)
    return fact


def _require_new(index: sqlite3.Connection, fact: Fact) -> None:
    place = index.execute("SELECT file, line FROM facts WHERE id = ?", (fact.id,)).fetchone()
    if place:
        raise KnowledgeError("knowledge.same_id", id=fact.id, file=place[0], line=place[1])
    found = index.execute(
        "SELECT object, file, line FROM facts WHERE lang = ? AND subject = ? AND relation = ?",
        (fact.lang, fact.subject, fact.relation),
    ).fetchone()
    if found:
        known, file, line = found
        key = "knowledge.repeated" if known == fact.object else "knowledge.contradicts"
        raise KnowledgeError(key, object=known, file=file, line=line)
