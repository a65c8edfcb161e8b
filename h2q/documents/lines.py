"""The lines of a text that comes in pieces. Keeps one line in memory, which must not be endless."""

from collections.abc import Iterable, Iterator

from h2q.system.errors import DocumentError

MOST_CHARACTERS = 16 * 2**20  # of a line, or of one mark of a page


def lines_of(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of ``pieces`` joined, without their ends. Raises ``DocumentError`` for a line of
    more than ``MOST_CHARACTERS``."""
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line.removesuffix("\r")
        if len(rest) > MOST_CHARACTERS:
            raise DocumentError("document.long_line")
    if rest:
        yield rest.removesuffix("\r")
