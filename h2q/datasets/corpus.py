"""A person's text as streams of bytes: to train on, for validation, and held out.

Reads by position from the files themselves, so memory does not grow with the text. The files are
not mapped into memory: when one is cut short while in use, reading raises an error that names it,
and the process is not killed. Does not make batches.
"""

import hashlib
import os
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from h2q.datasets.file_search import by_reason, without_text
from h2q.datasets.text_files import BLOCK_BYTES, Scan, TextFile, block_digests, scan
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.system.errors import CorpusError
from h2q.system.messages.catalogue import message

HELDOUT_FRACTION = 0.05
SMALL_BLOCK_BYTES = 512  # for text below SMALL_TEXT_BYTES, where one block of 4096 is too much
SMALL_TEXT_BYTES = 32_768
VALIDATION_BYTES = 262_144  # most of a validation part
LEAST_VALIDATED_BYTES = 8192  # of text, below which there is no validation part
_OPEN_FILES = 64
_MARKER = -1  # the source of a segment that is one end-of-document token
Segment = tuple[int, int, int]  # index of the file, where it begins there, bytes
_TRAIN, _VALIDATION, _HELDOUT = range(3)  # what a block is for


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

    def followed_by(self, other: "ByteStream") -> "ByteStream":
        """This stream and then ``other``, which is of the same files."""
        both = zip(
            np.concatenate((self.sources, other.sources)).tolist(),
            np.concatenate((self.offsets, other.offsets)).tolist(),
            np.concatenate((self.lengths, other.lengths)).tolist(),
        )
        return ByteStream(self._reader, list(both))

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
    """A person's text in three parts: ``train``, from which the weights are learnt; ``validation``,
    on which what is not learnt by gradient is chosen, and which may be empty; and ``heldout``, by
    which a model is judged and from which nothing is ever learnt."""

    train: ByteStream
    validation: ByteStream
    heldout: ByteStream
    scan: Scan  # of the training text
    fingerprint: str  # SHA-256 of the text, and of how it was split
    heldout_scan: Scan | None = None  # of held-out text that lies in files of its own

    @property
    def text(self) -> ByteStream:
        """All the text that is not held out: that to train on, and behind it the validation part."""
        return self.train.followed_by(self.validation)


def open_corpus(
    path: Path,
    cache_dir: Path,
    *,
    context_length: int,
    eval_path: Path | None = None,
    heldout: ByteStream | None = None,
    validation_fraction: float = 0.0,
    encoding: str | None = None,
    include: Sequence[str] = (),
) -> Corpus:
    """The text below ``path``, ready to train on. ``find_files`` says what ``include`` means; it is
    of the text below ``eval_path`` too.

    The held-out part is the text below ``eval_path``, or the stream ``heldout``, or else about
    5 % of the blocks of ``path``. The validation part is about ``validation_fraction`` of the other
    blocks, at most ``VALIDATION_BYTES``. Blocks are chosen by their content: the choice of the
    held-out ones stays the same when files are added or renamed. Raises ``CorpusError`` when there
    is no text or too little.
    """
    found = _scanned(path, cache_dir, encoding, include)
    split = eval_path is None and heldout is None
    train, validation, held = _parts(found, split, validation_fraction, context_length)
    evaluated = None
    if eval_path is not None:
        evaluated = _scanned(eval_path, cache_dir, encoding, include)
        whole = [(index, 0, file.size) for index, file in enumerate(evaluated.files)]
        heldout = ByteStream(_Reader(evaluated.files), whole)
    elif heldout is None:
        heldout = held
    size = len(train) - len(found.files)  # without the end-of-document tokens
    if size < context_length:
        needed = context_length + (SMALL_BLOCK_BYTES if split else 0)
        raise _too_short(path, found.size, needed, found)
    if not heldout.windows(context_length, context_length):
        raise _too_short(eval_path or path, len(heldout), 2, evaluated or found)
    fingerprint = _fingerprint(found, split, evaluated, validation_fraction)
    return Corpus(train, validation, heldout, found, fingerprint, evaluated)


def _scanned(path: Path, cache_dir: Path, encoding: str | None, include: Sequence[str]) -> Scan:
    """The scan of ``path``. Raises ``CorpusError`` when it found no text."""
    found = scan(path, cache_dir, encoding, include)
    if not found.files:
        raise without_text(path, [*found.skipped, *found.left_out])
    return found


def _parts(
    found: Scan, split: bool, validation_fraction: float, context_length: int
) -> list[ByteStream]:
    """The text to train on, for validation, and held out."""
    reader = _Reader(found.files)
    blocks = _blocks(found)
    purposes = _purposes(blocks, split, validation_fraction, context_length)
    return [ByteStream(reader, segments) for segments in _segments(found, blocks, purposes)]


def _too_short(path: Path, size: int, needed: int, found: Scan) -> CorpusError:
    """The error for too little text; it tells of files that would be read if asked for."""
    count = len(by_reason(found.left_out).get("skip.not_txt", ()))
    others = message("corpus.others", count=count) if count else ""
    return CorpusError("corpus.short", path=path, size=size, needed=needed, others=others)


def _fingerprint(
    found: Scan, split: bool, evaluated: Scan | None, validation_fraction: float
) -> str:
    identity = [file.digest for file in found.files] + [str(split)]
    if evaluated is not None:
        identity += [file.digest for file in evaluated.files]
    if validation_fraction:
        identity.append(f"validation {float(validation_fraction)}")
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()


@dataclass(frozen=True)
class _Blocks:
    """The blocks of all files, one after the other."""

    size: int  # bytes of each, but for the last of a file
    hashes: NDArray[np.uint64]
    lengths: NDArray[np.int64]  # bytes
    ends: NDArray[np.int64]  # for each file, the number of blocks up to its end


def _blocks(found: Scan) -> _Blocks:
    block_bytes = BLOCK_BYTES
    hashes = [file.blocks for file in found.files]
    if found.size < SMALL_TEXT_BYTES:
        block_bytes = SMALL_BLOCK_BYTES
        reader = _Reader(found.files)
        contents = (reader.read(index, 0, file.size) for index, file in enumerate(found.files))
        hashes = [_block_hashes(data, block_bytes) for data in contents]
    lengths = [
        np.minimum(block_bytes, file.size - block_bytes * np.arange(len(values)))
        for file, values in zip(found.files, hashes)
    ]
    ends = np.cumsum([len(values) for values in hashes])
    return _Blocks(block_bytes, np.concatenate(hashes), np.concatenate(lengths), ends)


def _block_hashes(data: bytes, block_bytes: int) -> NDArray[np.uint64]:
    digests = (digest[:8] for digest in block_digests(data, block_bytes))
    return np.frombuffer(b"".join(digests), dtype=">u8")


def _purposes(
    blocks: _Blocks, split: bool, validation_fraction: float, context_length: int
) -> NDArray[np.int8]:
    """What each block is for. Nothing is held out unless ``split``; there is no validation part
    where less than ``context_length`` bytes to train on would remain."""
    purposes = np.full(len(blocks.hashes), _TRAIN, dtype=np.int8)
    if split:
        purposes[_choose_heldout(blocks)] = _HELDOUT
    free = np.flatnonzero(purposes == _TRAIN)
    chosen = free[_choose_validation(blocks, free, validation_fraction)]
    if blocks.lengths[free].sum() - blocks.lengths[chosen].sum() >= context_length:
        purposes[chosen] = _VALIDATION
    return purposes


def _choose_heldout(blocks: _Blocks) -> NDArray[np.bool_]:
    """A mask of the held-out blocks.

    A block is held out when its hash is among the lowest 5 % of all possible values. Where that
    takes less than one whole block or more than half of the text, the whole block with the lowest
    hash is held out instead.
    """
    chosen = blocks.hashes < int(HELDOUT_FRACTION * 2**64)
    if not blocks.size <= blocks.lengths[chosen].sum() <= blocks.lengths.sum() / 2:
        lowest = np.lexsort((blocks.hashes, blocks.lengths < blocks.size))[0]
        chosen = np.arange(len(chosen)) == lowest
    return chosen


def _choose_validation(
    blocks: _Blocks, free: NDArray[np.intp], fraction: float
) -> NDArray[np.bool_]:
    """A mask of those of the ``free`` blocks, which are not held out, that are for validation.

    Blocks are taken from the lowest hash on until they are ``fraction`` of the text, or would be
    more than ``VALIDATION_BYTES``. Blocks of the same content are taken together, or else left:
    what is also trained on would validate nothing.
    """
    text_bytes = int(blocks.lengths.sum())
    if text_bytes < LEAST_VALIDATED_BYTES:
        fraction = 0.0
    wanted = min(fraction * text_bytes, VALIDATION_BYTES)
    _, contents = np.unique(blocks.hashes[free], return_inverse=True)  # numbered by hash
    sizes = np.bincount(contents, weights=blocks.lengths[free])  # bytes of all copies
    fits = sizes <= max(wanted, blocks.size)
    ends = np.cumsum(sizes * fits)
    taken = fits & (ends - sizes < wanted) & (ends <= VALIDATION_BYTES)
    return taken[contents]


def _segments(
    found: Scan, blocks: _Blocks, purposes: NDArray[np.int8]
) -> tuple[list[Segment], list[Segment], list[Segment]]:
    """The segments of each purpose. Those to train on have the end of each document."""
    segments: tuple[list[Segment], list[Segment], list[Segment]] = ([], [], [])
    for index, mine in enumerate(np.split(purposes, blocks.ends[:-1])):
        for purpose, start, length in _runs(found.files[index].size, mine, blocks.size):
            segments[purpose].append((index, start, length))
        segments[_TRAIN].append((_MARKER, 0, 1))
    return segments


def _runs(
    size: int, purposes: NDArray[np.int8], block_bytes: int
) -> Iterator[tuple[int, int, int]]:
    """(purpose, start, length) of each run of blocks in a file of ``size`` bytes: all blocks of a
    run have one purpose."""
    edges = [0, *(np.flatnonzero(np.diff(purposes)) + 1).tolist(), len(purposes)]
    for first, last in pairwise(edges):
        start = first * block_bytes
        yield int(purposes[first]), start, min(last * block_bytes, size) - start
