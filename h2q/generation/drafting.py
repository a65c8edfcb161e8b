"""Drafts: guesses of the next bytes. They never change what is written, only how fast.

What is written is drawn from the mixture of Transformer and memory with random numbers that are
known beforehand. A draft is drawn with the same numbers from what the memory alone says: where the
two distributions agree, the bytes agree too (arXiv 2408.07978). Such a guess is right more often
than the most likely byte. What the memory said on the way is kept, as the mixture needs it.

Without a memory, the bytes that were written before still give guesses (prompt look-up, arXiv
2304.04487). Whether a guess counts is decided in ``generate``.
"""

import math

import numpy as np
from numpy.typing import NDArray

from h2q.generation.sampling import LEAST_NOISE
from h2q.memory.counts import MAX_ORDER
from h2q.memory.mixture import Memory, Recalled
from h2q.memory.table import EVIDENCE, VOCAB, Row, Rows
from h2q.memory.window import Evidence, Window

_BLIND = Row(np.full(VOCAB, 1 / VOCAB, np.float32), np.zeros(EVIDENCE, np.float32))
_CHEAP = 7  # bytes of a draft that cost almost nothing, as they are read with the last byte
_SURE = 0.05  # a draft grows longer only if all its bytes are right with at least this probability
_WINDOWS_SHARE = 0.2  # of the window in a guess, beside the table


class Drafter:
    """Drafts for one text, at the temperature at which it is written."""

    def __init__(self, memory: Memory | None, temperature: float, text: bytes):
        self._table = None if memory is None else memory.table
        self._temperature = temperature
        self.begin(text)

    def begin(self, text: bytes) -> None:
        """Forgets everything but ``text``."""
        self._window = Window(text)

    def learn(self, byte: int) -> None:
        """Adds a byte to the text."""
        self._window.add(byte)

    def draft(self, text: bytearray, noise: NDArray[np.float64]) -> bytes:
        """Bytes that may come next, at most one for each row of ``noise`` (N, V), with which the
        real bytes will be drawn (``sampling.draw``). A draft is long only where all its bytes are
        likely to be right."""
        guess, likely = bytearray(), 1.0
        self._said: list[tuple[Row, Rows, Evidence]] = []
        logs, known = self._recall(bytes(text[-MAX_ORDER:]))
        # The byte with the greatest p^(1/T) / noise is the one with the greatest p / noise^T.
        costs = self._temperature * np.log(np.maximum(noise, LEAST_NOISE))
        for row in costs:
            if not known or (len(guess) >= _CHEAP and likely < _SURE):
                break
            byte = int((logs - row).argmax())
            likely *= math.exp(logs[byte])
            guess.append(byte)
            self._window.add(byte)
            logs, known = self._recall(bytes((text[-MAX_ORDER:] + guess)[-MAX_ORDER:]))
        for _ in guess:
            self._window.pop()
        return bytes(guess)

    def _recall(self, tail: bytes) -> tuple[Rows, bool]:
        """Keeps what the memory says of the byte after ``tail``, which ends the text. Returns the
        log-probabilities (V,) for a guess, and whether they are more than a blind guess."""
        row = _BLIND if self._table is None else self._table.row(tail)
        mixed, evidence = self._window.mixed(row.probabilities)
        logs = row.logs if mixed is row.probabilities else np.log(mixed)
        self._said.append((row, logs, evidence))
        guess = row.logs + _WINDOWS_SHARE * (logs - row.logs) if row is not _BLIND else logs
        return guess, row is not _BLIND or bool(evidence.any())

    def recalled(self, count: int) -> Recalled:
        """What the memory said of the first ``count`` bytes of the last draft, and of the one after
        it if that is among them."""
        rows, windows, evidence = zip(*self._said[:count])
        return Recalled(
            np.stack([row.logs for row in rows]),
            np.stack(windows).astype(np.float32),
            np.stack([np.concatenate((row.evidence, own)) for row, own in zip(rows, evidence)]),
        )
