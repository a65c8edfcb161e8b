import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.documents import html_text
from h2q.documents.html_text import visible_text
from h2q.system.errors import DocumentError
from tests.documents.conftest import cut

PAGE = """<!DOCTYPE html><html><head><title>Not shown</title><style>p {color: red}</style>
<script>if (a < b) { document.write("<p>no</p>") }</script></head>
<body><h1>A   heading</h1><p>First <b>bold</b>, then
more.</p><p>R&amp;D&nbsp;&#8212; 中文</p><ul><li>one<li>two</ul>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
line<br>next<!-- comment --><pre>
  kept   as
    it is</pre><noscript>none</noscript>end</body></html>
"""
SHOWN = (
    "A heading\n\nFirst bold, then more.\n\nR&D\u00a0— 中文\n\none\ntwo\na\tb\n1\t2\nline\nnext\n\n"
    "\n  kept   as\n    it is\n\nend\n"
)


def shown(*pieces: str) -> str:
    return "".join(visible_text(pieces))


def test_what_a_browser_shows():
    assert shown(PAGE) == SHOWN


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_it_does_not_depend_on_how_the_page_is_cut(data):
    assert shown(*data.draw(cut(PAGE))) == SHOWN


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("", "\n"),
        ("just text", "just text\n"),
        ("a<br><br>b", "a\n\nb\n"),
        ("<title>never ended<body>text", "text\n"),
        ("<script>never ended text", "\n"),
        ("<p>text <a href='never ended", "text\n"),
        ("AT&T and Q&A", "AT&T and Q&A\n"),
        ("a <![if x]>b<![endif]> <![foo[c]]>d", "a b d\n"),
        ("</pre></p>a<p/>b", "a\n\nb\n"),
        ("全角\u3000空格", "全角\u3000空格\n"),
        ("<div><div>a</div></div>b", "a\nb\n"),
    ],
)
def test_pages_that_are_not_as_they_should_be(page, text):
    assert shown(page) == text


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet="<>/!-[]&;#pa x\"'=\n", max_size=80))
def test_nothing_makes_it_fail(page):
    shown(page)


def test_a_mark_without_an_end_is_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(html_text, "MOST_CHARACTERS", 1000)
    monkeypatch.setattr(html_text, "_FEED_CHARACTERS", 100)
    with pytest.raises(DocumentError) as caught:
        shown("text <!-- " + "never ended " * 500)
    assert caught.value.key == "document.long_line"


def test_a_tag_may_hold_a_picture_but_not_endless_attributes(monkeypatch):
    monkeypatch.setattr(html_text, "_FEED_CHARACTERS", 1000)
    monkeypatch.setattr(html_text, "_MOST_OF_A_TAG", 100)
    picture = "<img alt='x' src=\"data:image/png;base64," + "a/b " * 2000 + '">'
    assert shown(f"one {picture} two <!-- {'c ' * 2000} -->") == "one two\n"
    for mark in ("<p " + "a " * 2000, "</p " + "a/" * 2000, "<" + "a" * 3000):
        with pytest.raises(DocumentError) as caught:
            shown(mark)
        assert caught.value.key == "document.long_line"
