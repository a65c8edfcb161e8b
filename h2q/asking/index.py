"""The index over facts and notes: SQLite with full-text search (FTS5), kept on disk.

It is brought up to date by the files that changed, which size, time and hash tell; an index that is
damaged is built anew, and one that cannot be written is kept in memory. Finds candidates; how well
one fits is for ``matching`` and ``notes``.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from h2q.asking.sources import Source, contents
from h2q.asking.words import misspellings, terms, tokens
from h2q.datasets.templates import Fact
from h2q.system.files import require_regular, sha256_of_file

_VERSION = 1  # of the index; when it changes, every index is built anew
_SCHEMA = """
CREATE TABLE files (number INTEGER PRIMARY KEY, path TEXT UNIQUE, name TEXT, size INTEGER,
    modified INTEGER, digest TEXT);
CREATE TABLE facts (number INTEGER PRIMARY KEY, file INTEGER, line INTEGER, id TEXT, subject TEXT,
    relation TEXT, object TEXT, aliases TEXT, lang TEXT);
CREATE TABLE lines (number INTEGER PRIMARY KEY, file INTEGER, line INTEGER, heading INTEGER,
    text TEXT);
CREATE INDEX facts_of ON facts (file);
CREATE INDEX lines_of ON lines (file);
CREATE VIRTUAL TABLE fact_words USING fts5(subject, relation, object, tokenize='ascii');
CREATE VIRTUAL TABLE line_words USING fts5(words, tokenize='ascii');
CREATE VIRTUAL TABLE fact_terms USING fts5vocab(fact_words, 'col');
CREATE VIRTUAL TABLE line_terms USING fts5vocab(line_words, 'row');
CREATE TABLE spellings (form TEXT, word TEXT, PRIMARY KEY (form, word)) WITHOUT ROWID;
CREATE TABLE spelt (word TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_MOST_FACTS = 1000  # candidates
_MOST_LINES = 200
_MOST_TERMS = 400  # of one search
_LINE_CHARACTERS = 2000  # a longer line is kept in parts
_RACY_NS = 2_000_000_000  # a file that is so young may change without a change of its time
_SAVE_SECONDS = 2.0
_WAIT_SECONDS = 1.0  # for another process that writes
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PlacedFact:
    """A fact, and where it stands."""

    fact: Fact
    file: str
    line: int


@dataclass(frozen=True)
class PlacedLine:
    """A line of notes, where it stands, and the lines that it belongs to."""

    text: str
    file: str
    line: int
    before: str  # the line before it
    heading: str  # the heading above it


class _Damaged(Exception):
    """A file that is no index of this version."""


class Index:
    """The facts and lines of the files that ``refresh`` was given last."""

    def __init__(self, path: Path | None):
        """Opens the index at ``path``, or one in memory."""
        self._path = path
        self._connection = _opened(path)
        self._sources: list[Source] = []

    def refresh(self, sources: list[Source]) -> None:
        """Takes in what changed in ``sources``, and forgets all other files."""
        self._sources = sources
        self._repaired(lambda: _update(self._connection, sources))

    def close(self) -> None:
        self._connection.close()

    def _repaired(self, work: Callable[[], _Result]) -> _Result:
        """The result of ``work``. A damaged index is built anew; one that cannot be used at all (a
        full disk, no permission, another process writes) is built in memory."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            is_damaged = not isinstance(error, sqlite3.OperationalError)
            self._connection = _opened(self._path if is_damaged else None, anew=is_damaged)
            _update(self._connection, self._sources)
            return work()

    def facts(self, found: Sequence[str], column: str) -> list[PlacedFact]:
        """Facts whose ``column``, subject or object, has some of these terms; the best first."""
        query = (
            "SELECT f.id, f.subject, f.relation, f.object, f.aliases, f.lang, files.name, f.line "
            "FROM (SELECT rowid, rank FROM fact_words WHERE fact_words MATCH ? "
            "ORDER BY rank LIMIT ?) AS w JOIN facts AS f ON f.number = w.rowid "
            "JOIN files ON files.number = f.file ORDER BY w.rank, f.number"
        )
        rows = self._rows(query, f"{column} : ({_any_of(found)})", _MOST_FACTS) if found else []
        return [_placed_fact(*row) for row in rows]

    def lines(self, found: Sequence[str]) -> list[PlacedLine]:
        """Lines of notes that have some of these terms, the best first."""
        query = (
            "SELECT l.text, files.name, l.line, coalesce(b.text, ''), coalesce(h.text, '') "
            "FROM (SELECT rowid, rank FROM line_words WHERE line_words MATCH ? "
            "ORDER BY rank LIMIT ?) AS w JOIN lines AS l ON l.number = w.rowid "
            "JOIN files ON files.number = l.file "
            "LEFT JOIN lines AS b ON b.number = l.number - 1 AND b.file = l.file "
            "AND b.line >= l.line - 1 "
            "LEFT JOIN lines AS h ON h.number = l.heading ORDER BY w.rank, l.number"
        )
        rows = self._rows(query, _any_of(found), _MOST_LINES) if found else []
        return [PlacedLine(*row) for row in rows]

    def rarity(self, term: str) -> tuple[int, int]:
        """How many lines have the term, out of how many."""
        [(count,)] = self._rows(
            "SELECT coalesce((SELECT doc FROM line_terms WHERE term = ?), 0)", term
        )
        [(whole,)] = self._rows("SELECT count(*) FROM lines")
        return count, whole

    def is_word_of_facts(self, word: str) -> bool:
        """Whether the subject or the relation of some fact has the word."""
        query = "SELECT 1 FROM fact_terms WHERE term = ? AND col != 'object' LIMIT 1"
        return bool(self._rows(query, word))

    def spellings(self, word: str) -> list[str]:
        """The words of facts and notes that are like ``word``, but for a typo."""
        forms = misspellings(word)
        if not forms:
            return []
        marks = ", ".join("?" * len(forms))
        query = f"SELECT DISTINCT word FROM spellings WHERE form IN ({marks}) ORDER BY word"
        return [row[0] for row in self._rows(query, *forms)]

    def is_empty(self) -> bool:
        """Whether there is neither a fact nor a line."""
        query = "SELECT EXISTS(SELECT 1 FROM facts) OR EXISTS(SELECT 1 FROM lines)"
        return not self._rows(query)[0][0]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._repaired(lambda: self._connection.execute(query, values).fetchall())


def _placed_fact(
    id: str, subject: str, relation: str, value: str, aliases: str, lang: str, file: str, line: int
) -> PlacedFact:
    """The fact in a row, with its place."""
    fact = Fact(id, subject, relation, value, tuple(json.loads(aliases)), lang)
    return PlacedFact(fact, file, line)


def _any_of(found: Sequence[str]) -> str:
    """A search for any of the terms, as FTS5 wants it; terms hold no quotation marks."""
    return " OR ".join(f'"{term}"' for term in found[:_MOST_TERMS])


def _opened(path: Path | None, anew: bool = False) -> sqlite3.Connection:
    """A connection to the index at ``path``, with its tables; in memory where that cannot be."""
    if path is not None:
        with contextlib.suppress(OSError, sqlite3.OperationalError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not anew:
                with contextlib.suppress(_Damaged):
                    return _with_tables(path)
            path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            return _with_tables(path)
    return _with_tables(":memory:")


def _with_tables(place: Path | str) -> sqlite3.Connection:
    """A connection to the index at ``place``, which may be new. Raises ``_Damaged``."""
    connection = sqlite3.connect(place, timeout=_WAIT_SECONDS)
    try:
        connection.execute("PRAGMA cache_size = -8000")  # kilobytes
        [(version,)] = connection.execute("PRAGMA user_version").fetchall()
        if version != _VERSION:
            if version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise _Damaged
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
    except sqlite3.OperationalError:
        connection.close()
        raise
    except (sqlite3.DatabaseError, _Damaged) as error:
        connection.close()
        raise _Damaged from error
    return connection


def _update(connection: sqlite3.Connection, sources: Iterable[Source]) -> None:
    """Takes in the files that changed. What is done is kept from time to time, so that somebody who
    stops it has not waited in vain."""
    kept = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT path, number, name, size, modified, digest FROM files"
        )
    }
    saved = time.monotonic()
    with connection:
        for source in sources:
            if time.monotonic() - saved > _SAVE_SECONDS:
                connection.commit()
                saved = time.monotonic()
            path = str(source.path.absolute())
            with contextlib.suppress(OSError):  # gone, or may not be read: as if it were not there
                _take_in(connection, source, path, kept.get(path))
                kept.pop(path, None)
        for number, *_ in kept.values():
            _forget(connection, number)


def _take_in(
    connection: sqlite3.Connection, source: Source, path: str, kept: tuple[Any, ...] | None
) -> None:
    """Brings one file up to date. ``kept``: its row, without the path. Raises ``OSError`` for one that
    cannot be read, of which nothing is left then."""
    require_regular(source.path)
    status = source.path.stat()  # before it is read: a later change has another time
    is_young = time.time_ns() - status.st_mtime_ns < _RACY_NS
    modified = 0 if is_young else status.st_mtime_ns
    if kept and kept[1:4] == (source.name, status.st_size, status.st_mtime_ns):
        return
    digest = sha256_of_file(source.path)
    if kept and kept[1] == source.name and kept[4] == digest:
        if modified != kept[3]:
            query = "UPDATE files SET size = ?, modified = ? WHERE number = ?"
            connection.execute(query, (status.st_size, modified, kept[0]))
        return
    if kept:
        _forget(connection, kept[0])
    row = (path, source.name, status.st_size, modified, digest)
    cursor = connection.execute("INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?)", row)
    number = cursor.lastrowid or 0
    try:
        _read(connection, source, number)
    except OSError:
        _forget(connection, number)
        raise


def _forget(connection: sqlite3.Connection, number: int) -> None:
    for table, words in (("facts", "fact_words"), ("lines", "line_words")):
        rows = f"SELECT number FROM {table} WHERE file = ?"
        connection.execute(f"DELETE FROM {words} WHERE rowid IN ({rows})", (number,))
        connection.execute(f"DELETE FROM {table} WHERE file = ?", (number,))
    connection.execute("DELETE FROM files WHERE number = ?", (number,))


def _read(connection: sqlite3.Connection, source: Source, file: int) -> None:
    """Puts all facts and lines of a file into the index."""
    words: set[str] = set()
    heading = None
    for line, content in contents(source):
        if isinstance(content, Fact):
            words |= _insert_fact(connection, content, file, line)
            continue
        for start in range(0, len(content), _LINE_CHARACTERS):
            part = content[start : start + _LINE_CHARACTERS]
            found = tokens(part)
            words |= set(found)
            row = (file, line, heading, part)
            cursor = connection.execute("INSERT INTO lines VALUES (NULL, ?, ?, ?, ?)", row)
            value = (cursor.lastrowid, " ".join(terms(found)))
            connection.execute("INSERT INTO line_words(rowid, words) VALUES (?, ?)", value)
            if part.startswith("#"):
                heading = cursor.lastrowid
    _insert_spellings(connection, words)


def _insert_fact(connection: sqlite3.Connection, fact: Fact, file: int, line: int) -> set[str]:
    """Puts a fact into the index; returns its words."""
    aliases = json.dumps(fact.aliases, ensure_ascii=False)
    row = (file, line, fact.id, fact.subject, fact.relation, fact.object, aliases, fact.lang)
    cursor = connection.execute("INSERT INTO facts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    parts = [tokens(part) for part in (fact.subject, fact.relation, " | ".join(fact.answers))]
    columns = (cursor.lastrowid, *(" ".join(terms(part)) for part in parts))
    connection.execute(
        "INSERT INTO fact_words(rowid, subject, relation, object) VALUES (?, ?, ?, ?)", columns
    )
    return {word for part in parts for word in part}


def _insert_spellings(connection: sqlite3.Connection, words: Iterable[str]) -> None:
    for word in sorted(words):
        if not (forms := misspellings(word)):
            continue
        cursor = connection.execute("INSERT OR IGNORE INTO spelt VALUES (?)", (word,))
        if cursor.rowcount:
            rows = ((form, word) for form in forms)
            connection.executemany("INSERT OR IGNORE INTO spellings VALUES (?, ?)", rows)
