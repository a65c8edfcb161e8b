"""The files of a knowledge base: found, read line by line, each by the reader of its format.

``*.jsonl`` files hold a fact in each line, ``*.csv`` and ``*.tsv`` files hold tables, and ``*.txt``
and ``*.md`` files hold notes. Does not know the index, nor whether two facts contradict each other.
"""

import codecs
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from h2q.datasets.encodings import CHUNK_BYTES, encoding_of
from h2q.datasets.fact_parts import Found, made_fact, made_question
from h2q.datasets.knowledge_notes import facts_and_passages
from h2q.datasets.knowledge_tables import facts_in_anki, facts_in_table, is_anki
from h2q.datasets.templates import WORDINGS_NAME, Fact
from h2q.system.errors import KnowledgeError
from h2q.system.files import parse_json

_JSON, _TABLES, _NOTES = {".jsonl"}, {".csv", ".tsv"}, {".txt", ".md"}
_NOT_TEXT = "\udcff"  # in place of bytes that are not text; no text holds it
_MARKING = "h2q.marking"  # how errors of decoding are handled
codecs.register_error(_MARKING, lambda error: (_NOT_TEXT, getattr(error, "end", 0)))
_QUESTIONS = (("question", "answer"), ("prompt", "completion"))


def knowledge_files(path: Path) -> dict[str, list[Path]]:
    """The files of facts and of notes below ``path``, each in sorted order; or ``path`` itself,
    where it is a file. Hidden files and folders are left out; links to folders are not followed."""
    found = [file for file in _files_below(path) if file.is_file()]  # no pipe, no link to nowhere
    return {
        "facts": [file for file in found if file.suffix.lower() in _JSON | _TABLES],
        "passages": [file for file in found if file.suffix.lower() in _NOTES],
    }


def unread_files(path: Path) -> list[Path]:
    """The files below ``path`` that ``knowledge_files`` does not name, unless they are hidden."""
    known = {file for files in knowledge_files(path).values() for file in files}
    return [file for file in _files_below(path) if file not in known | {path / WORDINGS_NAME}]


def _files_below(path: Path) -> list[Path]:
    """Everything below ``path`` that is no folder, in sorted order."""
    if path.is_file():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def numbered_lines(
    path: Path, encoding: str | None, unreadable: Callable[[int], None]
) -> Iterator[tuple[int, str]]:
    """The lines of ``path`` and their numbers, from 1 on.

    The file is in ``encoding``, or in the one that is recognised. A line that is not text is left
    out, and ``unreadable`` is called with its number (0: the whole file).
    """
    if encoding is None:
        with open(path, "rb") as stream:
            encoding = encoding_of(stream)
            stream.seek(0)
            if not encoding and _is_nearly_utf8(stream.read(CHUNK_BYTES)):
                encoding = "utf-8-sig"
    if not encoding:
        unreadable(0)
        return
    with open(path, encoding=encoding, errors=_MARKING) as lines:
        for number, line in enumerate(lines, start=1):
            if _NOT_TEXT in line:
                unreadable(number)
            else:
                yield number, line


def _is_nearly_utf8(head: bytes) -> bool:
    """Whether at most one line, or a tenth of the lines, of ``head`` is damaged UTF-8."""
    if b"\0" in head:
        return False
    lines = head.splitlines()
    damaged = sum("\ufffd" in line.decode("utf-8", "replace") for line in lines)
    return 2 * damaged < len(lines) and damaged <= max(1, len(lines) // 10)


def contents(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[Found]:
    """What the numbered ``lines`` of the file ``path`` hold, read as its name says."""
    suffix = path.suffix.lower()
    if suffix in _JSON:
        return _facts_in_json(lines)
    numbered = iter(lines)
    first = list(islice(numbered, 1))
    lines = chain(first, numbered)
    if first and is_anki(first[0][1]):
        return facts_in_anki(lines)
    if suffix in _TABLES:
        return facts_in_table(lines, "\t" if suffix == ".tsv" else None)
    return facts_and_passages(lines)


def _facts_in_json(lines: Iterable[tuple[int, str]]) -> Iterator[Found]:
    for number, line in lines:
        if line.strip():
            try:
                yield Found(number, "json", parse_fact(line))
            except KnowledgeError as error:
                yield Found(number, "json", error)


def parse_fact(line: str) -> Fact:
    """The fact in a line of JSON; ``KnowledgeError`` says what is wrong with it."""
    try:
        values = parse_json(line)
    except ValueError as error:
        raise KnowledgeError("knowledge.not_json") from error
    if not isinstance(values, dict):
        raise KnowledgeError("knowledge.no_object")
    others = {name: values[name] for name in ("aliases", "lang", "id") if name in values}
    for question, answer in _QUESTIONS:
        if question in values and "subject" not in values:
            return made_question(values[question], values.get(answer), **others)
    parts = (values.get(name) for name in ("subject", "relation", "object"))
    return made_fact(*parts, **others)
