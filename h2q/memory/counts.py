"""Counts of the passages of a text: which byte followed which bytes, and how often.

One pass over the text in chunks, with bounded memory and time. A *pair* is a context and the byte
that followed it, as one integer: the bytes of the context from the latest to the oldest, then the
byte that followed. So pairs with the same recent bytes are neighbours when they are sorted. Does not
know probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_ORDER = 7  # bytes of the longest context: with the byte that follows it fills 64 bits
CHUNK_BYTES = 2**22
# Pairs of one order. The rare pairs of a larger text are counted for shorter contexts only.
MOST_PAIRS = 5 * 2**20

Read = Callable[[int, int], bytes]  # from the start and the length of a piece of a text


@dataclass(frozen=True)
class Pairs:
    """Different pairs of one order, sorted.

    ``times`` says how often a pair occurred, and ``extensions`` after how many different bytes (the
    byte before the context), which is what Kneser and Ney count for shorter contexts.
    """

    pairs: NDArray[np.uint64]
    times: NDArray[np.int64]
    extensions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pairs)

    def part(self, chosen: NDArray[np.bool_]) -> "Pairs":
        return Pairs(self.pairs[chosen], self.times[chosen], self.extensions[chosen])

    def shortened(self) -> "Pairs":
        """The pairs whose contexts have the oldest byte less."""
        pairs = self.pairs >> np.uint64(16) << np.uint64(8) | self.pairs & np.uint64(0xFF)
        return _summed(pairs, self.times, np.ones_like(self.times))


_NONE = Pairs(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def _summed(
    pairs: NDArray[np.uint64], times: NDArray[np.int64], extensions: NDArray[np.int64]
) -> Pairs:
    """The counts of equal ``pairs`` added up."""
    if not len(pairs):
        return _NONE
    order = np.argsort(pairs, kind="stable")
    pairs = pairs[order]
    first = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))
    return Pairs(
        pairs[first],
        np.add.reduceat(times[order], first),
        np.add.reduceat(extensions[order], first),
    )


def _merged(parts: Sequence[Pairs]) -> Pairs:
    if len(parts) == 1:
        return parts[0]
    return _summed(
        np.concatenate([part.pairs for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.extensions for part in parts]),
    )


def contexts(text: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The last ``MAX_ORDER`` bytes before each place of ``text`` (N,) and after its end, (N + 1,).

    The latest byte is the most significant. Zeros stand before the beginning of the text.
    """
    padded = np.concatenate((np.zeros(MAX_ORDER, np.uint64), text.astype(np.uint64)))
    found = np.zeros(len(text) + 1, np.uint64)
    for age in range(1, MAX_ORDER + 1):
        first = MAX_ORDER - age
        found |= padded[first : first + len(found)] << np.uint64(8 * (MAX_ORDER - age))
    return found


class Counts:
    """The pairs of each order up to ``MAX_ORDER`` in the text that was added."""

    def __init__(self) -> None:
        # Of each order, pairs that are not counted for a longer context; not yet merged.
        self._parts: list[list[Pairs]] = [[] for _ in range(MAX_ORDER + 1)]

    def add(self, read: Read, length: int) -> "Counts":
        """Counts a text of ``length`` bytes, of which ``read`` returns pieces; returns itself."""
        before = b""
        for start in range(0, length, CHUNK_BYTES):
            data = before + read(start, min(CHUNK_BYTES, length - start))
            text = np.frombuffer(data, np.uint8)
            pairs = contexts(text)[len(before) : -1] << np.uint64(8)
            pairs |= text[len(before) :].astype(np.uint64)
            ones = np.ones(len(pairs), np.int64)
            self._append(MAX_ORDER, _summed(pairs, ones, ones))
            before = data[-MAX_ORDER:]
        return self

    def _append(self, order: int, new: Pairs) -> None:
        """Adds ``new`` to an order. Parts of similar size are merged, so each pair is merged only a
        few times; where there are too many pairs, the rare ones are counted for one byte less."""
        parts = self._parts[order]
        parts.append(new)
        while len(parts) > 1 and len(parts[-2]) < 2 * len(parts[-1]):
            parts[-2:] = [_merged(parts[-2:])]
        if sum(map(len, parts)) <= MOST_PAIRS or not order:
            return
        whole = _merged(parts)
        least = np.partition(whole.times, len(whole) // 2)[len(whole) // 2]
        rare = whole.times <= least
        parts[:] = [whole.part(~rare)]
        self._append(order - 1, whole.part(rare).shortened())

    def orders(self) -> list[Pairs]:
        """The pairs of each order from 0 on, those of longer contexts included."""
        found: list[Pairs] = []
        for order in range(MAX_ORDER, -1, -1):
            parts = [part for part in self._parts[order] if len(part)]
            if found:
                parts.append(found[-1].shortened())
            found.append(_merged(parts) if parts else _NONE)
        return found[::-1]
