"""A table of n-grams of the training text, and the probabilities of the next byte that it gives.

The table holds, for the most frequent passages of up to five bytes, which bytes followed and how
often. It is small enough to be part of the model file. ``generation.drafting`` guesses bytes with
it. Knows neither tensors nor models.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

TABLE_ROWS = 2**18  # at most
# Five bytes of passage (zeros before a shorter one), the byte that followed, and how often.
TABLE_COLUMNS = 7
NO_DRAFTS: NDArray[np.uint8] = np.zeros((0, TABLE_COLUMNS), np.uint8)  # the table of an empty text
_ORDERS = range(1, TABLE_COLUMNS - 1)  # lengths of passages
_UNIFORM: NDArray[np.float64] = np.full(256, 1 / 256)
_LEAST_TIMES = 2  # a passage that occurred once teaches little
_MOST_TIMES = 255  # fits into a byte; the counts of more frequent passages are scaled down
_SAMPLED_BYTES = 2**22  # of a larger text
_SAMPLE_PIECES = 64
# Bytes that never followed a passage count this much more than in Witten and Bell's method, because
# what is written is not a copy of the training text.
_CAUTION = 5.0
_CACHED = 2**13  # passages, 2 KB each


def sample_text(length: int, read: Callable[[int, int], bytes]) -> bytes:
    """All of a text of ``length`` bytes, or evenly spaced pieces of a long one. ``read`` takes the
    start and the length of a piece."""
    if length <= _SAMPLED_BYTES:
        return read(0, length)
    piece = _SAMPLED_BYTES // _SAMPLE_PIECES
    step = (length - piece) // (_SAMPLE_PIECES - 1)
    return b"".join(read(index * step, piece) for index in range(_SAMPLE_PIECES))


def draft_table(text: bytes) -> NDArray[np.uint8]:
    """The table of ``text``, (N, 7), with the most frequent passages of each length."""
    data = np.frombuffer(text, dtype=np.uint8).astype(np.int64)
    tables, room = [NO_DRAFTS], TABLE_ROWS
    for index, order in enumerate(_ORDERS):
        if len(data) > order:
            tables.append(_order_table(data, order, room // (len(_ORDERS) - index)))
            room -= len(tables[-1])
    return np.concatenate(tables)


def _order_table(data: NDArray[np.int64], order: int, most: int) -> NDArray[np.uint8]:
    """The rows for passages of ``order`` bytes, at most ``most``."""
    following = data[order:]
    passages = np.zeros_like(following)
    for index in range(order):
        passages = passages << 8 | data[index : index + len(following)]
    pairs, times = np.unique(passages << 8 | following, return_counts=True)
    _, first, inverse = np.unique(pairs >> 8, return_index=True, return_inverse=True)
    totals = np.add.reduceat(times, first)[inverse]  # of each pair's passage
    common = np.lexsort((pairs, -totals))[:most]
    common = common[totals[common] >= _LEAST_TIMES]
    highest = np.maximum.reduceat(times, first)[inverse]
    scale = np.minimum(1.0, _MOST_TIMES / highest)
    table = np.zeros((len(common), TABLE_COLUMNS), np.uint8)
    for index in range(order):
        table[:, -3 - index] = pairs[common] >> 8 * (index + 1) & 0xFF
    table[:, -2] = pairs[common] & 0xFF
    table[:, -1] = np.minimum(np.ceil(times * scale), _MOST_TIMES)[common]
    return table


class DraftTable:
    """The probabilities that a ``draft_table`` gives. All streams of a decoder share one object."""

    def __init__(self, rows: NDArray[np.uint8]):
        passages = np.zeros(len(rows), np.int64)
        for column in rows[:, :-2].T:
            passages = passages << 8 | column
        order = np.argsort(passages, kind="stable")
        self._bytes = rows[order, -2]
        times = rows[order, -1].astype(np.float64)
        self._passages, kinds = np.unique(passages, return_counts=True)
        self._ends = np.concatenate([[0], kinds.cumsum()])
        new = _CAUTION * kinds
        total = new + np.diff(np.concatenate([[0.0], times.cumsum()])[self._ends])
        self._new = new / total  # probability that none of the known bytes follows
        self._known = times / total.repeat(kinds)
        self._mixtures: dict[bytes, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        """How many passages there are."""
        return len(self._passages)

    def probabilities(self, tail: bytes) -> NDArray[np.float64]:
        """The probability of each byte after ``tail``, (256,), never 0. The last five bytes of
        ``tail`` count.

        Mixes passages of all lengths. A passage weighs more if it occurred often and if few
        different bytes followed it (Witten and Bell's method C, IEEE Trans. Inf. Theory 37, 1991,
        with ``_CAUTION``).
        """
        tail = tail[-_ORDERS[-1] :]
        if not tail:
            return _UNIFORM
        if (found := self._mixtures.get(tail)) is None:
            found = self.probabilities(tail[1:])
            passage = int.from_bytes(tail, "big")
            index = int(self._passages.searchsorted(passage))
            if index < len(self) and self._passages[index] == passage:
                rows = slice(*self._ends[index : index + 2])
                found = found * self._new[index]
                found[self._bytes[rows]] += self._known[rows]
            if len(self._mixtures) == _CACHED:
                self._mixtures.clear()
            self._mixtures[tail] = found
        return found
