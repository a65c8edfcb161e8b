import codecs
import io
import os
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from h2q.datasets import encodings
from h2q.datasets.encodings import CHUNK_BYTES, encoding_of, read_as_utf8, transcode
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.text_files import scan
from h2q.system.errors import CorpusError
from tests.conftest import CHINESE, corpus_file

DETECTED = {"utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "gb18030", ""}

# (encoding, text) that GB18030 would decode, or nearly, to something else.
FOREIGN_SENTENCES = [
    (
        "big5",
        "今天天氣很好。我們去公園散步，看到許多美麗的花朵和快樂的孩子在那裡玩耍，真令人高興。",
    ),
    (
        "euc_kr",
        "오늘은 날씨가 매우 좋습니다. 우리는 공원에서 산책을 하고 아름다운 꽃을 보았습니다.",
    ),
    ("euc_jp", "今日はとても良い天気です。私たちは公園を散歩して、たくさんの美しい花を見ました。"),
    (
        "shift_jis",
        "今日はとても良い天気です。私たちは公園を散歩して、たくさんの美しい花を見ました。",
    ),
    ("cp1251", "Сегодня очень хорошая погода. Мы гуляли в парке и видели много красивых цветов."),
    ("cp1251", "СЕГОДНЯ ОЧЕНЬ ХОРОШАЯ ПОГОДА. МЫ ГУЛЯЛИ В ПАРКЕ И ВИДЕЛИ МНОГО КРАСИВЫХ ЦВЕТОВ."),
    ("koi8_r", "Сегодня очень хорошая погода. Мы гуляли в парке и видели много красивых цветов."),
    (
        "cp1252",
        "Il était une fois, à l'orée d'une forêt, une fée très âgée qui rêvait d'être aimée.",
    ),
    ("cp1252", "“Größe”, sagte er – und aß ein süßes Brötchen über den Dächern von Köln."),
]
FOREIGN_WORDS = [
    ("big5", "你好，世界"),
    ("big5", "紅樓夢"),
    ("euc_kr", "안녕하세요 세계"),
    ("euc_jp", "日本語"),
    ("shift_jis", "こんにちは世界"),
    ("cp1251", "МОСКВА"),
    ("koi8_r", "Москва"),
    ("cp1252", "naïve rôle"),
]


def detect(data: bytes) -> str:
    """The encoding of bytes that are known not to be UTF-8 without a mark."""
    return encoding_of(io.BytesIO(data), not_utf8=True)


def transcoded(tmp_path, data: bytes, encoding: str) -> bytes:
    source = tmp_path / "source"
    source.write_bytes(data)
    target = io.BytesIO()
    transcode(source, encoding, target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
    ],
)
def test_a_mark_decides(mark, name):
    assert detect(mark + b"a\0b\0c\0d\0") == name
    assert detect(mark) == name


def test_a_mark_counts_at_the_beginning_only():
    assert detect(b"a" * CHUNK_BYTES + codecs.BOM_UTF16_LE + b"a\0b\0") == ""


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["Hello, world\n", CHINESE, "第一回\r\n\t此开卷第一回也。\r\n", "hello"], ids=range(4)
)
def test_utf16_without_a_mark(name, text):
    assert detect(text.encode(name)) == name


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_with_wide_spaces(name):
    """Chinese paragraphs begin with two ideographic spaces."""
    assert detect("　　此开卷第一回也。\n　　作者自云。\n".encode(name)) == name


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
def test_utf16_cut_inside_a_character(name):
    assert detect((CHINESE + CHINESE[0]).encode(name)[:-1]) == name


@pytest.mark.parametrize(
    "text",
    [
        "中文",
        "你好，世界",
        "人工智能",
        "今天天气很好。",
        "第一章 开始\n",
        "Chapter 1 是的\n",
        CHINESE,
    ],
)
def test_short_gb18030(text):
    assert detect(text.encode("gb18030")) == "gb18030"


@pytest.mark.parametrize("end", range(1, 5))
def test_gb18030_cut_inside_a_character(end):
    assert detect((CHINESE + "𠀀𠀀").encode("gb18030")[:-end]) == "gb18030"


def test_traditional_characters_in_gb18030():
    text = "今天天氣很好。我們去公園散步，看到許多美麗的花，孩子們在那裡玩，大家都說：“真好！”"
    assert detect(text.encode("gb18030")) == "gb18030"


def test_a_real_novel(tmp_path):
    data = corpus_file("hongloumeng.gb18030.txt").read_bytes()
    assert detect(data) == "gb18030"
    assert transcoded(tmp_path, data, "gb18030") == data.decode("gb18030").encode("utf-8")


@pytest.mark.parametrize(("encoding", "text"), FOREIGN_SENTENCES)
@pytest.mark.parametrize("times", [1, 20])
def test_foreign_sentences_are_not_taken_for_gb18030(encoding, text, times):
    assert detect((text * times).encode(encoding)) == ""


@pytest.mark.parametrize(("encoding", "text"), FOREIGN_WORDS)
def test_foreign_words_are_not_taken_for_gb18030(encoding, text):
    assert detect(text.encode(encoding)) == ""


@pytest.mark.parametrize("text", ["Il était âgé, né à Orléans", "Привет, мир", "日本語こんにちは"])
@pytest.mark.parametrize("damage", [b"\xe9t\xe9", b"\xa0\xa0", b"\xff"])
def test_damaged_utf8_is_not_taken_for_gb18030(text, damage):
    assert detect(text.encode("utf-8") + b" " + damage + b" ") == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\2\0\0\0\xd3\x10?1",
        b"\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0\1\0\0\0",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\1",
        b"PK\3\4\x14\0\0\0\x08\0",
        zlib.compress(CHINESE.encode() * 50),
        b"name\0value\0",
        b"A line of plain text.\n" * 20 + b"\0",
        "今天\0天气很好".encode("gb18030"),
        b"\0" * 4096,
        bytes(range(256)),
    ],
    ids=[
        "png",
        "elf",
        "jpeg",
        "zip",
        "zlib",
        "nul",
        "last-nul",
        "gb18030-nul",
        "zeros",
        "all-bytes",
    ],
)
def test_binaries_are_unknown(data):
    assert detect(data) == ""


@given(st.integers(), st.integers(64, 4096))
def test_random_bytes_are_unknown(seed, size):
    assert detect(b"\x80" + random.Random(seed).randbytes(size)) == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_without_an_exception(data):
    assert detect(data) in DETECTED


@pytest.mark.parametrize("before", range(5))
@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-be", "utf-32", "big5", "euc_jp"])
def test_characters_across_the_border_of_a_chunk(tmp_path, encoding, before):
    wide = "中文" if encoding in ("big5", "euc_jp") else "𠀀中😀"
    unit = len("a".encode(encoding.removesuffix("-be") + "-le" if "utf" in encoding else encoding))
    data = ("a" * (CHUNK_BYTES // unit - before) + wide).encode(encoding)
    assert transcoded(tmp_path, data, encoding) == data.decode(encoding).encode("utf-8")


@settings(deadline=None)
@example(text="\ufeffa", encoding="utf-16", chunk_bytes=1)
@example(text="\ufeff\ufeffa", encoding="utf-8", chunk_bytes=1)
@given(
    text=st.text(st.characters(codec="utf-8"), max_size=40),
    encoding=st.sampled_from(["gb18030", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    chunk_bytes=st.integers(1, 9),
)
def test_transcoding_equals_decode_and_encode(tmp_path_factory, text, encoding, chunk_bytes):
    marked = encoding in ("utf-16", "utf-32")  # the codec writes a mark; a second mark is text
    expected = (text if marked else text.removeprefix("\ufeff")).encode("utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "CHUNK_BYTES", chunk_bytes)
        folder = tmp_path_factory.getbasetemp()
        assert transcoded(folder, text.encode(encoding), encoding) == expected


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gb18030", b"text \xff text"),
        ("gb18030", "中".encode("gb18030")[:1]),
        ("utf-16-le", b"a\0b"),
        ("utf-16-le", b"\0\xd8a\0"),  # half a surrogate pair
        ("big5", b"\xff\xff"),
        ("ascii", "é".encode()),
    ],
)
def test_what_is_not_of_the_encoding_is_an_error(tmp_path, encoding, data):
    with pytest.raises(UnicodeError):
        transcoded(tmp_path, data, encoding)


# UTF-8, and where the first chunk ends


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["plain", "mark"])
@pytest.mark.parametrize("text", ["", "ascii", "中", CHINESE, "中文ab", "é"])
def test_utf8_is_told_with_and_without_a_mark(mark, text):
    assert encoding_of(io.BytesIO(mark + text.encode())) == "utf-8-sig"


@pytest.mark.parametrize("before", range(5))
def test_a_character_across_the_border_of_a_chunk_is_utf8(before):
    data = "é".encode() + b"a" * (CHUNK_BYTES - 2 - before) + "😀".encode()
    assert encoding_of(io.BytesIO(data)) == "utf-8-sig"


def test_nothing_behind_the_telling_chunk_is_read():
    stream = io.BytesIO(b"a" * CHUNK_BYTES + b"\xff" * CHUNK_BYTES + CHINESE.encode())
    assert encoding_of(stream) == ""
    assert stream.tell() == 2 * CHUNK_BYTES


# The three readers that detect encodings: text to train on, the knowledge base, text to score

KNOWN = '{"id": "a", "subject": "s", "relation": "r", "object": "o", "lang": "en"}'
NO_TEXT = ("skip.not_text", (0, [0]), "score.not_text")


def asked(data: bytes, folder: Path) -> tuple:
    """What each of the three makes of a file: its encoding or the reason to skip it; the number of
    its passages and the lines that cannot be read; its bytes as UTF-8 or the error."""
    directory = folder / "knowledge"
    directory.mkdir()
    (directory / "facts.jsonl").write_text(KNOWN)
    path = directory / "file.txt"
    path.write_bytes(data)
    found = scan(path, folder / "cache")
    trained = found.files[0].encoding if found.files else found.skipped[0][1]
    base = load_knowledge_base(directory)
    known = (base.passage_count, [problem.line for problem in base.problems()])
    try:
        scored = len(b"".join(read_as_utf8(path)))
    except CorpusError as error:
        scored = error.key
    return trained, known, scored


@pytest.mark.parametrize(
    ("data", "trained", "known", "scored"),
    [
        (b"", "skip.empty", (0, []), 0),
        (b"plain text\n", "utf-8", (1, []), 11),
        (CHINESE.encode(), "utf-8", (1, []), 127),
        (codecs.BOM_UTF8 + CHINESE.encode(), "utf-8-sig", (1, []), 127),
        (codecs.BOM_UTF8 * 2 + CHINESE.encode(), "utf-8-sig", (1, []), 130),
        (codecs.BOM_UTF8, "skip.empty", (0, []), 0),
        (CHINESE.encode("gb18030"), "gb18030", (1, []), 127),
        (("\ufeff" + CHINESE).encode("gb18030"), "gb18030", (1, []), 127),
        ("plain 我\n".encode("gb18030"), "gb18030", (1, []), 10),
        (b"plain\n" * 200_000 + CHINESE.encode("gb18030"), "gb18030", (62, []), 1_200_127),
        (CHINESE.encode("utf-16"), "utf-16", (1, []), 127),
        (CHINESE.encode("utf-16-le"), "utf-16-le", (1, []), 127),
        (CHINESE.encode("utf-16-be"), "utf-16-be", (1, []), 127),
        (CHINESE.encode("utf-32"), "utf-32", (1, []), 127),
        # Not text, or no longer text.
        (bytes(range(256)) * 4, *NO_TEXT),
        ("今天天氣很好。我們去公園散步".encode("big5"), *NO_TEXT),
        ("naïve rôle\n".encode("cp1252"), *NO_TEXT),
        # A knowledge base loses only the line.
        (
            b"plain text\n" * 100_000 + "naïve rôle\n".encode("cp1252"),
            *("skip.not_text", (62, [100_001]), "score.not_text"),
        ),
        (
            CHINESE.encode() + b"\xff\n" + CHINESE.encode(),
            *("skip.not_text", (1, [2]), "score.not_text"),
        ),
        (CHINESE.encode()[:-2], "skip.not_text", (0, [1]), "score.not_text"),
        (CHINESE.encode("utf-16")[:-1], "skip.not_text", (0, [1]), "score.not_text"),
        (CHINESE.encode("gb18030") * 20_000 + b"\xff\xff", "skip.not_text", None, "score.not_text"),
        # Text to score may contain NUL; elsewhere NUL is a sign that a file is not text.
        (b"a\0b\n", "skip.not_text", (0, [0]), 4),
        (b"\0" * 4096, "skip.not_text", (0, [0]), 4096),
        # A second mark is text, but text to train on does not begin with one.
        (("\ufeff" + CHINESE).encode("utf-16"), "skip.not_text", (1, []), 130),
    ],
    ids=range(25),
)
def test_hostile_files_with_each_of_the_three_that_ask(tmp_path, data, trained, known, scored):
    found = asked(data, tmp_path)
    assert (found[0], found[2]) == (trained, scored)
    assert known is None or found[1] == known


def test_a_head_that_happens_to_be_utf8_does_not_decide_where_all_is_read(tmp_path):
    """一 in GB18030 is also valid UTF-8. The knowledge base decides by the first chunk."""
    data = "一" + "plain\n" * 200_000 + CHINESE * 3
    trained, (_, lines), scored = asked(data.encode("gb18030"), tmp_path)
    assert (trained, scored) == ("gb18030", len(data.encode()))
    assert lines == [200_001, 200_002, 200_003]


# Text as UTF-8


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
def test_a_file_is_read_as_utf8_a_chunk_at_a_time(tmp_path, encoding):
    path = tmp_path / "file.txt"
    path.write_bytes((CHINESE * 30_000).encode(encoding))
    chunks = list(read_as_utf8(path))
    assert b"".join(chunks) == (CHINESE * 30_000).encode()
    assert max(map(len, chunks)) < 2 * CHUNK_BYTES


@pytest.mark.parametrize(
    ("name", "key"),
    [("none", "corpus.unreadable"), (".", "score.regular"), ("pipe", "score.regular")],
)
def test_what_is_no_file_is_refused(tmp_path, name, key):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError) as caught:
        list(read_as_utf8(tmp_path / name))
    assert (caught.value.key, caught.value.values["path"]) == (key, tmp_path / name)
