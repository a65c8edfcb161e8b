"""Guesses of the next bytes, which cost little: they never change what is written, only how fast.

What is written is drawn from the model's probabilities with random numbers that are known
beforehand. A draft is drawn with the same numbers from rough probabilities: as far as the two agree,
so do the bytes (arXiv 2408.07978), more often than with the likeliest byte as the guess.

The probabilities come from a table of the training text, small enough to lie in the model file: for
the commonest passages of up to four bytes, what followed and how often. And from the text itself:
what followed the last time that the same ``_PASSAGE`` bytes stood there (prompt look-up,
arXiv 2304.04487). Knows neither tensors nor models.
"""

from collections.abc import Callable

import numpy as np

TABLE_ROWS = 65_536  # at most
TABLE_COLUMNS = 6  # four bytes of passage, a shorter one behind zeros; the next; how often
NO_DRAFTS = np.zeros((0, TABLE_COLUMNS), np.uint8)  # the table of no text
_ORDERS = (1, 2, 3, 4)
_LEAST_TIMES = 2  # a passage that came once teaches little
_MOST_TIMES = 255  # a byte of the table; passages that came oftener are scaled down to it
_SAMPLED_BYTES = 2**22  # of a larger text
_SAMPLE_PIECES = 64
_PASSAGE = 6
_REPEATED_WEIGHT = 2.0  # of what stands earlier in the text, added; the likeliest byte has 1
_REMEMBERED = 2**14  # passages of the text
_CACHED = 2**12  # passages of the table, 1 KB each


def sample_text(length: int, read: Callable[[int, int], bytes]) -> bytes:
    """All of a text of ``length`` bytes, or evenly spaced pieces of it; ``read`` takes start and
    length."""
    if length <= _SAMPLED_BYTES:
        return read(0, length)
    piece = _SAMPLED_BYTES // _SAMPLE_PIECES
    step = (length - piece) // (_SAMPLE_PIECES - 1)
    return b"".join(read(index * step, piece) for index in range(_SAMPLE_PIECES))


def draft_table(text: bytes) -> np.ndarray:
    """The table of ``text``, uint8 of shape (N, 6), the commonest passages of each length."""
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
        table[:, 3 - index] = pairs[common] >> 8 * (index + 1) & 0xFF
    table[:, 4] = pairs[common] & 0xFF
    table[:, 5] = np.minimum(np.ceil(times * scale), _MOST_TIMES)[common]
    return table


class DraftTable:
    """A ``draft_table`` to be asked for probabilities, shared by all texts."""

    def __init__(self, rows: np.ndarray):
        passages = np.ascontiguousarray(rows[:, :4]).view(">u4").ravel()
        order = np.argsort(passages, kind="stable")
        self._passages = passages[order].astype(np.int64)
        self._bytes = rows[order, 4]
        self._times = rows[order, 5].astype(np.float64)
        self._cache: dict[tuple[bytes, float], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._passages)

    def weights(self, tail: bytes, temperature: float) -> np.ndarray:
        """How likely each byte is after ``tail``, of which four bytes count: (256,), the likeliest
        1, none 0 but at temperature 0."""
        key = tail[-_ORDERS[-1] :], temperature
        if (found := self._cache.get(key)) is None:
            if len(self._cache) == _CACHED:
                self._cache.clear()
            found = self._cache[key] = sharpened(self._probabilities(key[0]), temperature)
        return found

    def _probabilities(self, tail: bytes) -> np.ndarray:
        """Longer passages weigh the more, the oftener they came and the fewer bytes followed them
        (Witten and Bell's method C, IEEE Trans. Inf. Theory 37, 1991)."""
        mixed = np.full(256, 1 / 256)
        for order in _ORDERS[: len(tail)]:
            passage = int.from_bytes(tail[-order:], "big")
            first, last = self._passages.searchsorted((passage, passage + 1))
            if first == last:
                break
            times = self._times[first:last]
            total, kinds = times.sum(), last - first
            mixed *= kinds / (total + kinds)
            mixed[self._bytes[first:last]] += times / (total + kinds)
        return mixed


def sharpened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Weights of bytes at a temperature, 0 included, the likeliest 1."""
    exponent = 1 / temperature if temperature else np.inf
    return (probabilities / probabilities.max()) ** exponent


class Drafter:
    """Guesses for one text, at the temperature at which it is written."""

    def __init__(self, table: DraftTable, temperature: float):
        self._table = table
        self._temperature = temperature
        self._earlier: dict[bytes, int] = {}

    def learn(self, text: bytearray) -> None:
        """Takes note of the last byte of ``text``."""
        if len(self._earlier) == _REMEMBERED:
            self._earlier.clear()
        self._earlier[bytes(text[-_PASSAGE - 1 : -1])] = text[-1]

    def draft(self, text: bytearray, noise: np.ndarray) -> bytes:
        """Bytes that may come next, at most one for each row of ``noise`` (N, 256), with which
        they will be drawn (``sampling.draw``)."""
        guess = bytearray()
        tail = bytes(text[-_PASSAGE:])
        for row in noise:
            repeated = self._earlier.get(tail)
            if repeated is None and not len(self._table):
                break
            weights = self._table.weights(tail, self._temperature)
            if repeated is not None:
                weights = weights.copy()
                weights[repeated] += _REPEATED_WEIGHT
            byte = int((weights / row).argmax())
            guess.append(byte)
            tail = tail[-_PASSAGE + 1 :] + bytes([byte])
        return bytes(guess)
