import gzip
import io
import zipfile

import pytest

from h2q.documents import compressed
from h2q.documents.compressed import FREE_BYTES, Archive, GzipText
from h2q.system.errors import DocumentError
from tests.documents.conftest import archive


def refused(work) -> str:
    with pytest.raises(DocumentError) as caught:
        work()
    return caught.value.key


def test_members_are_read_in_chunks():
    data = bytes(range(256)) * 1000
    found = Archive(archive({"a/b.bin": data, "c": b""}))
    assert found.names == {"a/b.bin", "c"}
    chunks = list(found.chunks("a/b.bin"))
    assert b"".join(chunks) == data and len(chunks) > 1
    assert list(found.chunks("c")) == []


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\3\4" + b"\0" * 40])
def test_what_is_no_archive_is_refused(data):
    assert refused(lambda: Archive(io.BytesIO(data))) == "document.damaged"


def test_damaged_protected_and_missing_members_are_refused():
    data = bytearray(archive({"a": b"some text " * 50}).getvalue())
    place = data.index(b"some" if b"some" in data else b"a") + 12
    data[place] ^= 0xFF
    assert refused(lambda: list(Archive(io.BytesIO(data)).chunks("a"))) == "document.damaged"
    whole = archive({"a": b"text"})
    assert refused(lambda: list(Archive(whole).chunks("b"))) == "document.damaged"
    locked = bytearray(whole.getvalue())
    locked[6] |= 1  # the flag of encryption, in the member and in the directory
    locked[locked.index(b"PK\1\2") + 8] |= 1
    assert refused(lambda: list(Archive(io.BytesIO(locked)).chunks("a"))) == "document.damaged"


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(compressed, "FREE_BYTES", 1000)
    zeros = b"\0" * 5_000_000
    bomb = Archive(archive({"a": zeros}))
    read = 0
    with pytest.raises(DocumentError) as caught:
        for chunk in bomb.chunks("a"):
            read += len(chunk)
    assert caught.value.key == "document.bomb" and read < 2_000_000
    packed = io.BytesIO(gzip.compress(zeros))
    assert refused(lambda: GzipText(packed).read()) == "document.bomb"


def test_all_members_share_one_limit(monkeypatch):
    monkeypatch.setattr(compressed, "FREE_BYTES", 0)
    monkeypatch.setattr(compressed, "MOST_RATIO", 2)
    data = bytes(range(256)) * 4
    found = Archive(archive({"a": data, "b": data}, zipfile.ZIP_STORED))
    for name in ("a", "b"):
        assert b"".join(found.chunks(name)) == data
    for _ in range(2):
        list(found.chunks("a"))
    assert refused(lambda: [list(found.chunks("a")) for _ in range(4)]) == "document.bomb"


def test_a_small_file_may_unpack_to_much():
    data = b"the same line\n" * (FREE_BYTES // 14)
    assert GzipText(io.BytesIO(gzip.compress(data))).read() == data


@pytest.mark.parametrize("cut", [0, 1, 5, 15, -4, -1])
def test_a_damaged_gzip_is_refused(cut):
    data = gzip.compress(b"a text " * 100)
    if cut:  # an empty file is an empty text
        assert refused(lambda: GzipText(io.BytesIO(data[:cut])).read()) == "document.damaged"
    assert refused(lambda: GzipText(io.BytesIO(b"no gzip at all")).read()) == "document.damaged"
