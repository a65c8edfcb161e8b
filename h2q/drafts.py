"""Guesses of the next bytes, which cost nothing: they never change what is written, only how fast.

Two sources. A table of the training text, small enough to lie in the model file: for the commonest
passages of two, three and four bytes, what followed most often and how often it did. And the text
itself: what followed the last time that the same ``_PASSAGE`` bytes stood there (prompt look-up,
arXiv 2304.04487). Knows neither tensors nor models.
"""

from collections.abc import Callable

import numpy as np

TABLE_ROWS = 65_536  # at most
TABLE_COLUMNS = 6  # four bytes of passage, a shorter one behind zeros; the next; its share of 255
_ORDERS = (2, 3, 4)
_LEAST_TIMES = 2  # a passage that came once teaches little
_SAMPLED_BYTES = 2**22  # of a larger text
_SAMPLE_PIECES = 64
_PASSAGE = 6
_REPEATED_SHARE = 0.7  # of what stands earlier in the text: measured on prose
_REMEMBERED = 2**14  # passages of the text
_WORTH_A_ROW = 0.15  # least probability that all of a draft up to a byte is right


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
    tables = [_order_table(data, order) for order in _ORDERS if len(data) > order]
    return np.concatenate([np.zeros((0, TABLE_COLUMNS), np.uint8), *tables])


def _order_table(data: np.ndarray, order: int) -> np.ndarray:
    following = data[order:]
    passages = np.zeros_like(following)
    for index in range(order):
        passages = passages << 8 | data[index : index + len(following)]
    pairs, times = np.unique(passages << 8 | following, return_counts=True)
    known, first, inverse = np.unique(pairs >> 8, return_index=True, return_inverse=True)
    totals = np.add.reduceat(times, first)
    # Within each passage the commonest follower comes last.
    best = np.lexsort((times, inverse))[np.append(first[1:], len(pairs)) - 1]
    common = np.argsort(-totals, kind="stable")[: TABLE_ROWS // len(_ORDERS)]
    common = common[totals[common] >= _LEAST_TIMES]
    table = np.zeros((len(common), TABLE_COLUMNS), np.uint8)
    for index in range(order):
        table[:, 3 - index] = known[common] >> 8 * index & 0xFF
    table[:, 4] = pairs[best][common] & 0xFF
    table[:, 5] = 255 * times[best][common] // (totals[common] + 1)
    return table


class Drafter:
    """Guesses for one text; ``table`` is shared by all of them."""

    @staticmethod
    def index(table: np.ndarray) -> dict[bytes, tuple[int, float]]:
        """A ``draft_table`` as passage to (next byte, its share)."""
        passages = table[:, :4].tobytes()
        return {
            passages[4 * row : 4 * row + 4].lstrip(b"\0"): (byte, share / 255)
            for row, (byte, share) in enumerate(table[:, 4:].tolist())
        }

    def __init__(self, table: dict[bytes, tuple[int, float]]):
        self._table = table
        self._earlier: dict[bytes, int] = {}

    def learn(self, text: bytearray) -> None:
        """Takes note of the last byte of ``text``."""
        if len(self._earlier) == _REMEMBERED:
            self._earlier.clear()
        self._earlier[bytes(text[-_PASSAGE - 1 : -1])] = text[-1]

    def draft(self, text: bytearray, limit: int) -> bytes:
        """At most ``limit`` bytes that may come next, as many as are worth reading."""
        guess = bytearray()
        tail = bytes(text[-_PASSAGE:])
        likely = 1.0
        while len(guess) < limit:
            byte, share = self._following(tail)
            likely *= share
            if likely < _WORTH_A_ROW:
                break
            guess.append(byte)
            tail = tail[-_PASSAGE + 1 :] + bytes([byte])
        return bytes(guess)

    def _following(self, tail: bytes) -> tuple[int, float]:
        if (byte := self._earlier.get(tail)) is not None:
            return byte, _REPEATED_SHARE
        for order in reversed(_ORDERS):
            if found := self._table.get(tail[-order:]):
                return found
        return 0, 0.0
