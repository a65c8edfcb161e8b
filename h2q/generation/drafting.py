"""Drafts: guesses of the next bytes. They never change what is written, only how fast.

What is written is drawn from the model's probabilities with random numbers that are known
beforehand. A draft is drawn with the same numbers from rough probabilities: where the two
distributions agree, the bytes agree too (arXiv 2408.07978). Such a guess is right more often than
the most likely byte.

The rough probabilities come from a table of the training text (``model.ngram``) and from the text
itself: the byte that followed when the same ``_PASSAGE`` bytes last occurred (prompt look-up,
arXiv 2304.04487). Whether a guess counts is decided in ``generate``.
"""

import numpy as np
from numpy.typing import NDArray

from h2q.model.ngram import DraftTable

_PASSAGE = 6
_NOT_REPEATED = 0.5  # probability that a passage is not followed by the byte that followed before
_CHEAP = 7  # bytes of a draft that cost almost nothing, as they are read with the last byte
_SURE = 0.05  # a draft grows longer only if all its bytes are right with at least this probability
_REMEMBERED = 2**14  # passages of the text


class Drafter:
    """Drafts for one text, at the temperature at which it is written."""

    def __init__(self, table: DraftTable, temperature: float):
        self._table = table
        self._temperature = temperature
        self._earlier: dict[bytes, int] = {}

    def learn(self, text: bytearray) -> None:
        """Remembers the last byte of ``text`` and the passage before it."""
        if len(self._earlier) == _REMEMBERED:
            self._earlier.clear()
        self._earlier[bytes(text[-_PASSAGE - 1 : -1])] = text[-1]

    def draft(self, text: bytearray, noise: NDArray[np.float64]) -> bytes:
        """Bytes that may come next, at most one for each row of ``noise`` (N, 256), with which the
        real bytes will be drawn (``sampling.draw``). A draft is long only where all its bytes are
        likely to be right."""
        guess = bytearray()
        tail = bytes(text[-_PASSAGE:])
        sure = 1.0
        for row in noise:
            repeated = self._earlier.get(tail)
            if repeated is None and not len(self._table):
                break
            if len(guess) >= _CHEAP and sure < _SURE:
                break
            probabilities = self._table.probabilities(tail)
            if repeated is not None:
                probabilities = probabilities * _NOT_REPEATED
                probabilities[repeated] += 1 - _NOT_REPEATED
            # The byte with the greatest p^(1/T) / noise is the one with the greatest p / noise^T.
            byte = int((probabilities / row**self._temperature).argmax())
            sure *= probabilities[byte]
            guess.append(byte)
            tail = tail[-_PASSAGE + 1 :] + bytes([byte])
        return bytes(guess)
