import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.documents import lines
from h2q.documents.lines import lines_of
from h2q.system.errors import DocumentError
from tests.documents.conftest import cut

TEXT = "one\r\ntwo\n\n\u2028three\rfour\nfive"


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_lines_do_not_depend_on_how_the_text_is_cut(data):
    expected = ["one", "two", "", "\u2028three\rfour", "five"]
    assert list(lines_of(data.draw(cut(TEXT)))) == expected
    assert list(lines_of(data.draw(cut(TEXT + "\n")))) == expected


def test_a_line_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(lines, "MOST_CHARACTERS", 100)
    assert list(lines_of(["a" * 60, "b" * 40])) == ["a" * 60 + "b" * 40]
    with pytest.raises(DocumentError) as caught:
        list(lines_of(["a" * 60, "b" * 41]))
    assert caught.value.key == "document.long_line"
