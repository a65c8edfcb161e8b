"""XML as a series of events, for files that nobody vouches for.

A document that declares entities is refused, and nothing outside the file is ever loaded. Holds no
tree, so memory does not grow with the document.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple
from xml.parsers import expat

from h2q.system.errors import DocumentError


class XmlEvent(NamedTuple):
    """The start of an element, its end, or text within it. Names are without their namespace."""

    kind: str  # ``start``, ``end`` or ``text``
    name: str  # of the element; of ``text`` the text itself
    attributes: Mapping[str, str] = MappingProxyType({})


def xml_events(chunks: Iterable[bytes]) -> Iterator[XmlEvent]:
    """The events of the document in ``chunks``. Raises ``DocumentError`` where it is not
    well-formed or declares entities."""
    events: list[XmlEvent] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        own = {_local(key): value for key, value in attributes.items()}
        events.append(XmlEvent("start", _local(name), own))

    def doctype(name: str, system: str | None, public: str | None, has_declarations: bool) -> None:
        if has_declarations:
            raise DocumentError("document.entities")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: events.append(XmlEvent("end", _local(name)))
    parser.CharacterDataHandler = lambda text: events.append(XmlEvent("text", text))
    parser.StartDoctypeDeclHandler = doctype
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
            yield from events
            events.clear()
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: of its encoding
        raise DocumentError("document.damaged") from error
    yield from events


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
