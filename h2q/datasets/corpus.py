"""A person's text as one stream of bytes, split into text to train on and held-out text.

Reads by position from the files themselves, so memory does not grow with the text. The files are
not mapped into memory: when one is cut short while in use, reading raises an error that names it,
and the process is not killed. Does not make batches.
"""

import hashlib
import os
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from h2q.datasets.text_files import BLOCK_BYTES, Scan, TextFile, block_digests, scan
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.system.errors import CorpusError
from h2q.system.messages.catalogue import message

HELDOUT_FRACTION = 0.05
SMALL_BLOCK_BYTES = 512  # for text below SMALL_TEXT_BYTES, where one block of 4096 is too much
SMALL_TEXT_BYTES = 32_768
_OPEN_FILES = 64
_MARKER = -1  # the source of a segment that is one end-of-document token
Segment = tuple[int, int, int]  # index of the file, where it begins there, bytes


class _Reader:
    """Reads text by position from files that must stay as they were scanned. Keeps a few open, and
    closes them when nothing refers to the reader any more."""

    def __init__(self, files: list[TextFile]):
        self.files = files
        self._open: OrderedDict[int, BinaryIO] = OrderedDict()
        weakref.finalize(self, _close, self._open)

    def read(self, index: int, start: int, length: int) -> bytes:
        """``length`` bytes of a file's text from ``start`` on. Raises ``CorpusError`` when the file
        is gone or was changed."""
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


def _close(streams: OrderedDict[int, BinaryIO]) -> None:
    for stream in streams.values():
        stream.close()


class ByteStream:
    """Segments of files, one after the other, read as one circular sequence of ``len`` bytes.

    ``sources`` (index of the file), ``offsets`` and ``lengths`` (bytes) describe the segments.
    """

    def __init__(self, reader: _Reader, segments: list[Segment]):
        self._reader = reader
        columns = np.array(segments, dtype=np.int64).reshape(-1, 3)
        self.sources, self.offsets, self.lengths = columns.T
        self._ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from position ``start`` on; the beginning follows the end."""
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

        Returns (start, bytes to predict) pairs; no window crosses the end of a segment. If all
        windows together are longer than ``limit_bytes``, only some are returned: evenly spaced, and
        the same at every call.
        """
        result = []
        for end, size in zip(self._ends.tolist(), self.lengths.tolist()):
            for begin in range(end - size, end - 1, length):
                result.append((begin, min(length, end - 1 - begin)))
        most = max(1, limit_bytes // length)
        if len(result) > most:
            result = [result[i * len(result) // most] for i in range(most)]
        return result

    def part(self, pieces: list[tuple[int, int]]) -> "ByteStream":
        """The stream of these (start, length) pieces; none may cross the end of a segment."""
        segments: list[Segment] = []
        for start, length in pieces:
            index = int(np.searchsorted(self._ends, start, side="right"))
            offset = self.offsets[index] + self.lengths[index] - (self._ends[index] - start)
            segments.append((int(self.sources[index]), int(offset), length))
        return ByteStream(self._reader, segments)


@dataclass(frozen=True)
class Corpus:
    """Text to train on and text that is never trained on."""

    train: ByteStream
    heldout: ByteStream
    validation: ByteStream
    scan: Scan  # of the training text
    fingerprint: str  # SHA-256 of both, and of how they were split
    heldout_scan: Scan | None = None  # of held-out text that lies in files of its own


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
    5 % of the blocks of ``path``. Blocks are chosen by their content: the choice stays the same
    when files are added or renamed. Raises ``CorpusError`` when there is no text or too little.
    """
    found = _scanned(path, cache_dir, encoding)
    reader = _Reader(found.files)
    split = eval_path is None and heldout is None
    segments, held = _segments(found, _choose_heldout(found, reader) if split else None)
    train = ByteStream(reader, segments)
    evaluated = None
    if eval_path is not None:
        evaluated = _scanned(eval_path, cache_dir, encoding)
        whole = [(index, 0, file.size) for index, file in enumerate(evaluated.files)]
        heldout = ByteStream(_Reader(evaluated.files), whole)
    elif heldout is None:
        heldout = ByteStream(reader, held)
    size = len(train) - len(found.files)  # without the end-of-document tokens
    if size < context_length:
        needed = context_length + (SMALL_BLOCK_BYTES if split else 0)
        raise CorpusError("corpus.short", path=path, size=found.size, needed=needed)
    if not heldout.windows(context_length, context_length):
        raise CorpusError("corpus.short", path=eval_path or path, size=len(heldout), needed=2)
    return Corpus(train, heldout, ByteStream(reader, []), found, _fingerprint(found, split, evaluated), evaluated)


def _scanned(path: Path, cache_dir: Path, encoding: str | None) -> Scan:
    """The scan of ``path``. Raises ``CorpusError`` when it found no text."""
    found = scan(path, cache_dir, encoding)
    if found.files:
        return found
    if not found.skipped:
        raise CorpusError("corpus.empty", path=path)
    first, reason = found.skipped[0]
    raise CorpusError(
        "corpus.no_text",
        path=path,
        count=len(found.skipped),
        first=first,
        reason=message(reason),
    )


def _fingerprint(found: Scan, split: bool, evaluated: Scan | None) -> str:
    identity = [file.digest for file in found.files] + [str(split)]
    if evaluated is not None:
        identity += [file.digest for file in evaluated.files]
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()


def _choose_heldout(found: Scan, reader: _Reader) -> tuple[list[NDArray[np.bool_]], int]:
    """For each file a mask of its held-out blocks; and the size of a block.

    A block is held out when its hash is among the lowest 5 % of all possible values. Where that
    takes less than one whole block or more than half of the text, the whole block with the lowest
    hash is held out instead.
    """
    block_bytes = BLOCK_BYTES
    hashes = [file.blocks for file in found.files]
    if found.size < SMALL_TEXT_BYTES:
        block_bytes = SMALL_BLOCK_BYTES
        contents = (reader.read(index, 0, file.size) for index, file in enumerate(found.files))
        hashes = [_block_hashes(data, block_bytes) for data in contents]
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
    return masks, block_bytes


def _block_hashes(data: bytes, block_bytes: int) -> NDArray[np.uint64]:
    digests = (digest[:8] for digest in block_digests(data, block_bytes))
    return np.frombuffer(b"".join(digests), dtype=">u8")


def _segments(
    found: Scan, chosen: tuple[list[NDArray[np.bool_]], int] | None
) -> tuple[list[Segment], list[Segment]]:
    """The segments to train on, with the end of each document, and those that are held out."""
    segments: list[Segment] = []
    held: list[Segment] = []
    for index, file in enumerate(found.files):
        runs: Iterable[tuple[bool, int, int]] = [(False, 0, file.size)]
        if chosen is not None:
            masks, block_bytes = chosen
            runs = _runs(file.size, masks[index], block_bytes)
        for held_out, start, length in runs:
            (held if held_out else segments).append((index, start, length))
        segments.append((_MARKER, 0, 1))
    return segments, held


def _runs(size: int, mask: NDArray[np.bool_], block_bytes: int) -> Iterator[tuple[bool, int, int]]:
    """(held out, start, length) of each run of blocks in a file of ``size`` bytes: a run is held
    out as a whole or not at all."""
    edges = [0, *(np.flatnonzero(np.diff(mask)) + 1).tolist(), len(mask)]
    for first, last in pairwise(edges):
        start = first * block_bytes
        yield bool(mask[first]), start, min(last * block_bytes, size) - start
