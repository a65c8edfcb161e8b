"""Counts of a window's own text: a word that has just come is likely to come again.

The last two, four and six bytes are looked up in the window itself. Each length mixes with the next
shorter one as in PPM's method C (Moffat, IEEE Trans. Commun. 38, 1990): after n occurrences with d
different bytes a new byte has the probability d / (n + d). ``Window`` does it byte by byte, to
write; ``in_windows`` does it for whole windows at once, to measure.

Shapes: N places, V = 256 bytes that may follow.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from h2q.memory.counts import MAX_ORDER, contexts
from h2q.memory.table import VOCAB, Rows

LENGTHS = (2, 4, 6)
MOST_WINDOWS = 64  # that ``in_windows`` takes at once
Evidence = NDArray[np.float32]
_NO_EVIDENCE: Evidence = np.zeros(len(LENGTHS), np.float32)


class Window:
    """The text of one window, to which bytes are added and taken from again."""

    def __init__(self, text: bytes = b""):
        self._text = bytearray()
        self._followed: dict[bytes, dict[int, int]] = {}  # by context: how often each byte followed
        for byte in text:
            self.add(byte)

    def add(self, byte: int) -> None:
        for context in self._contexts():
            times = self._followed.setdefault(context, {})
            times[byte] = times.get(byte, 0) + 1
        self._text.append(byte)

    def pop(self) -> None:
        """Takes the last byte away."""
        byte = self._text.pop()
        for context in self._contexts():
            times = self._followed[context]
            times[byte] -= 1
            if not times[byte]:
                del times[byte]
                if not times:
                    del self._followed[context]

    def _contexts(self) -> list[bytes]:
        """The last bytes of the text, for each length that it has."""
        return [bytes(self._text[-n:]) for n in LENGTHS if n <= len(self._text)]

    def mixed(self, known: Rows) -> tuple[Rows, Evidence]:
        """The probabilities (V,) of the next byte: ``known`` (V,) mixed with the window's counts;
        ``known`` itself where the window knows nothing. And the evidence for it (lengths,): log(1 +
        n) of each length."""
        evidence = _NO_EVIDENCE
        scale = 1.0
        followed: list[int] = []
        shares: list[float] = []
        for column, context in reversed(list(enumerate(self._contexts()))):
            if (times := self._followed.get(context)) is None:
                continue
            if not followed:
                evidence = evidence.copy()
            n = sum(times.values())
            evidence[column] = math.log1p(n)
            share = scale / (n + len(times))
            followed += times
            shares += [share * count for count in times.values()]
            scale = share * len(times)
        if not followed:
            return known, evidence
        return known * scale + np.bincount(followed, shares, VOCAB), evidence


def in_windows(windows: Sequence[bytes], known: Rows) -> tuple[Rows, Evidence]:
    """``Window.mixed`` at every byte of ``windows`` but the first, in order: ``known`` (N, V) gives
    the probabilities (N, V) and the evidence (N, lengths)."""
    texts = [np.frombuffer(window, np.uint8) for window in windows]
    byte = np.concatenate([text[1:] for text in texts]).astype(np.int64)
    # The number of the window stands before the context, so windows never share one.
    latest = np.concatenate(
        [contexts(text)[1:-1] | np.uint64(index << 56) for index, text in enumerate(texts)]
    )
    before = np.concatenate([np.arange(1, len(text)) for text in texts])  # bytes in the window
    evidence = np.zeros((len(byte), len(LENGTHS)), np.float32)
    scale = np.ones(len(byte))
    added = []
    for column, length in reversed(list(enumerate(LENGTHS))):
        whole = np.flatnonzero(before >= length)
        context = latest[whole] >> np.uint64(8 * (MAX_ORDER - length))
        index, followed, counts = _earlier(context, byte[whole])
        place = whole[index]
        times = np.bincount(place, counts, len(byte))
        kinds = np.bincount(place, minlength=len(byte))
        evidence[:, column] = np.log1p(times)
        share = scale / np.maximum(times + kinds, 1)
        added.append((place * VOCAB + followed, share[place] * counts))
        scale = np.where(times > 0, share * kinds, scale)
    mixed = known * scale.astype(np.float32)[:, None]
    for at, shares in added:  # of one length, no place and byte comes twice
        mixed.reshape(-1)[at] += shares.astype(np.float32)
    return mixed, evidence


def _earlier(
    context: NDArray[np.uint64], byte: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Which bytes followed the context of each place before, and how often: places, bytes, counts,
    each (M,), for ``context`` and ``byte`` (N,)."""
    order = np.argsort(context, kind="stable")
    ordered = context[order]
    begins = np.append(ordered[:1] == ordered[:1], ordered[1:] != ordered[:-1])
    group = begins.cumsum() - 1
    ends = np.append(np.flatnonzero(begins)[1:], len(order))
    pairs, first, pair = np.unique(
        group * VOCAB + byte[order], return_index=True, return_inverse=True
    )
    # Each pair has a run of entries: one for each later place with the same context.
    later = ends[pairs // VOCAB] - first - 1
    begin = later.cumsum() - later
    counts = np.zeros(int(later.sum()) + 1, np.int64)
    number = np.arange(len(order))
    again = begin[pair] + number - first[pair]  # the entry after each occurrence
    inside = (number > first[pair]) & (number < ends[group] - 1)
    counts[again[inside]] = 1
    counts = counts[:-1].cumsum()
    run = np.arange(len(pairs)).repeat(later)
    within = np.arange(len(counts)) - begin[run]
    counts += 1 - np.concatenate(([0], counts))[begin][run]
    return order[first[run] + 1 + within], pairs[run] % VOCAB, counts
