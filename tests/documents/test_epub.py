import pytest

from h2q.documents import compressed
from h2q.documents.epub import epub_text
from h2q.system.errors import DocumentError
from tests.documents.conftest import archive

CONTAINER = (
    '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/><rootfile full-path="no"/>'
    "</rootfiles></container>"
)
PACKAGE = """<package xmlns="urn:opf"><manifest>
<item id="b" href="text/second%20one.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="first.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="../third.html" media-type="text/html"/>
<item id="img" href="cover.svg" media-type="image/svg+xml"/>
<item id="gone" href="gone.xhtml" media-type="application/xhtml+xml"/>
</manifest><spine><itemref idref="img"/><itemref idref="a"/><itemref idref="b"/>
<itemref idref="gone"/><itemref idref="nowhere"/><itemref idref="c"/><itemref idref="a"/></spine>
</package>"""


def page(text: str) -> str:
    doctype = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://x/xhtml11.dtd">'
    return f'<?xml version="1.0"?>{doctype}<html><title>no</title><body><p>{text}</p></body></html>'


def book(**changes) -> dict:
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE,
        "OEBPS/first.xhtml": page("One&nbsp;&mdash; 第一"),
        "OEBPS/text/second one.xhtml": page("Two").encode("utf-16"),
        "third.html": b"\xef\xbb\xbf" + page("Three").encode(),
        "OEBPS/cover.svg": "<svg>no</svg>",
        "OEBPS/unlisted.xhtml": page("no"),
    }
    return {name: data for name, data in {**members, **changes}.items() if data is not None}


def test_chapters_in_reading_order():
    text = "".join(epub_text(archive(book())))
    assert text == "One\u00a0— 第一\n\nTwo\n\nThree\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"META-INF/container.xml": None},
        {"META-INF/container.xml": "<container/>"},
        {"OEBPS/book.opf": None},
        {"OEBPS/book.opf": "<package>"},
        {"OEBPS/first.xhtml": b"\x9c\xff\x00 encrypted"},
        {"OEBPS/first.xhtml": page("中").encode()[:-20] + b"\xe4"},
    ],
)
def test_a_damaged_or_protected_book_is_refused(changes):
    with pytest.raises(DocumentError) as caught:
        list(epub_text(archive(book(**changes))))
    assert caught.value.key == "document.damaged"


def test_an_empty_page_is_no_chapter():
    text = "".join(epub_text(archive(book(**{"OEBPS/first.xhtml": ""}))))
    assert text.split() == ["Two", "Three"]


def test_a_book_without_a_chapter_is_empty():
    assert "".join(epub_text(archive(book(**{"OEBPS/book.opf": "<package/>"})))) == ""


def test_a_bomb_among_the_chapters_is_refused(monkeypatch):
    monkeypatch.setattr(compressed, "FREE_BYTES", 10_000)
    big = book(**{"OEBPS/first.xhtml": page("x" * 5_000_000)})
    with pytest.raises(DocumentError) as caught:
        list(epub_text(archive(big)))
    assert caught.value.key == "document.bomb"
