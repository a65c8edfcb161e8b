import codecs
import gzip
import json
import os

import pytest

from h2q.datasets.extraction import (
    document_format,
    read_text,
    reason_of,
    text_encoding,
    text_lines,
)
from h2q.documents.formats import Format
from h2q.system.errors import DocumentError
from tests.conftest import CHINESE
from tests.documents.conftest import archive

PAGE = f"<html><body><p>{CHINESE}</p><p>Two</p></body></html>"
CHAT = "31/12/20, 21:15 - Anna: 你好\n31/12/20, 21:16 - Ben: <Media omitted>\n"
WORD = {
    "_rels/.rels": '<a><b Type="x/officeDocument" Target="d.xml"/></a>',
    "d.xml": "<d><p><t>Eins</t></p><p><t>二\ufeff</t></p></d>",
}


def lines(path, encoding=None):
    return list(text_lines(path, encoding))


def refused(path, encoding=None) -> str:
    with pytest.raises(DocumentError) as caught:
        lines(path, encoding)
    return caught.value.key


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_lines_of_text_in_any_encoding(folder, codec, pack):
    suffix = ".gz" if pack is gzip.compress else ""
    for name, text in (("a.md", CHINESE + "Two\n"), ("a.html", PAGE), ("a.log", CHINESE + "Two")):
        path = folder / (name + suffix)
        path.write_bytes(pack(text.encode(codec)))
        found = [(number, line) for number, line in lines(path) if line]
        assert [line for _, line in found] == [CHINESE.strip(), "Two"]
        assert [number for number, _ in found] == ([1, 3] if name == "a.html" else [1, 2])


def test_lines_of_a_container(folder):
    (folder / "a.docx").write_bytes(archive(WORD).getvalue())
    assert lines(folder / "a.docx", "big5") == [(1, "Eins"), (2, "二")]  # no encoding to speak of


def test_lines_in_an_encoding_that_is_named(folder):
    (folder / "a.md").write_bytes("紅樓夢\n".encode("big5"))
    assert lines(folder / "a.md", "big5") == [(1, "紅樓夢")]
    assert refused(folder / "a.md") == "skip.not_text"
    assert refused(folder / "a.md", "ascii") == "skip.not_text"


def test_lines_before_a_flaw_are_read(folder):
    (folder / "a.md").write_bytes(CHINESE.encode() * 20_000 + b"\xff\n")
    found = []
    with pytest.raises(DocumentError) as caught:
        found.extend(text_lines(folder / "a.md"))
    assert caught.value.key == "skip.not_text"
    assert found[9000] == (9001, CHINESE.strip())


def test_what_is_no_file_is_refused(folder, monkeypatch):
    assert refused(folder / "nowhere.md") == "skip.gone"
    assert refused(folder) == "skip.unreadable"
    os.mkfifo(folder / "pipe.md")
    assert refused(folder / "pipe.md") == "skip.unreadable"
    (folder / "loop.md").symlink_to("loop.md")
    assert refused(folder / "loop.md") == "skip.unreadable"
    assert reason_of(PermissionError()) == "skip.denied"


def test_a_file_that_is_gone_meanwhile_is_refused(folder):
    with pytest.raises(DocumentError) as caught:
        list(read_text(folder / "gone.docx", Format("docx")))
    assert caught.value.key == "skip.gone"


def test_a_page_may_declare_its_encoding(folder):
    path, html = folder / "a.html", Format("html")
    for declaration in ('<META charset="Latin1">', "<meta content='text/html; charset=latin-1'>"):
        path.write_bytes(f"{declaration}<p>naïve rôle</p>".encode("latin-1"))
        assert text_encoding(path, html) == "iso8859-1"
        assert lines(path) == [(1, "naïve rôle")]
    for name in ("nothing", "rot13", "utf-16", "idna"):
        path.write_bytes(f"<meta charset={name}><p>naïve".encode("latin-1"))
        assert refused(path) == "skip.not_text"
    (folder / "a.md").write_bytes("<meta charset=latin-1>naïve".encode("latin-1"))
    assert refused(folder / "a.md") == "skip.not_text"


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_a_chat_is_known_by_its_name_and_its_beginning(folder, codec, pack):
    suffix = ".gz" if pack is gzip.compress else ""
    packed = pack is gzip.compress
    for name, text, format_name in (
        ("WhatsApp Chat.txt", CHAT, "whatsapp"),
        ("WhatsApp Chat.txt", "A diary of WhatsApp\n", "txt"),
        ("chat.txt", CHAT, "txt"),
    ):
        path = folder / (name + suffix)
        path.write_bytes(pack(text.encode(codec)))
        assert document_format(path) == Format(format_name, packed)
    path = folder / ("_chat.txt" + suffix)
    path.write_bytes(pack(CHAT.encode(codec)))
    assert lines(path) == [(1, "Anna: 你好")]


def test_characters_that_no_text_holds(folder):
    (folder / "a.jsonl").write_text(json.dumps({"text": "\ufeffa\0b\ud83dc\U0001f600"}))
    assert "".join(read_text(folder / "a.jsonl", Format("jsonl"))) == "ab?c\U0001f600\n"
    (folder / "a.md.gz").write_bytes(gzip.compress(b"binary\0"))
    assert refused(folder / "a.md.gz") == "skip.not_text"


def test_text_of_a_damaged_gzip_is_refused(folder):
    (folder / "a.md.gz").write_bytes(gzip.compress(CHINESE.encode() * 9)[:-9])
    assert refused(folder / "a.md.gz") == "document.damaged"
    (folder / "WhatsApp.txt.gz").write_bytes(b"rubbish")
    assert refused(folder / "WhatsApp.txt.gz") == "document.damaged"


def test_the_mark_of_the_file_is_no_text(folder):
    (folder / "a.md").write_bytes(codecs.BOM_UTF8 + b"text")
    assert lines(folder / "a.md") == [(1, "text")]
