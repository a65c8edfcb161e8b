"""The text that a browser would show of an HTML page. Runs no script, loads nothing."""

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

from h2q.documents.lines import MOST_CHARACTERS
from h2q.system.errors import DocumentError

_FEED_CHARACTERS = 1 << 20
_SPACES = re.compile(r"[ \t\n\r\f]+")  # those of HTML; U+3000 and the like are text
_MOST_OF_A_TAG = 1 << 16  # characters outside quotes
_QUOTED = re.compile(r""" "[^"]*(?:"|$) | '[^']*(?:'|$) """, re.VERBOSE)
_HIDDEN = {"script", "style", "template", "noscript", "title"}
_OWN_PARAGRAPH = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"}
_OWN_LINE = {
    *("address", "article", "aside", "body", "caption", "center", "dd", "details", "dialog", "div"),
    *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "legend"),
    *("li", "main", "nav", "ol", "option", "section", "summary", "table", "tr", "ul"),
}


class _Page(HTMLParser):
    """Turns elements into line ends, tabs and spaces. The text waits in ``pieces``."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._begun = False
        self._hidden = ""  # the element whose content is not shown
        self._preformatted = 0  # depth
        self._line_ends = 0  # before the next word
        self._gap = ""  # a space or a tab before the next word

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "body":  # a title without an end ends here
            self._hidden = ""
        elif tag in _HIDDEN and not self._hidden:
            self._hidden = tag
        if tag == "br":
            self._line_ends += 1
        elif tag in ("td", "th"):
            self._gap = "\t"
        self._break(tag)
        self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        self._break(tag)
        self._preformatted -= tag == "pre" and self._preformatted > 0

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """``<![…]>`` is a comment, as it is for a browser; some kinds would raise an error."""
        return self.parse_bogus_comment(i)

    def _break(self, tag: str) -> None:
        wanted = 2 if tag in _OWN_PARAGRAPH else 1 if tag in _OWN_LINE else 0
        self._line_ends = max(self._line_ends, wanted)

    def handle_data(self, data: str) -> None:
        if self._hidden or not data:
            return
        if self._preformatted:
            self._write(data)
            return
        words = _SPACES.sub(" ", data)
        if words.startswith(" "):
            self._gap = self._gap or " "
        if text := words.strip(" "):
            self._write(text)
            self._gap = " " if words.endswith(" ") else ""

    def _write(self, text: str) -> None:
        if self._begun:
            self.pieces.append("\n" * self._line_ends or self._gap)
        self.pieces.append(text)
        self._begun, self._line_ends, self._gap = True, 0, ""


def _is_endless(mark: str) -> bool:
    """Whether a mark, of which the end has not come yet, is longer than any has to be. A tag may hold
    a picture in quotes; its other attributes would take much memory."""
    if len(mark) > MOST_CHARACTERS:
        return True
    is_tag = mark.startswith("<") and not mark.startswith("<!")
    return is_tag and len(_QUOTED.sub("", mark)) > _MOST_OF_A_TAG


def visible_text(pieces: Iterable[str]) -> Iterator[str]:
    """The visible text of the page in ``pieces``. Raises ``DocumentError`` for a mark that does not
    end."""
    page = _Page()
    for piece in pieces:
        for start in range(0, len(piece), _FEED_CHARACTERS):
            page.feed(piece[start : start + _FEED_CHARACTERS])
            if _is_endless(page.rawdata):
                raise DocumentError("document.long_line")
            yield from page.pieces
            page.pieces.clear()
    if not page.rawdata.startswith("<"):  # a mark without an end is no text
        page.close()
    yield from [*page.pieces, "\n"]
