"""Guesses of the next bytes: they never change what is written, only how fast."""

import numpy as np

from h2q.model.ngram import DraftTable

_PASSAGE = 6
_NOT_REPEATED = 0.5  # probability that another byte follows than where it stood earlier
_CHEAP = 7  # bytes of a draft, which are read with the last one at the price of that one
_SURE = 0.05  # likelihood that all bytes so far are right, from which on more are drafted
_REMEMBERED = 2**14  # passages of the text


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
        they will be drawn (``sampling.draw``); many only where all are likely to be right."""
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
            # Of weights p^(1/T) and noise the first to ring is that of p and noise^T.
            byte = int((probabilities / row**self._temperature).argmax())
            sure *= probabilities[byte]
            guess.append(byte)
            tail = tail[-_PASSAGE + 1 :] + bytes([byte])
        return bytes(guess)
