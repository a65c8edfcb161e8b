"""Stretches of text whose characters stand in no order: hexadecimal digits, base64, decoded noise.

In text that means something, neighbours depend on each other: the same pairs of characters come
again and again. Where the characters stand in random order, pairs repeat only as often as their
characters make them. Comparing the two numbers is the digraphic test of cryptanalysis (Friedman,
The Index of Coincidence, 1922; Kullback, Statistical Methods in Cryptanalysis, 1938). It needs
no model. Does not decide what happens to such text: that is for ``evolution.junk``.

Two kinds of text are never called disorderly, because the test cannot tell: what consists of few
different characters, such as columns of digits, and what consists of Chinese, Japanese or Korean
characters, of which too few come twice.

Shapes: U units of C characters each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from h2q.datasets.corpus import ByteStream

UNIT_CHARACTERS = 384
_LEAST_EXCESS = 5.0  # standard deviations; 99.9 % of units of noise have less, of prose more
_LEAST_ENTROPY = 3.85  # bits a character: digits with separators have less, hexadecimal digits 4
_MOST_WIDE = 0.2  # of the characters
_CHUNK_BYTES = 2**20  # that are looked at together

Codes = NDArray[np.uint32]


@dataclass(frozen=True)
class Unit:
    """A piece of a stream whose characters stand in no order."""

    start: int  # position in the stream
    length: int  # bytes
    bits_per_byte: float  # entropy of its single characters


def disorderly(stream: ByteStream) -> list[Unit]:
    """The units of ``stream`` without order, in the order of the stream. None crosses the end of a
    segment."""
    found: list[Unit] = []
    ends = np.cumsum(stream.lengths)
    for end, length in zip(ends.tolist(), stream.lengths.tolist()):
        for start in range(end - length, end, _CHUNK_BYTES):
            size = min(_CHUNK_BYTES, end - start)
            found += _disorderly(np.frombuffer(stream.read(start, size), np.uint8), start)
    return found


def _disorderly(data: NDArray[np.uint8], offset: int) -> Iterator[Unit]:
    """The units without order in ``data``, which begins at ``offset`` in its stream. Each stands
    beside another one."""
    codes, starts = _characters(data)
    count = len(codes) // UNIT_CHARACTERS
    if not count:
        return
    firsts = UNIT_CHARACTERS * np.arange(count)
    if len(codes) > count * UNIT_CHARACTERS:  # the last unit overlaps the one before
        firsts = np.append(firsts, len(codes) - UNIT_CHARACTERS)
    units = codes[firsts[:, None] + np.arange(UNIT_CHARACTERS)]
    entropy = _entropy(units)
    chosen = (excess_of_pairs(units) < _LEAST_EXCESS) & (entropy >= _LEAST_ENTROPY)
    chosen &= _wide(units).mean(1) <= _MOST_WIDE
    begins = starts[UNIT_CHARACTERS * np.arange(len(firsts))]
    edges = np.append(begins, len(data))
    for index in np.flatnonzero(_in_a_row(chosen)):
        bytes_of_unit = starts[firsts[index] + UNIT_CHARACTERS] - starts[firsts[index]]
        bits = float(entropy[index]) * UNIT_CHARACTERS / int(bytes_of_unit)
        yield Unit(offset + int(edges[index]), int(edges[index + 1] - edges[index]), bits)


def _characters(data: NDArray[np.uint8]) -> tuple[Codes, NDArray[np.int64]]:
    """A number for each character of UTF-8, made of its bytes, and where each begins; one more for
    the end. Bytes of a character that began before ``data`` belong to the first one."""
    continues = np.append((data & 0xC0) == 0x80, [False] * 3)
    starts = np.flatnonzero(~continues[: len(data)])
    padded = np.append(data, np.zeros(3, np.uint8)).astype(np.uint32)
    codes, more = padded[starts], np.ones(len(starts), bool)
    for place in range(1, 4):
        more = more & continues[starts + place]
        codes |= np.where(more, padded[starts + place], 0) << np.uint32(8 * place)
    return codes, np.append(starts, len(data))


def excess_of_pairs(units: Codes) -> NDArray[np.float64]:
    """For each of ``units`` (U, C): how many more equal pairs of neighbours there are than in random
    order, in standard deviations, (U,)."""
    count = units.shape[1]
    alike = _coincidences(units) / (count * (count - 1) / 2)
    pairs = units[:, :-1].astype(np.uint64) << np.uint64(32) | units[:, 1:]
    expected = alike**2 * ((count - 1) * (count - 2) / 2)
    excess: NDArray[np.float64] = (_coincidences(pairs) - expected) / np.sqrt(expected + 1)
    return excess


def _runs(values: NDArray[np.unsignedinteger]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each different value of a row of ``values`` (U, N) is there, and in which row."""
    ordered = np.sort(values, axis=1)
    new = np.ones(values.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    begins = np.flatnonzero(new)
    return np.diff(begins, append=values.size), begins // values.shape[1]


def _coincidences(values: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """For each row of ``values`` (U, N), how many pairs of places hold the same value, (U,)."""
    times, rows = _runs(values)
    return np.bincount(rows, weights=times * (times - 1) / 2).astype(np.float64)


def _entropy(units: Codes) -> NDArray[np.float64]:
    """Bits per character of each of ``units`` (U, C), from its own counts, (U,)."""
    times, rows = _runs(units)
    shares = times / units.shape[1]
    return np.bincount(rows, weights=-shares * np.log2(shares)).astype(np.float64)


def _wide(units: Codes) -> NDArray[np.bool_]:
    """Which of ``units`` (U, C) are Chinese, Japanese or Korean: U+3000 to U+D7FF."""
    first = units & 0xFF
    return (first >= 0xE3) & (first <= 0xED)


def _in_a_row(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those of ``chosen`` that stand beside another one."""
    beside = np.zeros_like(chosen)
    beside[1:] |= chosen[:-1]
    beside[:-1] |= chosen[1:]
    return chosen & beside
