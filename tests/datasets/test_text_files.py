import codecs
import gzip
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from h2q.datasets import encodings
from h2q.datasets import text_files as text_files_module
from h2q.datasets.encodings import CHUNK_BYTES
from h2q.datasets.extraction import read_text
from h2q.datasets.text_files import BLOCK_BYTES, scan
from h2q.documents import compressed
from h2q.system.errors import CorpusError
from tests.conftest import CHINESE, bytes_of, corpus_file
from tests.documents.conftest import archive


def scan_one(folder: Path, cache: Path, data: bytes, encoding: str | None = None):
    """The scan of a directory whose one file holds ``data``."""
    (folder / "one.txt").write_bytes(data)
    return scan(folder, cache, encoding)


@pytest.mark.parametrize("links", [{"x.txt": "x.txt"}, {"x.txt": "y.txt", "y.txt": "x.txt"}])
def test_link_to_itself_is_skipped(folder, cache, links):
    (folder / "a.txt").write_bytes(b"text")
    for name, target in links.items():
        (folder / name).symlink_to(target)
    found = scan(folder, cache)
    assert [file.path.name for file in found.files] == ["a.txt"]
    assert {path.name for path, _ in found.skipped} <= set(links)
    assert found.skipped


# Skipping


def make_fifo(path):
    os.mkfifo(path)


def make_directory(path):
    path.mkdir()


def make_empty(path):
    path.touch()


def make_dangling(path):
    path.symlink_to("nowhere")


def make_device(path):
    path.symlink_to("/dev/zero")


def make_binary(path):
    path.write_bytes(bytes(range(256)))


def make_nul(path):
    path.write_bytes(b"A line of plain text.\n" * 20 + b"\0")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_fifo, "skip.special"),
        (make_directory, "skip.special"),
        (make_device, "skip.special"),
        (make_empty, "skip.empty"),
        (make_dangling, "skip.gone"),
        (make_binary, "skip.not_text"),
        (make_nul, "skip.not_text"),
    ],
)
def test_what_is_no_text_is_listed(folder, cache, make, reason):
    (folder / "good.txt").write_bytes(b"text")
    make(folder / "x.txt")
    found = scan(folder, cache)
    assert [file.path.name for file in found.files] == ["good.txt"]
    assert found.skipped == [(folder / "x.txt", reason)]


def test_subdirectory_that_may_not_be_read_is_listed(folder, cache, monkeypatch):
    """Simulated: root may read everything."""
    (folder / "a.txt").write_bytes(b"text")
    (folder / "closed").mkdir()

    def guarded(function):
        def call(path):
            if Path(path).name == "closed":
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return function(path)

        return call

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    found = scan(folder, cache)
    assert [file.path.name for file in found.files] == ["a.txt"]
    assert found.skipped == [(folder / "closed", "skip.denied")]


@pytest.mark.parametrize(
    ("error", "reason"), [(PermissionError, "skip.denied"), (FileNotFoundError, "skip.gone")]
)
def test_file_that_cannot_be_opened_is_listed(folder, cache, monkeypatch, error, reason):
    for name in ("a.txt", "b.txt"):
        (folder / name).write_bytes(b"text")

    def guarded(path, *arguments, **options):
        if Path(path).name == "a.txt":
            raise error(path)
        return open(path, *arguments, **options)

    monkeypatch.setattr(text_files_module, "open", guarded, raising=False)
    found = scan(folder, cache)
    assert found.skipped == [(folder / "a.txt", reason)]
    assert [file.path.name for file in found.files] == ["b.txt"]


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_file_of_a_mark_alone_is_empty(folder, cache, mark):
    found = scan_one(folder, cache, mark)
    assert found.files == []
    assert found.skipped == [(folder / "one.txt", "skip.empty")]


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("text", [CHINESE + "中", "日本語こんにちは", "a" * 100 + "中"])
def test_utf8_cut_inside_its_last_character_is_skipped(folder, cache, text, cut):
    found = scan_one(folder, cache, text.encode()[:-cut])
    assert found.skipped == [(folder / "one.txt", "skip.not_text")]


# Encodings


def test_utf8_is_used_where_it_lies(folder, cache):
    [text] = scan_one(folder, cache, CHINESE.encode()).files
    assert (text.stored, text.offset, text.encoding) == (folder / "one.txt", 0, "utf-8")
    assert not cache.exists()


def test_utf8_with_mark_is_used_where_it_lies(folder, cache):
    [text] = scan_one(folder, cache, codecs.BOM_UTF8 + CHINESE.encode()).files
    assert (text.stored, text.encoding) == (folder / "one.txt", "utf-8-sig")
    assert bytes_of(text) == CHINESE.encode()


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["plain", "mark"])
@pytest.mark.parametrize("before", range(5))
def test_utf8_across_the_border_of_a_chunk(folder, cache, mark, before):
    data = b"a" * (CHUNK_BYTES - before) + "😀中".encode()
    [text] = scan_one(folder, cache, mark + data).files
    assert bytes_of(text) == data


@pytest.mark.parametrize(
    ("codec", "reported"),
    [
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
    ],
)
def test_other_encodings_become_utf8(folder, cache, codec, reported):
    text = CHINESE + "第二行。\n"
    found = scan_one(folder, cache, text.encode(codec))
    assert found.encodings == {reported: 1}
    assert bytes_of(found.files[0]) == text.encode()
    assert found.size == len(text.encode())


def test_mark_in_gb18030_is_not_part_of_the_text(folder, cache):
    [text] = scan_one(folder, cache, ("\ufeff" + CHINESE).encode("gb18030")).files
    assert bytes_of(text) == CHINESE.encode()


def test_a_real_novel(folder, cache):
    data = corpus_file("hongloumeng.gb18030.txt").read_bytes()
    [text] = scan_one(folder, cache, data).files
    assert bytes_of(text) == data.decode("gb18030").encode()


def test_foreign_text_far_from_the_beginning_is_skipped(folder, cache):
    """The first chunk, here ASCII, must not decide alone."""
    found = scan_one(folder, cache, b"plain text\n" * 100_000 + "naïve rôle\n".encode("cp1252"))
    assert found.skipped == [(folder / "one.txt", "skip.not_text")]


def test_broken_end_of_gb18030_is_skipped_and_leaves_nothing(folder, cache):
    found = scan_one(folder, cache, CHINESE.encode("gb18030") * 20_000 + b"\xff\xff")
    assert found.skipped == [(folder / "one.txt", "skip.not_text")]
    assert list(cache.iterdir()) == []


def test_transcoding_happens_once(folder, cache, monkeypatch):
    calls = []
    transcode = encodings.transcode

    def counted(*arguments):
        calls.append(arguments[1])
        return transcode(*arguments)

    monkeypatch.setattr(encodings, "transcode", counted)
    first = scan_one(folder, cache, CHINESE.encode("gb18030"))
    (folder / "one.txt").rename(folder / "renamed.txt")
    second = scan(folder, cache)
    assert calls == ["gb18030"]
    assert first.files[0].stored == second.files[0].stored
    scan_one(folder, cache, (CHINESE * 2).encode("gb18030"))
    assert calls == ["gb18030"] * 2


def test_cached_copies_are_not_found_as_texts(folder):
    """Also when a person trains in the directory that holds the texts."""
    cache = folder / "cache"
    first = scan_one(folder, cache, CHINESE.encode("gb18030"))
    second = scan(folder, cache)
    assert [file.path for file in second.files] == [file.path for file in first.files]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("big5", "紅樓夢"),
        ("cp1252", "“café”"),
        ("shift_jis", "日本語"),
        ("gb18030", "犇"),
        ("utf-8", "犇"),
    ],
)
def test_forced_encoding(folder, cache, encoding, text):
    [file] = scan_one(folder, cache, text.encode(encoding), encoding).files
    assert bytes_of(file) == text.encode()
    assert file.encoding == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gb18030"])
def test_forced_encoding_of_text_with_a_mark(folder, cache, encoding):
    [file] = scan_one(folder, cache, ("\ufeff" + CHINESE).encode(encoding), encoding).files
    assert bytes_of(file) == CHINESE.encode()


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "ascii", "utf-16"])
def test_wrong_forced_encoding(folder, cache, encoding):
    with pytest.raises(CorpusError, match=encoding) as caught:
        scan_one(folder, cache, b"\xff text", encoding)
    assert (caught.value.key, caught.value.exit_code) == ("corpus.encoding", 2)
    assert caught.value.values["path"] == folder / "one.txt"


def test_digest_depends_on_the_text_alone(folder, cache, tmp_path):
    data = CHINESE.encode() * 50
    [text] = scan_one(folder, cache, data).files
    [again] = scan_one(folder, cache, data).files
    other = tmp_path / "other"
    other.mkdir()
    [elsewhere] = scan_one(other, cache, codecs.BOM_UTF8 + data).files
    [changed] = scan_one(other, cache, data[:-1] + b" ").files
    assert text.digest == again.digest == elsewhere.digest != changed.digest
    blocks = [data[start : start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES)]
    digests = b"".join(hashlib.sha256(block).digest() for block in blocks)
    assert text.digest == hashlib.sha256(digests).hexdigest()


# Other formats


def test_other_formats_become_utf8_once(folder, cache, monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments[1].name)
        return read_text(*arguments)

    monkeypatch.setattr(text_files_module, "read_text", counted)
    (folder / "a.html").write_bytes(f"<p>{CHINESE}".encode("gb18030"))
    (folder / "b.md").write_text(CHINESE, encoding="utf-8")
    (folder / "c.md.gz").write_bytes(gzip.compress(CHINESE.encode()))
    (folder / "d.jsonl").write_text(json.dumps({"text": CHINESE.strip()}))
    for _ in range(2):
        found = scan(folder, cache)
        assert [bytes_of(text) for text in found.files] == [CHINESE.encode()] * 4
        kinds = [(text.format, text.encoding) for text in found.files]
        assert kinds == [
            ("html", "gb18030"), ("md", "utf-8"), ("md", "utf-8-sig"), ("jsonl", "utf-8-sig")
        ]  # fmt: skip
        assert calls == ["html", "md", "jsonl"]
    assert found.files[1].stored == folder / "b.md"
    assert len({text.digest for text in found.files}) == 1


def test_the_same_bytes_in_two_formats_have_two_copies(folder, cache):
    (folder / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\n")
    (folder / "a.html").write_bytes((folder / "a.srt").read_bytes())
    [html, srt] = scan(folder, cache).files
    assert bytes_of(srt) == b"Hello\n" and bytes_of(html).startswith(b"1 00:00")


def test_a_named_encoding_is_for_formats_of_text(folder, cache):
    word = {"_rels/.rels": '<a><b Type="/officeDocument" Target="d"/></a>', "d": "<p><t>x</t></p>"}
    (folder / "a.docx").write_bytes(archive(word).getvalue())
    (folder / "b.html").write_bytes("<p>紅樓夢".encode("big5"))
    found = scan(folder, cache, "big5")
    assert [bytes_of(text) for text in found.files] == [b"x\n", "紅樓夢\n".encode()]
    assert [text.encoding for text in found.files] == ["utf-8", "big5"]
    with pytest.raises(CorpusError) as caught:
        scan(folder, cache, "ascii")
    assert caught.value.key == "corpus.encoding"


def test_each_file_without_text_is_listed_and_the_others_are_read(folder, cache, monkeypatch):
    monkeypatch.setattr(compressed, "FREE_BYTES", 10_000)
    monkeypatch.setitem(sys.modules, "pypdf", None)
    evil = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    files = {
        "bomb.odt": archive({"content.xml": b"<p>" + b"x" * 5_000_000}).getvalue(),
        "bomb.txt.gz": gzip.compress(b"x" * 5_000_000),
        "broken.docx": b"PK\3\4 and then nothing",
        "entities.odt": archive({"content.xml": evil}).getvalue(),
        "latin.csv": "naïve;rôle".encode("latin-1"),
        "latin.html": "<p>naïve".encode("latin-1"),
        "nothing.html": b"<script>only()</script>",
        "other/result.json": b"{}",
        "paper.pdf": b"%PDF",
        "spoilt.html.gz": b"no gzip",
        "zero.epub": b"",
    }
    (folder / "other").mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "good.md").write_text("text")
    found = scan(folder, cache)
    assert [text.path.name for text in found.files] == ["good.md"]
    assert {path.relative_to(folder).as_posix(): reason for path, reason in found.skipped} == {
        "bomb.odt": "document.bomb",
        "bomb.txt.gz": "document.bomb",
        "broken.docx": "document.damaged",
        "entities.odt": "document.entities",
        "latin.csv": "skip.not_text",
        "latin.html": "skip.not_text",
        "nothing.html": "skip.no_text",
        "other/result.json": "document.no_chat",
        "paper.pdf": "document.pdf",
        "spoilt.html.gz": "document.damaged",
        "zero.epub": "skip.empty",
    }
    copies = [path.name for path in cache.iterdir()]
    assert len(copies) == 1 and copies[0].endswith(".html1.utf8"), "only the page without text"


@pytest.mark.parametrize("name", ["a.html", "a.txt"])
def test_a_file_that_changes_while_it_is_read_is_listed(folder, cache, monkeypatch, name):
    path = folder / name
    path.write_bytes(CHINESE.encode("gb18030"))
    digest = text_files_module.sha256_of_file

    def disturbed(file):
        result = digest(file)
        path.write_bytes(CHINESE.encode("gb18030") * 2)
        return result

    monkeypatch.setattr(text_files_module, "sha256_of_file", disturbed)
    assert scan(folder, cache).skipped == [(path, "skip.changed")]
    assert list(cache.iterdir()) == []
    monkeypatch.undo()
    [text] = scan(folder, cache).files
    assert bytes_of(text).startswith(CHINESE.encode()[:-1])


def test_what_was_left_out_is_told_by_the_scan(folder, cache):
    for name in ("a.txt", "b.md"):
        (folder / name).write_text("text")
    assert scan(folder, cache).left_out == [(folder / "b.md", "skip.not_txt")]
    found = scan(folder, cache, include=["*.md"])
    assert [text.path.name for text in found.files] == ["b.md"]
