"""A person's text files: found, checked and hashed, each in one pass.

UTF-8 files stay where they are; files in other encodings are converted once, into a cache. A file
that is not text is listed with the reason. Never holds a whole file in memory, and does not know
what the text is for.
"""

import codecs
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from h2q.datasets import encodings
from h2q.system.errors import CorpusError
from h2q.system.files import sha256_of_file, write_atomically
from h2q.system.paths import CHECKPOINT_DIR

BLOCK_BYTES = 4096  # text is hashed, and later held out, in blocks of this size


@dataclass(frozen=True)
class TextFile:
    """One file of a text directory, checked and hashed."""

    path: Path  # the person's file
    stored: Path  # where its UTF-8 bytes are: the same file, or its converted copy
    offset: int  # bytes before the text (a byte-order mark)
    size: int  # bytes of UTF-8
    characters: int
    lines: int  # number of line ends
    encoding: str
    modified_ns: int  # of ``stored``
    digest: str  # SHA-256 over the digests of its blocks
    blocks: NDArray[np.uint64]  # the first 8 bytes of the SHA-256 of each block


@dataclass
class Scan:
    """What was found below a path: files of text, and what was skipped and why."""

    path: Path
    files: list[TextFile] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # path, key of the reason

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def encodings(self) -> Counter[str]:
        return Counter(file.encoding for file in self.files)


def find_text_files(path: Path) -> list[Path]:
    """All ``*.txt`` below a directory in sorted order, or the one file that ``path`` names.

    Symbolic links to files are followed, links to directories are not; a file that is reached
    twice counts once. Directories of checkpoints, in which our own runs write, are left out. A
    subdirectory that may not be read is in the list, so that ``scan`` reports it. Raises
    ``CorpusError`` when ``path`` itself is missing or cannot be listed.
    """
    path = Path(path)
    if not path.exists():
        raise CorpusError("corpus.missing", path=path)
    if not path.is_dir():
        return [path]

    found: dict[str, Path] = {}

    def note(error: OSError) -> None:
        if Path(error.filename) == path:
            raise CorpusError("corpus.unreadable", path=path, reason=error.strerror)
        found.setdefault(error.filename, Path(error.filename))  # ``scan`` will list it

    for folder, directories, names in os.walk(path, onerror=note):
        directories[:] = sorted(name for name in directories if name != CHECKPOINT_DIR)
        for name in sorted([*directories, *names]):
            if name.lower().endswith(".txt"):
                candidate = Path(folder, name)
                found.setdefault(os.path.realpath(candidate), candidate)
    return sorted(found.values())


def scan(path: Path, cache_dir: Path, encoding: str | None = None) -> Scan:
    """Checks and hashes every text file below ``path``.

    All files are read in ``encoding``, if one is given. Files that are not text are listed under
    ``skipped``. Raises ``CorpusError`` when a file is not in the ``encoding`` given.
    """
    result = Scan(Path(path))
    for file in find_text_files(path):
        try:
            status = file.stat()
            if stat.S_ISDIR(status.st_mode):
                os.listdir(file)  # raises for one that may not be read
            if not stat.S_ISREG(status.st_mode):
                result.skipped.append((file, "skip.special"))
            elif status.st_size == 0:
                result.skipped.append((file, "skip.empty"))
            elif (text := _examine(file, cache_dir, encoding)) is None:
                result.skipped.append((file, "skip.not_text"))
            elif text.size == 0:  # nothing but a byte-order mark
                result.skipped.append((file, "skip.empty"))
            else:
                result.files.append(text)
        except PermissionError:
            result.skipped.append((file, "skip.denied"))
        except FileNotFoundError:  # a dangling link, or deleted meanwhile
            result.skipped.append((file, "skip.gone"))
        except OSError:  # a link to itself, a broken disk
            result.skipped.append((file, "skip.unreadable"))
    return result


def _examine(file: Path, cache_dir: Path, forced: str | None) -> TextFile | None:
    """The file as text, in the encoding ``forced`` or in the one that is recognised; None when it
    is not text. A plain UTF-8 file is read only once; the encoding of other files is looked for."""
    if forced is not None:
        try:
            return _transcoded(file, cache_dir, forced)
        except UnicodeError as error:
            raise CorpusError(
                "corpus.encoding", path=file, encoding=forced, reason=error
            ) from error
    if (text := _as_utf8(file, file, "utf-8")) is not None:
        return text
    with open(file, "rb") as stream:
        encoding = encodings.encoding_of(stream, not_utf8=True)
    if encoding == "utf-8-sig":
        return _as_utf8(file, file, encoding, offset=len(codecs.BOM_UTF8))
    try:
        return _transcoded(file, cache_dir, encoding) if encoding else None
    except UnicodeError:
        return None


def _transcoded(file: Path, cache_dir: Path, encoding: str) -> TextFile | None:
    name = codecs.lookup(encoding).name  # never a path, as ``utf/8`` would be
    stored = Path(cache_dir) / f"{sha256_of_file(file)[:32]}.{name}.utf8"
    if not stored.exists():
        write_atomically(stored, lambda target: encodings.transcode(file, encoding, target))
    return _as_utf8(file, stored, encoding)


def _as_utf8(file: Path, stored: Path, encoding: str, offset: int = 0) -> TextFile | None:
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
        encoding=encoding,
        modified_ns=modified_ns,
        digest=whole.hexdigest(),
        blocks=np.frombuffer(bytes(hashes), dtype=">u8"),
    )


def block_digests(data: bytes, block_bytes: int) -> Iterator[bytes]:
    """The SHA-256 of each block of ``data``, the last one perhaps shorter."""
    for start in range(0, len(data), block_bytes):
        yield hashlib.sha256(data[start : start + block_bytes]).digest()
