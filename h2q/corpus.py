"""A person's text files as one stream of bytes, split into training and held-out, in batches.

Finds the files, checks and hashes each in one pass, and reads windows from where they lie, so
memory does not grow with the text. Reads by position instead of mapping files into memory: a
file that is cut short while in use is then an error with a name, not the death of the process.
Does not copy UTF-8 files; other encodings are transcoded once into a cache.
"""

import codecs
import hashlib
import os
import stat
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from h2q import encodings
from h2q.config import CHECKPOINT_DIR
from h2q.errors import CorpusError
from h2q.files import sha256_of_file, write_atomically
from h2q.messages import message
from h2q.tokenizer import END_OF_DOCUMENT, PAD

HELDOUT_FRACTION = 0.05
BLOCK_BYTES = 4096  # unit of the split
SMALL_BLOCK_BYTES = 512  # for text below SMALL_TEXT_BYTES, where one block of 4096 is too much
SMALL_TEXT_BYTES = 32_768
_OPEN_FILES = 64
_MARKER = -1  # the source of a segment that is one end-of-document token


@dataclass(frozen=True)
class TextFile:
    """One file of a text directory, checked and hashed."""

    path: Path  # the person's file
    stored: Path  # where its UTF-8 bytes are: the same file, or its transcoded copy
    offset: int  # bytes before the text (a byte-order mark)
    size: int  # bytes of UTF-8
    encoding: str
    modified_ns: int  # of ``stored``
    digest: str  # SHA-256 over the digests of its blocks
    blocks: np.ndarray  # first 8 bytes of the SHA-256 of each block, uint64


@dataclass
class Scan:
    """What was found below a path: files of text, and what was skipped and why."""

    files: list[TextFile] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # path, key of the reason

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def encodings(self) -> Counter:
        return Counter(file.encoding for file in self.files)


def find_text_files(path: Path) -> list[Path]:
    """All ``*.txt`` below a directory in sorted order, or the one file that ``path`` names.

    Symbolic links to files are followed, links to directories are not; a file reached twice
    counts once. What a run of ours writes below is no text of the person's. Raises
    ``CorpusError`` when ``path`` is missing or cannot be listed.
    """
    path = Path(path)
    if not path.exists():
        raise CorpusError("corpus.missing", path=path)
    if not path.is_dir():
        return [path]

    def refuse(error):
        raise CorpusError("corpus.unreadable", path=error.filename, reason=error.strerror)

    found = {}
    for folder, directories, names in os.walk(path, onerror=refuse):
        directories[:] = sorted(name for name in directories if name != CHECKPOINT_DIR)
        for name in sorted([*directories, *names]):
            if name.lower().endswith(".txt"):
                candidate = Path(folder, name)
                found.setdefault(os.path.realpath(candidate), candidate)
    return sorted(found.values())


def scan(path: Path, cache_dir: Path, encoding: str | None = None) -> Scan:
    """Checks and hashes every text file below ``path``.

    ``encoding`` forces one for all files. What is no text is listed as skipped. Raises
    ``CorpusError`` when a forced encoding does not fit.
    """
    result = Scan()
    for file in find_text_files(path):
        try:
            status = file.stat()
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


def _examine(file: Path, cache_dir: Path, encoding: str | None) -> TextFile | None:
    if encoding is None:
        if (text := _as_utf8(file, file, "utf-8")) is not None:
            return text
        with open(file, "rb") as stream:
            encoding = encodings.detect(encodings.telling_chunk(stream))
        if encoding == "utf-8-sig":
            return _as_utf8(file, file, encoding, offset=3)
        if not encoding:
            return None
        try:
            return _transcoded(file, cache_dir, encoding)
        except UnicodeError:
            return None
    try:
        return _transcoded(file, cache_dir, encoding)
    except UnicodeError as error:
        raise CorpusError("corpus.encoding", path=file, encoding=encoding, reason=error) from error


def _transcoded(file: Path, cache_dir: Path, encoding: str) -> TextFile | None:
    stored = Path(cache_dir) / f"{sha256_of_file(file)[:32]}.{encoding}.utf8"
    if not stored.exists():
        write_atomically(stored, lambda target: encodings.transcode(file, encoding, target))
    return _as_utf8(file, stored, encoding)


def _as_utf8(file: Path, stored: Path, encoding: str, offset: int = 0) -> TextFile | None:
    """Checks in one pass that ``stored`` is UTF-8 without NUL, hashing its blocks on the way."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    digests = bytearray()
    whole = hashlib.sha256()
    size = 0
    with open(stored, "rb") as stream:
        modified_ns = os.fstat(stream.fileno()).st_mtime_ns
        stream.seek(offset)
        while chunk := stream.read(encodings.CHUNK_BYTES):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return None
            if b"\0" in chunk or (size == 0 and offset == 0 and chunk.startswith(codecs.BOM_UTF8)):
                return None
            size += len(chunk)
            for digest in _block_digests(chunk, BLOCK_BYTES):
                whole.update(digest)
                digests += digest[:8]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    blocks = np.frombuffer(bytes(digests), dtype=">u8")
    return TextFile(file, stored, offset, size, encoding, modified_ns, whole.hexdigest(), blocks)


def _block_digests(data: bytes, block_bytes: int) -> Iterator[bytes]:
    for start in range(0, len(data), block_bytes):
        yield hashlib.sha256(data[start : start + block_bytes]).digest()


class _Reader:
    """Reads text by position from files that stay as they were scanned; keeps a few open."""

    def __init__(self, files: list[TextFile]):
        self.files = files
        self._open: OrderedDict[int, BinaryIO] = OrderedDict()

    def read(self, index: int, start: int, length: int) -> bytes:
        """Raises ``CorpusError`` when the file is gone or no longer what it was."""
        file = self.files[index]
        try:
            stream = self._open.get(index) or self._opened(index)
            self._open.move_to_end(index)
            status = os.fstat(stream.fileno())
            stream.seek(file.offset + start)
            data = stream.read(length)
        except OSError as error:
            raise CorpusError("corpus.changed", path=file.path) from error
        as_scanned = (file.offset + file.size, file.modified_ns)
        if (status.st_size, status.st_mtime_ns) != as_scanned or len(data) != length:
            raise CorpusError("corpus.changed", path=file.path)
        return data

    def _opened(self, index: int) -> BinaryIO:
        if len(self._open) >= _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        stream = open(self.files[index].stored, "rb", buffering=0)  # noqa: SIM115  closed above
        self._open[index] = stream
        return stream


class ByteStream:
    """Segments of files, one after the other, read as one circular sequence of ``len`` bytes.

    ``sources`` (index of the file), ``offsets`` and ``lengths`` (bytes) describe the segments.
    """

    def __init__(self, reader: _Reader, segments: list[tuple[int, int, int]]):
        self._reader = reader
        columns = np.array(segments, dtype=np.int64).reshape(-1, 3)
        self.sources, self.offsets, self.lengths = columns.T
        self._ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from position ``start`` on, going round at the end."""
        parts = []
        while length > 0:
            start %= len(self)
            index = int(np.searchsorted(self._ends, start, side="right"))
            remaining = int(self._ends[index]) - start
            count = min(length, remaining)
            if self.sources[index] == _MARKER:
                parts.append(bytes([END_OF_DOCUMENT]))
            else:
                offset = int(self.offsets[index] + self.lengths[index]) - remaining
                parts.append(self._reader.read(int(self.sources[index]), offset, count))
            start += count
            length -= count
        return b"".join(parts)

    def windows(self, length: int, limit_bytes: int) -> list[tuple[int, int]]:
        """Cuts each segment into windows of ``length`` bytes, each with one more byte to predict.

        Returns (start, bytes to predict) pairs; no window crosses a segment. Where the segments
        hold more than ``limit_bytes``, an evenly spaced choice, the same at every call.
        """
        result = []
        for end, size in zip(self._ends.tolist(), self.lengths.tolist()):
            for begin in range(end - size, end - 1, length):
                result.append((begin, min(length, end - 1 - begin)))
        most = max(1, limit_bytes // length)
        if len(result) > most:
            result = [result[i * len(result) // most] for i in range(most)]
        return result


@dataclass(frozen=True)
class Corpus:
    """Text to train on and text that is never trained on."""

    train: ByteStream
    heldout: ByteStream
    scan: Scan  # of the training text
    fingerprint: str  # SHA-256 of both, and of how they were split


def open_corpus(
    path: Path,
    cache_dir: Path,
    *,
    context_length: int,
    eval_path: Path | None = None,
    heldout: ByteStream | None = None,
    encoding: str | None = None,
) -> Corpus:
    """The text below ``path``, ready to train on.

    The held-out part is the text below ``eval_path``, or the stream ``heldout``, or else about
    5 % of the blocks of ``path``, chosen by their content: it stays where it is when files are
    added or renamed. Raises ``CorpusError`` when there is no text or too little of it.
    """
    found = scan(path, cache_dir, encoding)
    _require_text(found, path)
    reader = _Reader(found.files)
    segments, held = [], []
    split = eval_path is None and heldout is None
    heldout_blocks = _choose_heldout(found, reader) if split else {}
    for index, file in enumerate(found.files):
        for held_out, start, length in _runs(file.size, *heldout_blocks.get(index, (None, 0))):
            (held if held_out else segments).append((index, start, length))
        segments.append((_MARKER, 0, 1))
    identity = [file.digest for file in found.files] + [str(split)]
    if eval_path is not None:
        evaluated = scan(eval_path, cache_dir, encoding)
        _require_text(evaluated, eval_path)
        held = [(index, 0, file.size) for index, file in enumerate(evaluated.files)]
        heldout = ByteStream(_Reader(evaluated.files), held)
        identity += [file.digest for file in evaluated.files]
    train = ByteStream(reader, segments)
    size = len(train) - len(found.files)
    if size < context_length:
        needed = context_length + (SMALL_BLOCK_BYTES if split else 0)
        raise CorpusError("corpus.short", path=path, size=found.size, needed=needed)
    if heldout is None:
        heldout = ByteStream(reader, held)
    if not heldout.windows(context_length, context_length):
        raise CorpusError("corpus.short", path=eval_path or path, size=len(heldout), needed=2)
    fingerprint = hashlib.sha256("\n".join(identity).encode()).hexdigest()
    return Corpus(train, heldout, found, fingerprint)


def _require_text(found: Scan, path: Path) -> None:
    if found.files:
        return
    if found.skipped:
        first, reason = found.skipped[0]
        raise CorpusError(
            "corpus.no_text",
            path=path,
            count=len(found.skipped),
            first=first,
            reason=message(reason),
        )
    raise CorpusError("corpus.empty", path=path)


def _choose_heldout(found: Scan, reader: _Reader) -> dict[int, tuple[np.ndarray, int]]:
    """For each file a mask of its held-out blocks, and the size of a block.

    A block is held out when its hash falls into the lowest 5 %. Where that takes less than one
    whole block or more than half of the text, the whole block with the lowest hash is.
    """
    block_bytes = BLOCK_BYTES
    hashes = [file.blocks for file in found.files]
    if found.size < SMALL_TEXT_BYTES:
        block_bytes = SMALL_BLOCK_BYTES
        contents = (reader.read(index, 0, file.size) for index, file in enumerate(found.files))
        hashes = [
            np.frombuffer(
                b"".join(digest[:8] for digest in _block_digests(data, block_bytes)), dtype=">u8"
            )
            for data in contents
        ]
    lengths = [
        np.minimum(block_bytes, file.size - block_bytes * np.arange(len(values)))
        for file, values in zip(found.files, hashes)
    ]
    masks = [values < int(HELDOUT_FRACTION * 2**64) for values in hashes]
    chosen = sum(int(sizes[mask].sum()) for sizes, mask in zip(lengths, masks))
    if not block_bytes <= chosen <= found.size / 2:
        *_, index, block = min(
            (int(sizes[block]) < block_bytes, int(values[block]), index, block)
            for index, (values, sizes) in enumerate(zip(hashes, lengths))
            for block in range(len(values))
        )
        masks = [np.zeros(len(values), dtype=bool) for values in hashes]
        masks[index][block] = True
    return {index: (mask, block_bytes) for index, mask in enumerate(masks)}


def _runs(size: int, mask: np.ndarray | None, block_bytes: int) -> Iterator[tuple[bool, int, int]]:
    """(held out, start, length) of each run of alike blocks in a file of ``size`` bytes."""
    if mask is None:
        yield False, 0, size
        return
    edges = [0, *(np.flatnonzero(np.diff(mask)) + 1).tolist(), len(mask)]
    for first, last in pairwise(edges):
        start = first * block_bytes
        yield bool(mask[first]), start, min(last * block_bytes, size) - start


def batches_per_epoch(stream: ByteStream, context_length: int, batch_size: int) -> int:
    windows = -(-len(stream) // context_length)
    return -(-windows // batch_size)


def epoch_batches(
    stream: ByteStream, context_length: int, batch_size: int, seed: int, epoch: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches ``first``, ``first`` + 1, … of an epoch: inputs and targets, int64, each (B, T).

    The stream, taken as a circle, is cut into windows of ``context_length`` at a random offset and
    each is visited once in random order, so every byte is a target once an epoch (README:
    随机序列截取). Only the last window is padded (README: 固定长度512, 使用token 0进行填充). What
    an epoch holds depends on ``seed`` and ``epoch`` alone.
    """
    generator = np.random.Generator(np.random.PCG64([seed, epoch]))
    size = len(stream)
    offset = int(generator.integers(min(size, context_length)))
    order = np.arange(-(-size // context_length), dtype=np.int32)
    generator.shuffle(order)
    for begin in range(first * batch_size, len(order), batch_size):
        chosen = order[begin : begin + batch_size].tolist()
        tokens = np.full((len(chosen), context_length + 1), PAD, dtype=np.int64)
        for row, index in enumerate(chosen):
            count = min(context_length, size - index * context_length) + 1
            data = stream.read(offset + index * context_length, count)
            tokens[row, :count] = np.frombuffer(data, dtype=np.uint8)
        yield torch.from_numpy(tokens[:, :-1]), torch.from_numpy(tokens[:, 1:])
