"""Guesses of the next bytes, which cost little: they never change what is written, only how fast.

What is written is drawn from the model's probabilities with random numbers that are known
beforehand. A draft is drawn with the same numbers from rough probabilities: as far as the two agree,
so do the bytes (arXiv 2408.07978), more often than with the likeliest byte as the guess.

The probabilities come from a table of the training text, small enough to lie in the model file: for
the commonest passages of up to five bytes, what followed and how often. And from the text itself:
what followed the last time that the same ``_PASSAGE`` bytes stood there (prompt look-up,
arXiv 2304.04487). Knows neither tensors nor models.
"""

from collections.abc import Callable

import numpy as np

TABLE_ROWS = 2**18  # at most
TABLE_COLUMNS = 7  # five bytes of passage, a shorter one behind zeros; the next; how often
NO_DRAFTS = np.zeros((0, TABLE_COLUMNS), np.uint8)  # the table of no text
_ORDERS = range(1, TABLE_COLUMNS - 1)
_UNIFORM = np.full(256, 1 / 256)
_LEAST_TIMES = 2  # a passage that came once teaches little
_MOST_TIMES = 255  # a byte of the table; passages that came oftener are scaled down to it
_SAMPLED_BYTES = 2**22  # of a larger text
_SAMPLE_PIECES = 64
_CAUTION = 5.0  # what never followed a passage counts so much more: what is written is no copy
_CACHED = 2**13  # passages, 2 KB each


def sample_text(length: int, read: Callable[[int, int], bytes]) -> bytes:
    """All of a text of ``length`` bytes, or evenly spaced pieces of it; ``read`` takes start and
    length."""
    if length <= _SAMPLED_BYTES:
        return read(0, length)
    piece = _SAMPLED_BYTES // _SAMPLE_PIECES
    step = (length - piece) // (_SAMPLE_PIECES - 1)
    return b"".join(read(index * step, piece) for index in range(_SAMPLE_PIECES))


def draft_table(text: bytes) -> np.ndarray:
    """The table of ``text``, uint8 of shape (N, 7), the commonest passages of each length."""
    data = np.frombuffer(text, dtype=np.uint8).astype(np.int64)
    tables, room = [NO_DRAFTS], TABLE_ROWS
    for index, order in enumerate(_ORDERS):
        if len(data) > order:
            tables.append(_order_table(data, order, room // (len(_ORDERS) - index)))
            room -= len(tables[-1])
    return np.concatenate(tables)


def _order_table(data: np.ndarray, order: int, most: int) -> np.ndarray:
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
    """A ``draft_table`` to be asked for probabilities, shared by all texts."""

    def __init__(self, rows: np.ndarray):
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
        self._new = new / total  # probability that none of the known ones follows
        self._known = times / total.repeat(kinds)
        self._mixtures: dict[bytes, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._passages)

    def probabilities(self, tail: bytes) -> np.ndarray:
        """Of each byte after ``tail``, of which five bytes count: (256,), none 0.

        Longer passages weigh the more, the oftener they came and the fewer bytes followed them
        (Witten and Bell's method C, IEEE Trans. Inf. Theory 37, 1991, with ``_CAUTION``).
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
