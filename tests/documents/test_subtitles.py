import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.documents.subtitles import cue_text
from tests.documents.conftest import cut

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there.
{\\an8}Second line

2
00:00:03,000 --> 00:00:04,000
42

3
00:00:05,000 --> 00:00:06,000
你好
"""
VTT = """WEBVTT - A title
Kind: captions

NOTE
a note of
two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:04.000 position:10%
<v Anna>It&apos;s <00:02.000>me &amp; you

01:00:01.000 --> 01:00:02.000
NOTE that this is said
"""


def said(text: str | list[str]) -> list[str]:
    return "".join(cue_text([text] if isinstance(text, str) else text)).splitlines()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (SRT, ["Hello there.", "Second line", "42", "你好"]),
        (SRT.replace("\n", "\r\n"), ["Hello there.", "Second line", "42", "你好"]),
        (SRT.replace("\n\n", "\n"), ["Hello there.", "Second line", "42", "你好"]),
        (VTT, ["It's me & you", "NOTE that this is said"]),
        ("no subtitles\nat all\n7", ["no subtitles", "at all", "7"]),
        ("1\n00:00:01,000 --> 00:00:02,000\n\n<i></i>\n", []),
        ("", []),
    ],
)
def test_only_what_is_said(text, lines):
    assert said(text) == lines


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_it_does_not_depend_on_how_the_text_is_cut(data):
    assert said(data.draw(cut(SRT))) == said(SRT)
