from pathlib import Path

import pytest

from h2q.documents.formats import CONTAINERS, MARKED_UP, PLAIN, Format, format_of, known_format

KNOWN = {
    "a.txt": Format("txt"),
    "A.MD": Format("md"),
    "a.markdown": Format("md"),
    "a.htm": Format("html"),
    "a.xhtml": Format("html"),
    "a.ndjson": Format("jsonl"),
    "a.b.docx": Format("docx"),
    "a.csv.gz": Format("csv", compressed=True),
    "a.html.GZ": Format("html", compressed=True),
    "WhatsApp Chat with Anna.txt": Format("whatsapp"),
    "_chat.txt": Format("whatsapp"),
    "whatsapp.txt.gz": Format("whatsapp", compressed=True),
    "result.json": Format("telegram"),
}
UNKNOWN = {
    "a.py": Format("py"),
    "Makefile": Format("txt"),
    "a.json": Format("json"),
    "crash.1": Format("txt"),
    "a.tar.gz": Format("tar", compressed=True),
    "a.docx.gz": Format("txt", compressed=True),
    "notes.gz": Format("txt", compressed=True),
    ".md": Format("txt"),
    "a.whatsapp": Format("txt"),
    "a.telegram": Format("txt"),
    "a.a b": Format("txt"),
    "a.averylongsuffix": Format("txt"),
    "a.": Format("txt"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_formats_that_are_read_unasked(name):
    assert known_format(Path("some.html", name)) == format_of(Path(name)) == KNOWN[name]


@pytest.mark.parametrize("name", UNKNOWN)
def test_formats_that_are_read_when_they_are_named(name):
    assert known_format(Path("some.html", name)) is None
    assert format_of(Path(name)) == UNKNOWN[name]


def test_which_bytes_are_the_text():
    assert all(Format(name).as_it_lies for name in [*PLAIN, "py"])
    assert not any(Format(name).as_it_lies for name in [*MARKED_UP, *CONTAINERS])
    assert not Format("txt", compressed=True).as_it_lies


def test_no_format_is_of_two_kinds():
    names = [*PLAIN, *MARKED_UP, *CONTAINERS]
    assert len(set(names)) == len(names)
