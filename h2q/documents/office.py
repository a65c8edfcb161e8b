"""The text of Word (``.docx``) and OpenDocument (``.odt``) files: a line for each paragraph.

The cells of a table's row stand in one line, with tabs between them. Notes are read; comments,
deleted text, headers and footers are not.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from h2q.documents.compressed import Archive
from h2q.documents.xml_events import XmlEvent, xml_events
from h2q.system.errors import DocumentError

_SPACES = re.compile(r"[ \t\n\r]+")
# Properties hold ``tab`` too; ``Fallback`` says once more what ``Choice`` said.
_NOT_READ_IN_WORD = {"pPr", "rPr", "sectPr", "tblPr", "Fallback", "del", "moveFrom"}
_NOT_READ_IN_ODT = {"annotation", "tracked-changes", "note-citation", "forms"}
_MOST_SPACES = 80  # in a row
_OFFICE_DOCUMENT = "/officeDocument"  # how the relationship to the main part ends


def word_text(stream: BinaryIO) -> Iterator[str]:
    """The text of a ``.docx``, and its footnotes and endnotes behind it. Raises ``DocumentError``."""
    archive = Archive(stream)
    main = _main_part(archive)
    folder = posixpath.dirname(main)
    notes = (posixpath.join(folder, name) for name in ("footnotes.xml", "endnotes.xml"))
    for part in (main, *(name for name in notes if name in archive.names)):
        yield from _word_part(xml_events(archive.chunks(part)))


def _main_part(archive: Archive) -> str:
    """The name of the member that holds the text. Raises ``DocumentError``."""
    if "_rels/.rels" in archive.names:
        for event in xml_events(archive.chunks("_rels/.rels")):
            attributes = event.attributes
            if attributes.get("Type", "").endswith(_OFFICE_DOCUMENT):
                return attributes.get("Target", "").lstrip("/")
    raise DocumentError("document.damaged")


def _read_only(events: Iterable[XmlEvent], left_out: set[str]) -> Iterator[XmlEvent]:
    """The events that are not within an element of those names."""
    depth = 0
    for event in events:
        if event.kind == "start" and (depth or event.name in left_out):
            depth += 1
        elif event.kind == "end" and depth:
            depth -= 1
        elif not depth:
            yield event


def _word_part(events: Iterable[XmlEvent]) -> Iterator[str]:
    cells, gap = 0, ""  # how deep in cells, and what comes before the next text in a row
    reading = False
    for event in _read_only(events, _NOT_READ_IN_WORD):
        match event.kind, event.name:
            case "start", "t":
                reading = True
            case "end", "t":
                reading = False
            case "text", text if reading:
                yield gap + text
                gap = ""
            case "start", "tab":
                yield "\t"
            case "start", "br" | "cr":
                yield " " if cells else "\n"
            case "start", "tc":
                cells += 1
            case "end", "tc":
                cells -= 1
                gap = "\t"
            case "end", "p" if cells:
                gap = gap or " "
            case "end", "p" | "tr":
                yield "\n"
                gap = ""


def odt_text(stream: BinaryIO) -> Iterator[str]:
    """The text of an ``.odt``; a note stands in brackets where it is called. Raises
    ``DocumentError``."""
    paragraphs = cells = notes = 0  # how deep
    gap = ""
    events = xml_events(Archive(stream).chunks("content.xml"))
    for event in _read_only(events, _NOT_READ_IN_ODT):
        match event.kind, event.name:
            case "start", "p" | "h":
                paragraphs += 1
            case "end", "p" | "h":
                paragraphs -= 1
                if cells or notes:
                    gap = gap or " "
                else:
                    yield "\n"
            case "text", text if paragraphs:
                yield gap + _SPACES.sub(" ", text)
                gap = ""
            case "start", "s":
                yield " " * _count(event.attributes.get("c", ""))
            case "start", "tab":
                yield "\t"
            case "start", "line-break":
                yield " " if cells else "\n"
            case "start", "note":
                notes += 1
                yield " ["
            case "end", "note":
                notes -= 1
                gap = ""
                yield "]"
            case "start", "table-cell":
                cells += 1
            case "end", "table-cell":
                cells -= 1
                gap = "\t"
            case "end", "table-row":
                yield "\n"
                gap = ""


def _count(digits: str) -> int:
    """How many spaces are meant; one where nothing is said."""
    return min(int(digits), _MOST_SPACES) if digits.isdecimal() else 1
