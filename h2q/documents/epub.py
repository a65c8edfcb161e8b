"""The text of an e-book (``.epub``): its chapters in reading order. Copy protection is not undone."""

import codecs
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from h2q.documents.compressed import Archive
from h2q.documents.html_text import visible_text
from h2q.documents.xml_events import xml_events
from h2q.system.errors import DocumentError

_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def epub_text(stream: BinaryIO) -> Iterator[str]:
    """The visible text of all chapters. Raises ``DocumentError`` for a book that is damaged or
    protected."""
    archive = Archive(stream)
    for event in xml_events(archive.chunks(_CONTAINER)):
        if event.name == "rootfile":
            package = event.attributes.get("full-path", "")
            break
    else:
        raise DocumentError("document.damaged")
    for number, name in enumerate(_chapters(archive, package)):
        yield "\n" if number else ""
        yield from visible_text(_decoded(archive.chunks(name)))


def _chapters(archive: Archive, package: str) -> list[str]:
    """The names of the members to read, in order. Of those that are missing, none is listed."""
    pages: dict[str, str] = {}
    order: list[str] = []
    for event in xml_events(archive.chunks(package)):
        attributes = event.attributes
        if event.kind == "start" and event.name == "item":
            if attributes.get("media-type") in _PAGES:
                pages[attributes.get("id", "")] = _unescaped(attributes.get("href", ""))
        elif event.kind == "start" and event.name == "itemref":
            order.append(attributes.get("idref", ""))
    folder = posixpath.dirname(package)
    names = (posixpath.normpath(posixpath.join(folder, pages.get(page, ""))) for page in order)
    return [name for name in dict.fromkeys(names) if name in archive.names]


def _unescaped(reference: str) -> str:
    """``chapter%201.xhtml`` as the name of a member."""
    name = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), reference.encode())
    return name.decode("utf-8", "replace")


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """A page as text: UTF-16 where it has the mark, else UTF-8, as EPUB demands."""
    decoder = None
    try:
        for chunk in chunks:
            if decoder is None:
                wide = chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
                decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
            yield decoder.decode(chunk)
        if decoder is not None:
            yield decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise DocumentError("document.damaged") from error
