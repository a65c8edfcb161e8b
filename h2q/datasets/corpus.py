"""A person's text as streams of bytes: to train on, to choose settings on, and held-out text.

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
VALIDATION_BYTES = 262_144  # at most
_LEAST_TEXT_BYTES = 8_192  # of a text with a validation part
_TRAIN, _HELDOUT, _VALIDATION = range(3)  # what a block is for
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
    """Text to train on; a part of it on which settings are chosen, and which the Transformer is not
    trained on; and text that nothing but measuring uses."""

    train: ByteStream
    validation: ByteStream
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
    validation_fraction: float = 0.0,
    encoding: str | None = None,
) -> Corpus:
    """The text below ``path``, ready to train on.

    The held-out part is the text below ``eval_path``, or the stream ``heldout``, or else about
    5 % of the blocks of ``path``. About ``validation_fraction`` of the rest, at most
    ``VALIDATION_BYTES``, is the validation part. Blocks are chosen by their content: the choice
    stays the same when files are added or renamed. Raises ``CorpusError`` when there is no text or
    too little.
    """
    found = _scanned(path, cache_dir, encoding)
    reader = _Reader(found.files)
    split = eval_path is None and heldout is None
    blocks = _chosen(found, reader, split, validation_fraction, context_length)
    train, validation, held = (ByteStream(reader, part) for part in _segments(found, blocks))
    evaluated = None if eval_path is None else _scanned(eval_path, cache_dir, encoding)
    if evaluated is not None:
        whole = [(index, 0, file.size) for index, file in enumerate(evaluated.files)]
        heldout = ByteStream(_Reader(evaluated.files), whole)
    elif heldout is None:
        heldout = held
    size = len(train) - len(found.files)  # without the end-of-document tokens
    if size < context_length:
        needed = context_length + (SMALL_BLOCK_BYTES if split else 0)
        raise CorpusError("corpus.short", path=path, size=found.size, needed=needed)
    if not heldout.windows(context_length, context_length):
        raise CorpusError("corpus.short", path=eval_path or path, size=len(heldout), needed=2)
    identity = _fingerprint(found, split, validation_fraction, evaluated)
    return Corpus(train, validation, heldout, found, identity, evaluated)


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


def _fingerprint(
    found: Scan, split: bool, validation_fraction: float, evaluated: Scan | None
) -> str:
    identity = [file.digest for file in found.files] + [str(split)]
    if validation_fraction:
        identity.append(str(validation_fraction))
    if evaluated is not None:
        identity += [file.digest for file in evaluated.files]
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()


@dataclass(frozen=True)
class _Blocks:
    """What each block of each file is for. Blocks are chosen by the hash of their content."""

    block_bytes: int
    text_bytes: int
    hashes: list[NDArray[np.uint64]]  # of each file, one for each block
    lengths: list[NDArray[np.int64]]
    uses: list[NDArray[np.int8]]

    def choose_heldout(self) -> None:
        """Holds out the blocks whose hash is among the lowest 5 % of all possible values.

        Where that takes less than one whole block or more than half of the text, the whole block
        with the lowest hash is held out instead.
        """
        masks = [values < int(HELDOUT_FRACTION * 2**64) for values in self.hashes]
        chosen = sum(int(sizes[mask].sum()) for sizes, mask in zip(self.lengths, masks))
        if not self.block_bytes <= chosen <= self.text_bytes / 2:
            masks = [np.zeros(len(values), dtype=bool) for values in self.hashes]
            index, block = self._by_hash()[0]
            masks[index][block] = True
        for uses, mask in zip(self.uses, masks):
            uses[mask] = _HELDOUT

    def choose_validation(self, fraction: float, least_train: int) -> None:
        """Takes blocks with the lowest hashes of those that are left, at least one, until they are
        ``fraction`` of the text; none of a text that is too short."""
        if not fraction or self.text_bytes < _LEAST_TEXT_BYTES:
            return
        wanted = min(VALIDATION_BYTES, fraction * self.text_bytes)
        free = sum(int(sizes[uses == _TRAIN].sum()) for sizes, uses in zip(self.lengths, self.uses))
        taken = 0
        for index, block in self._by_hash():
            size = int(self.lengths[index][block])
            if self.uses[index][block] != _TRAIN or free - taken - size < least_train:
                continue
            if taken and taken + size > wanted:
                return
            self.uses[index][block] = _VALIDATION
            taken += size

    def _by_hash(self) -> list[tuple[int, int]]:
        """The (file, block) of all blocks: whole ones first, the lowest hashes first."""
        return [
            (index, block)
            for *_, index, block in sorted(
                (int(self.lengths[index][block]) < self.block_bytes, int(value), index, block)
                for index, values in enumerate(self.hashes)
                for block, value in enumerate(values.tolist())
            )
        ]


def _chosen(
    found: Scan, reader: _Reader, split: bool, validation_fraction: float, least_train: int
) -> _Blocks | None:
    """What each block is for; None where all are trained on."""
    if not split and (not validation_fraction or found.size < _LEAST_TEXT_BYTES):
        return None
    blocks = _blocks(found, reader)
    if split:
        blocks.choose_heldout()
    blocks.choose_validation(validation_fraction, least_train)
    return blocks


def _blocks(found: Scan, reader: _Reader) -> _Blocks:
    """The blocks of all files, all to be trained on."""
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
    uses = [np.full(len(values), _TRAIN, np.int8) for values in hashes]
    return _Blocks(block_bytes, found.size, hashes, lengths, uses)


def _block_hashes(data: bytes, block_bytes: int) -> NDArray[np.uint64]:
    digests = (digest[:8] for digest in block_digests(data, block_bytes))
    return np.frombuffer(b"".join(digests), dtype=">u8")


def _segments(found: Scan, blocks: _Blocks | None) -> list[list[Segment]]:
    """The segments to train on, with the end of each document, those for validation, and those that
    are held out."""
    segments: list[list[Segment]] = [[], [], []]
    places = {_TRAIN: segments[0], _VALIDATION: segments[1], _HELDOUT: segments[2]}
    for index, file in enumerate(found.files):
        runs: Iterable[tuple[int, int, int]] = [(_TRAIN, 0, file.size)]
        if blocks is not None:
            runs = _runs(file.size, blocks.uses[index], blocks.block_bytes)
        for use, start, length in runs:
            places[use].append((index, start, length))
        places[_TRAIN].append((_MARKER, 0, 1))
    return segments


def _runs(size: int, uses: NDArray[np.int8], block_bytes: int) -> Iterator[tuple[int, int, int]]:
    """(use, start, length) of each run of blocks with the same use in a file of ``size`` bytes."""
    edges = [0, *(np.flatnonzero(np.diff(uses)) + 1).tolist(), len(uses)]
    for first, last in pairwise(edges):
        start = first * block_bytes
        yield int(uses[first]), start, min(last * block_bytes, size) - start
