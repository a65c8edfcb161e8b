"""Which encoding a text is in, and the text as UTF-8.

UTF-8 and UTF-16 (with or without a byte-order mark), UTF-32 with a mark, and GB18030 are
recognised. Nearly any bytes decode as GB18030, even those of Big5, so the result must also look
like Chinese. Everything else is reported as unknown: there is no guessing. Does not check that a
text fits its encoding to the end; reading it does.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from h2q.system.errors import CorpusError

CHUNK_BYTES = 1 << 20
_BOMS = (  # UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Codecs that remove the mark of the text themselves; a second mark is text.
_TAKE_THEIR_MARK = {"utf-8-sig", "utf-16", "utf-32"}
# Frequent characters of modern and older Chinese prose, simplified and traditional: about a third
# of any text.
_FREQUENT = frozenset(
    "的一是不了在人有我他这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你对對生能而子那"
    "得于於着下自之年过過发發后後作里裡用道行所然家种種事成方多经經么麼去法学學如都同现現当當没沒动動"
    "面起看定天分还還进進好小部其些主样樣理心她本前开開但因只从從想实實日月明文字吾乃曰者矣此何无無"
)


def encoding_of(stream: BinaryIO, *, not_utf8: bool = False) -> str:
    """The encoding of the text in ``stream``, judged by its first chunk that holds more than ASCII.

    Returns the name of a codec, ``"utf-8-sig"`` for UTF-8 with or without a mark, or ``""`` for
    bytes that are binary or in no recognised encoding. Nothing after that chunk is read: the rest
    may still not fit. ``not_utf8`` says that the caller has read the whole text, and that it is not
    UTF-8 or begins with a mark.
    """
    head = _telling_chunk(stream)
    if not not_utf8 and _begins_as_utf8(head):
        return "utf-8-sig"
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    if b"\0" in head:
        return next((n for n in ("utf-16-le", "utf-16-be") if _is_plain_utf16(head, n)), "")
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(head)
    except UnicodeDecodeError:
        return ""
    return "gb18030" if _looks_chinese(text) else ""


def _telling_chunk(stream: BinaryIO) -> bytes:
    """The first chunk of a text that holds more than ASCII, which nearly all encodings share.

    The last byte of the chunk before it, if any, is put in front: so a mark counts only at the
    beginning of the text.
    """
    before = b""
    while chunk := stream.read(CHUNK_BYTES):
        if not chunk.isascii() or b"\0" in chunk:
            break
        before = chunk[-1:]
    return before + chunk


def _begins_as_utf8(head: bytes) -> bool:
    """Whether ``head`` is UTF-8 without NUL; its last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")("strict").decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _is_plain_utf16(head: bytes, name: str) -> bool:
    """Whether ``head`` is UTF-16 without a mark: it decodes, holds no control characters, and what
    is not ASCII looks like Chinese. (Decoding proves little: nearly any two bytes make some
    character.)"""
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return False
    usual = all(char.isprintable() or char in "\r\n\t\u3000" for char in text)
    return bool(text) and usual and _looks_chinese(text)


def _looks_chinese(text: str) -> bool:
    """Whether the characters that are not ASCII are those of Chinese prose: at least half belong to
    the punctuation and the first level of GB 2312, at least 8 % are among the most frequent."""
    wide = [char for char in text if not char.isascii()]
    everyday = frequent = 0
    for char in wide:
        first, *rest = char.encode("gb18030")
        everyday += len(rest) == 1 and rest[0] >= 0xA1 and (first <= 0xA3 or 0xB0 <= first <= 0xD7)
        frequent += char in _FREQUENT
    return everyday >= 0.5 * len(wide) and frequent >= 0.08 * len(wide)


def transcode(source: Path, encoding: str, target: BinaryIO) -> None:
    """Writes the text of ``source`` to ``target`` as UTF-8, a chunk at a time, without its mark.

    Raises ``UnicodeError`` where the bytes are not of that encoding.
    """
    with open(source, "rb") as stream:
        for text in decoded(stream, encoding):
            target.write(text.encode("utf-8"))


def decoded(stream: BinaryIO, encoding: str) -> Iterator[str]:
    """The text of ``stream``, a chunk at a time, without its mark. Raises ``UnicodeError`` where the
    bytes are not of that encoding."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    begun = codecs.lookup(encoding).name in _TAKE_THEIR_MARK
    while chunk := stream.read(CHUNK_BYTES):
        text = decoder.decode(chunk)
        if text and not begun:
            text, begun = text.removeprefix("\ufeff"), True
        yield text
    yield decoder.decode(b"", final=True)


def read_as_utf8(path: Path) -> Iterator[bytes]:
    """The text of a file as UTF-8, a chunk at a time, its encoding detected as for training.

    Raises ``CorpusError`` when there is no such file or its encoding is not recognised.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe can be read once only
            raise CorpusError("score.regular", path=path)
        with open(path, "rb") as stream:
            encoding = "utf-8"
            if not _is_utf8(stream):
                stream.seek(0)
                encoding = encoding_of(stream, not_utf8=True)
            if not encoding:
                raise CorpusError("score.not_text", path=path)
            stream.seek(0)
            for text in decoded(stream, encoding):
                yield text.encode("utf-8")
    except OSError as error:
        raise CorpusError("corpus.unreadable", path=path, reason=error.strerror) from error
    except UnicodeError as error:
        raise CorpusError("score.not_text", path=path) from error


def _is_utf8(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        while chunk := stream.read(CHUNK_BYTES):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
