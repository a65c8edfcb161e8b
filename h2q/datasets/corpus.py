"""A person's text as one stream of bytes, split into training and held-out, in batches.

Reads windows by position from where the files lie, so memory does not grow with the text. Files are
not mapped into memory: one that is cut short while in use is then an error with a name, not the
death of the process.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from h2q.datasets.text_files import BLOCK_BYTES, Scan, TextFile, block_digests, scan
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.system.errors import CorpusError
from h2q.system.messages.catalogue import message

HELDOUT_FRACTION = 0.05
SMALL_BLOCK_BYTES = 512  # for text below SMALL_TEXT_BYTES, where one block of 4096 is too much
SMALL_TEXT_BYTES = 32_768
_OPEN_FILES = 64
_MARKER = -1  # the source of a segment that is one end-of-document token


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

    def part(self, pieces: list[tuple[int, int]]) -> "ByteStream":
        """The stream of these (start, length) pieces, none of which crosses a segment."""
        segments = []
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
    evaluated = None
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
    return Corpus(train, heldout, found, fingerprint, evaluated)


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
                b"".join(digest[:8] for digest in block_digests(data, block_bytes)), dtype=">u8"
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
