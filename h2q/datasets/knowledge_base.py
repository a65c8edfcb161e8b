"""The local knowledge base: facts and passages, read, checked and indexed on disk.

Facts are JSON lines ``{"id", "subject", "relation", "object", "aliases", "lang"}`` in ``*.jsonl``;
passages are paragraphs of ``*.txt`` and ``*.md``. Both go into SQLite with a trigram index
(FTS5), which serves Chinese as well as English; memory stays as it is however many there are. A
line that cannot be used is listed with its place, never learnt. Also makes the sample text for a
person who has none yet. Does not know of models.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from h2q.datasets.encodings import encoding_of
from h2q.datasets.templates import (
    LANGUAGES,
    Fact,
    Wordings,
    longest_question_bytes,
    read_wordings,
)
from h2q.system.errors import KnowledgeError, SaveFailed
from h2q.system.files import parse_json, saving
from h2q.system.messages.catalogue import message
from h2q.system.paths import shipped_data

WORDINGS_NAME = "wordings.json"
_VERSION = 1  # of the index
_PASSAGE_CHARACTERS = 16_384  # a longer paragraph is cut
_NAMES = ("id", "subject", "relation", "object")
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
    """What is known, how it is worded, and what in the files could not be used."""

    def __init__(self, index: sqlite3.Connection, wordings: Wordings):
        self._index = index
        self.wordings = wordings
        self.fact_count = self._number("SELECT count(*) FROM facts")
        self.passage_count = self._number("SELECT count(*) FROM passages")
        self.relation_count = self._number(  # in each language
            "SELECT count(*) FROM (SELECT DISTINCT lang, relation FROM facts)"
        )
        self.problem_count = self._number("SELECT count(*) FROM problems")
        self.digest = self._index.execute("SELECT digest FROM about").fetchone()[0]

    def _number(self, query: str, *values) -> int:
        return self._index.execute(query, values).fetchone()[0]

    def facts(self) -> Iterator[Fact]:
        """All facts, in the order of the files."""
        rows = self._index.execute(f"SELECT {_FACT_COLUMNS} FROM facts ORDER BY number")
        return map(_fact, rows)

    def fact(self, number: int) -> Fact:
        """The fact with that number, from 1 to ``fact_count``."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE number = ?"
        return _fact(self._index.execute(query, (number,)).fetchone())

    def facts_by_id(self, ids: Iterable[str]) -> list[Fact]:
        """Those of the facts named that are still there, in the order given."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE id = ?"
        rows = (self._index.execute(query, (name,)).fetchone() for name in ids)
        return [_fact(row) for row in rows if row is not None]

    def facts_like(self, fact: Fact) -> list[Fact]:
        """All facts of the same relation and language, in the order of the files."""
        query = f"SELECT {_FACT_COLUMNS} FROM facts WHERE lang = ? AND relation = ? ORDER BY number"
        return [_fact(row) for row in self._index.execute(query, (fact.lang, fact.relation))]

    def objects(self, relation: str, lang: str) -> list[tuple[str, int]]:
        """The objects of a relation and how many facts have each, the commonest first."""
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
        query = "SELECT count(*) FROM facts WHERE lang = ? AND subject = ?"
        return any(self._number(query, lang, subject) for lang in LANGUAGES)

    def passage(self, number: int) -> tuple[str, str]:
        """Text and file name of the passage with that number, from 1 to ``passage_count``."""
        query = "SELECT text, file FROM passages WHERE number = ?"
        return self._index.execute(query, (number,)).fetchone()

    def search(self, text: str, limit: int = 5) -> list[str]:
        """The passages that hold ``text`` (three characters or more), best first."""
        query = "SELECT text FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?"
        quoted = '"' + text.replace('"', '""') + '"'
        return [row[0] for row in self._index.execute(query, (quoted, limit))]

    def problems(self, limit: int = -1) -> list[Problem]:
        rows = self._index.execute("SELECT file, line, reason FROM problems LIMIT ?", (limit,))
        return [Problem(Path(file), line, reason) for file, line, reason in rows]


def _fact(row: tuple) -> Fact:
    *values, aliases, lang = row
    return Fact(*values, tuple(json.loads(aliases)), lang)


def load_knowledge_base(
    directory: Path,
    index_path: Path | None = None,
    *,
    context_length: int = 512,
    encoding: str | None = None,
) -> KnowledgeBase:
    """Reads all facts and passages below ``directory``.

    The index is kept at ``index_path`` and read again while the files are as they were; without a
    path it is in memory. A line that is no fact, repeats one, contradicts one, or does not fit
    into ``context_length`` bytes as a question is listed under ``problems`` and left out. Files
    are UTF-8, or of the ``encoding`` named, or of one that is recognised. Raises
    ``KnowledgeError`` when nothing usable is found.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise KnowledgeError("knowledge.missing", path=directory)
    wordings = read_wordings(shipped_data() / "knowledge_base" / WORDINGS_NAME)
    if (directory / WORDINGS_NAME).is_file():
        wordings.update(read_wordings(directory / WORDINGS_NAME))
    signature = _signature(directory, wordings, context_length, encoding)
    if index_path is None:
        index = sqlite3.connect(":memory:")
        _build(index, directory, wordings, signature, context_length, encoding)
    else:
        index = _opened(index_path, signature)
        if index is None:
            temporary = index_path.with_suffix(".new")
            with saving(index_path):
                index_path.parent.mkdir(parents=True, exist_ok=True)
                temporary.unlink(missing_ok=True)
            try:
                with contextlib.closing(sqlite3.connect(temporary)) as index:
                    _build(index, directory, wordings, signature, context_length, encoding)
            except sqlite3.OperationalError as error:  # a full disk
                raise SaveFailed("save.failed", path=index_path, reason=error) from error
            with saving(index_path):
                os.replace(temporary, index_path)
            index = _opened(index_path, signature)
    base = KnowledgeBase(index, wordings)
    if not base.fact_count and not base.passage_count:
        raise KnowledgeError("knowledge.empty", path=directory, problems=base.problem_count)
    return base


def knowledge_files(directory: Path) -> dict[str, list[Path]]:
    """The files of facts and of passages below ``directory``, each in sorted order."""
    return {
        "facts": sorted(directory.rglob("*.jsonl")),
        "passages": sorted([*directory.rglob("*.txt"), *directory.rglob("*.md")]),
    }


def _signature(directory: Path, *settings) -> str:
    """Of files and settings: the same as long as nothing was changed."""
    files = [file for found in knowledge_files(directory).values() for file in found]
    statuses = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    described = json.dumps([_VERSION, *settings, statuses], ensure_ascii=False)
    language = message("knowledge.no_object")  # reasons are kept in the language they are shown in
    return hashlib.sha256((described + language).encode("utf-8", "surrogateescape")).hexdigest()


def _opened(path: Path, signature: str) -> sqlite3.Connection | None:
    """The index at ``path``; None where there is none, or it is damaged or of other files."""
    if not path.exists():
        return None
    with contextlib.suppress(sqlite3.DatabaseError):
        index = sqlite3.connect(path)
        with contextlib.suppress(sqlite3.DatabaseError):
            if index.execute("SELECT signature FROM about").fetchone() == (signature,):
                return index
        index.close()  # Windows replaces no file that is open
    return None


def _build(index, directory, wordings, signature, context_length, encoding) -> None:
    index.executescript(_SCHEMA)
    digest = hashlib.sha256(json.dumps(wordings, sort_keys=True).encode())
    files = knowledge_files(directory)
    for path in files["facts"]:
        for number, line in _readable(index, path, encoding):
            if not line.strip():
                continue
            try:
                fact = parse_fact(line)
                _require_new(index, fact)
                if longest_question_bytes(wordings, fact) + 2 > context_length:
                    raise KnowledgeError("knowledge.long", most=context_length)
            except KnowledgeError as error:
                _note(index, path, number, str(error))
            else:
                digest.update(repr(fact).encode())
                index.execute(
                    "INSERT INTO facts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(getattr(fact, name) for name in _NAMES),
                        json.dumps(fact.aliases, ensure_ascii=False),
                        *(fact.lang, path.name, number),
                    ),
                )
    for path in files["passages"]:
        for passage in _paragraphs(_readable(index, path, encoding)):
            digest.update(passage.encode())
            index.execute("INSERT INTO passages VALUES (NULL, ?, ?)", (passage, path.name))
    index.execute("INSERT INTO words(words) VALUES ('rebuild')")
    index.execute("INSERT INTO about VALUES (?, ?)", (signature, digest.hexdigest()))
    index.commit()


def _note(index, path: Path, line: int, reason: str) -> None:
    index.execute("INSERT INTO problems VALUES (?, ?, ?)", (str(path), line, reason))


def _readable(index, path: Path, encoding: str | None) -> Iterator[tuple[int, str]]:
    """Numbered lines of ``path``; a file, or the rest of one, that is no text is a problem."""
    name = encoding
    if name is None:
        with open(path, "rb") as stream:
            name = encoding_of(stream)
    if not name:
        _note(index, path, 0, message("skip.not_text"))
        return
    number = 0
    try:
        with open(path, encoding=name) as stream:
            for number, line in enumerate(stream, start=1):
                yield number, line
    except UnicodeError:
        _note(index, path, number + 1, message("skip.not_text"))


def parse_fact(line: str) -> Fact:
    """The fact in a line; ``KnowledgeError`` says what is wrong with it."""
    try:
        values = parse_json(line)
    except ValueError as error:
        raise KnowledgeError("knowledge.not_json") from error
    if not isinstance(values, dict):
        raise KnowledgeError("knowledge.no_object")
    for name in _NAMES:
        text = values.get(name)
        if not isinstance(text, str) or not text.strip() or not _is_one_line(text):
            raise KnowledgeError("knowledge.no_field", name=name)
    if values.get("lang") not in LANGUAGES:
        raise KnowledgeError("knowledge.no_language", value=values.get("lang"))
    aliases = values.get("aliases", [])
    if not (
        isinstance(aliases, list)
        and all(
            isinstance(alias, str) and alias.strip() and _is_one_line(alias) for alias in aliases
        )
    ):
        raise KnowledgeError("knowledge.aliases")
    return Fact(*(values[name].strip() for name in _NAMES), tuple(aliases), values["lang"])


def _is_one_line(text: str) -> bool:
    """Printable text of UTF-8, without line ends."""
    return text.isprintable()


def _require_new(index, fact: Fact) -> None:
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


def _paragraphs(lines: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Runs of lines that are not blank; a very long one in several parts."""
    kept, size = [], 0
    for _, line in lines:
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
