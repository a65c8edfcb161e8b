"""The text of a file in any format that is known, whatever its encoding.

Brings formats and encodings together. Writes no file, and keeps no more than a part of the text in
memory.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from h2q.datasets.encodings import decoded, encoding_of
from h2q.documents.chats import is_whatsapp
from h2q.documents.compressed import GzipText
from h2q.documents.formats import CONTAINERS, MARKED_UP, Format, format_of
from h2q.documents.lines import lines_of
from h2q.system.errors import DocumentError
from h2q.system.files import require_regular

_HEAD_BYTES = 4096
_EMPTY = "\r\n\t \u00a0"
_DECLARED = re.compile(rb"""<meta[^>]{0,200}charset=["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)


def text_lines(path: Path, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """The lines of the text in ``path`` with their numbers, from 1 on, without their ends.

    The numbers count the lines of the text that is read out of the file. A file in a format of text
    is in ``encoding``, or in the one that is recognised. Raises ``DocumentError``, whose sentence
    is the reason, where there is no such file or no text can be read out of it: at the beginning or
    after some lines.
    """
    try:
        require_regular(path)
        pieces = read_text(path, document_format(path, encoding), encoding)
        yield from enumerate(lines_of(pieces), start=1)
    except OSError as error:
        raise DocumentError(reason_of(error)) from error
    except UnicodeError as error:
        raise DocumentError("skip.not_text") from error


def reason_of(error: OSError) -> str:
    """The key of the sentence that says why a file could not be read."""
    if isinstance(error, PermissionError):
        return "skip.denied"
    if isinstance(error, FileNotFoundError):  # a dangling link, or deleted meanwhile
        return "skip.gone"
    return "skip.unreadable"  # a link to itself, a broken disk


def document_format(path: Path, encoding: str | None = None) -> Format:
    """The format of ``path``, by its name and, for a chat of WhatsApp, by how it begins."""
    found = format_of(path)
    if found.name == "whatsapp":
        with open(path, "rb") as file:
            stream = _unpacked(file, found)
            codec = encoding or encoding_of(stream) or "latin-1"
            stream.seek(0)
            head = stream.read(_HEAD_BYTES).decode(codec, "replace")
        if not is_whatsapp(head):
            return Format("txt", found.compressed)
    return found


def text_encoding(path: Path, document: Format) -> str:
    """The encoding of a format of text: the recognised one, or the one that a page declares.

    Raises ``DocumentError`` where it is neither.
    """
    with open(path, "rb") as file:
        stream = _unpacked(file, document)
        if name := encoding_of(stream):
            return name
        stream.seek(0)
        declared = _DECLARED.search(stream.read(_HEAD_BYTES)) if document.name == "html" else None
    if declared is not None:
        name = declared[1].decode("ascii")
        try:
            b" ".decode(name)
            return codecs.lookup(name).name
        except (LookupError, UnicodeError):  # no such encoding, or one of more than a byte
            pass
    raise DocumentError("skip.not_text")


def read_text(path: Path, document: Format, encoding: str | None = None) -> Iterator[str]:
    """The text of ``path`` in pieces.

    Raises ``DocumentError``, and ``UnicodeError`` where the bytes do not fit their encoding.
    """
    try:
        if document.name not in CONTAINERS:
            encoding = encoding or text_encoding(path, document)
        with open(path, "rb") as file:
            yield from _extracted(file, document, encoding)
    except OSError as error:
        raise DocumentError(reason_of(error)) from error


def _extracted(file: BinaryIO, document: Format, encoding: str | None) -> Iterator[str]:
    if document.name in CONTAINERS:
        return _tidy(CONTAINERS[document.name](file))
    assert encoding is not None  # it is known of every text
    pieces = decoded(_unpacked(file, document), encoding)
    extract = MARKED_UP.get(document.name)
    return pieces if extract is None else _tidy(extract(pieces))


def _unpacked(file: BinaryIO, document: Format) -> BinaryIO:
    return cast(BinaryIO, GzipText(file)) if document.compressed else file


def _tidy(pieces: Iterator[str]) -> Iterator[str]:
    """The pieces without what no UTF-8 text of ours holds: NUL, byte-order marks, and surrogates,
    in whose place stands a question mark. Empty lines at the beginning are no text either."""
    begun = False
    for piece in pieces:
        text = piece.replace("\0", "").replace("\ufeff", "")
        text = text.encode("utf-8", "replace").decode("utf-8")
        if text := text if begun else text.lstrip(_EMPTY):
            begun = True
            yield text
