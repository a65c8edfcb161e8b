"""A person's text files: checked and hashed, each in one pass.

UTF-8 files stay where they are; other encodings and other formats become UTF-8 once, in a cache. A
file out of which no text can be read is listed with the reason. Never holds a whole file in memory,
and does not know what the text is for.
"""

import codecs
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from h2q.datasets import encodings
from h2q.datasets.extraction import document_format, read_text, reason_of, text_encoding
from h2q.datasets.file_search import find_files
from h2q.documents.formats import CONTAINERS, Format
from h2q.system.errors import CorpusError, DocumentError
from h2q.system.files import sha256_of_file, write_atomically

_EXTRACTION = 1  # raised when a format is read in another way, so that no older copy is used
BLOCK_BYTES = 4096  # text is hashed, and later held out, in blocks of this size


@dataclass(frozen=True)
class TextFile:
    """One file of a text directory, checked and hashed."""

    path: Path  # the person's file
    stored: Path  # where its UTF-8 bytes are: the same file, or the copy of its text
    offset: int  # bytes before the text (a byte-order mark)
    size: int  # bytes of UTF-8
    characters: int
    lines: int  # number of line ends
    format: str  # ``txt`` or another name of ``documents.formats``
    encoding: str  # of the file; ``utf-8`` for a container
    modified_ns: int  # of ``stored``
    digest: str  # SHA-256 over the digests of its blocks
    blocks: NDArray[np.uint64]  # the first 8 bytes of the SHA-256 of each block


@dataclass
class Scan:
    """What was found below a path: files of text, and what else, each with the key of a reason."""

    path: Path
    files: list[TextFile] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # could not be read
    left_out: list[tuple[Path, str]] = field(default_factory=list)  # was not to be read

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def encodings(self) -> Counter[str]:
        return Counter(file.encoding for file in self.files)


def scan(
    path: Path, cache_dir: Path, encoding: str | None = None, include: Sequence[str] = ()
) -> Scan:
    """Checks and hashes every text file below ``path``; ``find_files`` says which these are.

    All files in a format of text are read in ``encoding``, if one is given. Files that are not text
    are listed under ``skipped``. Raises ``CorpusError`` when a file is not in the ``encoding``
    given.
    """
    found = find_files(path, include)
    result = Scan(Path(path), left_out=found.left_out)
    for file in found.files:
        try:
            status = file.stat()
            if stat.S_ISDIR(status.st_mode):
                os.listdir(file)  # raises for one that may not be read
            if not stat.S_ISREG(status.st_mode):
                result.skipped.append((file, "skip.special"))
            elif status.st_size == 0:
                result.skipped.append((file, "skip.empty"))
            else:
                result.files.append(_examine(file, cache_dir, encoding))
        except DocumentError as error:
            result.skipped.append((file, error.key))
        except OSError as error:
            result.skipped.append((file, reason_of(error)))
    return result


def _examine(file: Path, cache_dir: Path, forced: str | None) -> TextFile:
    """The file as text, in the encoding ``forced`` or in the one that is recognised.

    Raises ``DocumentError`` where there is no text, and ``CorpusError`` where it is not ``forced``.
    """
    document = document_format(file, forced)
    try:
        if document.as_it_lies:
            text = _plain(file, document.name, cache_dir, forced)
        else:
            text = _extracted(file, document, cache_dir, forced)
    except UnicodeError as error:
        if forced is not None:
            raise CorpusError(
                "corpus.encoding", path=file, encoding=forced, reason=error
            ) from error
        text = None
    if text is None:
        raise DocumentError("skip.not_text")
    if text.size == 0:  # nothing but a byte-order mark, or pictures
        raise DocumentError("skip.empty" if document.as_it_lies else "skip.no_text")
    return text


def _plain(file: Path, name: str, cache_dir: Path, forced: str | None) -> TextFile | None:
    """A file whose bytes are the text. Plain UTF-8 is read only once; the encoding of other files
    is looked for."""
    if forced is not None:
        return _transcoded(file, name, cache_dir, forced)
    if (text := _as_utf8(file, file, name, "utf-8")) is not None:
        return text
    with open(file, "rb") as stream:
        encoding = encodings.encoding_of(stream, not_utf8=True)
    if encoding == "utf-8-sig":
        return _as_utf8(file, file, name, encoding, offset=len(codecs.BOM_UTF8))
    return _transcoded(file, name, cache_dir, encoding) if encoding else None


def _transcoded(file: Path, name: str, cache_dir: Path, encoding: str) -> TextFile | None:
    codec = codecs.lookup(encoding).name  # never a path, as ``utf/8`` would be
    stored = _copy(
        file, cache_dir, codec, lambda target: encodings.transcode(file, encoding, target)
    )
    return _as_utf8(file, stored, name, encoding)


def _extracted(
    file: Path, document: Format, cache_dir: Path, forced: str | None
) -> TextFile | None:
    """A file out of which the text has to be taken."""
    encoding = "utf-8"
    if document.name not in CONTAINERS:
        encoding = forced or text_encoding(file, document)
    codec = codecs.lookup(encoding).name

    def write(target: BinaryIO) -> None:
        for piece in read_text(file, document, encoding):
            target.write(piece.encode("utf-8"))

    stored = _copy(file, cache_dir, f"{codec}.{document.name}{_EXTRACTION}", write)
    return _as_utf8(file, stored, document.name, encoding)


def _copy(file: Path, cache_dir: Path, made_by: str, write: Callable[[BinaryIO], None]) -> Path:
    """The copy of the text of ``file`` in the cache, which ``write`` makes unless it is there.

    Raises ``DocumentError`` where the file changes meanwhile: the copy would be of another one.
    """
    before = file.stat()
    stored = Path(cache_dir) / f"{sha256_of_file(file)[:32]}.{made_by}.utf8"

    def write_unchanged(target: BinaryIO) -> None:
        write(target)
        after = file.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise DocumentError("skip.changed")

    if not stored.exists():
        write_atomically(stored, write_unchanged)
    return stored


def _as_utf8(
    file: Path, stored: Path, name: str, encoding: str, offset: int = 0
) -> TextFile | None:
    """``file`` as text; None unless the bytes of ``stored`` from ``offset`` on are UTF-8 without
    NUL and do not begin with a mark. One pass checks, counts and hashes them."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    whole = hashlib.sha256()
    hashes = bytearray()
    size = characters = lines = 0
    try:
        with open(stored, "rb") as stream:
            modified_ns = os.fstat(stream.fileno()).st_mtime_ns
            stream.seek(offset)
            while chunk := stream.read(encodings.CHUNK_BYTES):
                characters += len(decoder.decode(chunk))
                marked = size == 0 and offset == 0 and chunk.startswith(codecs.BOM_UTF8)
                if marked or b"\0" in chunk:
                    return None
                size += len(chunk)
                lines += chunk.count(b"\n")
                for digest in block_digests(chunk, BLOCK_BYTES):
                    whole.update(digest)
                    hashes += digest[:8]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return TextFile(
        path=file,
        stored=stored,
        offset=offset,
        size=size,
        characters=characters,
        lines=lines,
        format=name,
        encoding=encoding,
        modified_ns=modified_ns,
        digest=whole.hexdigest(),
        blocks=np.frombuffer(bytes(hashes), dtype=">u8"),
    )


def block_digests(data: bytes, block_bytes: int) -> Iterator[bytes]:
    """The SHA-256 of each block of ``data``, the last one perhaps shorter."""
    for start in range(0, len(data), block_bytes):
        yield hashlib.sha256(data[start : start + block_bytes]).digest()
