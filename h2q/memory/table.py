"""A table of n-grams: the probability of the next byte after up to seven bytes of context.

Modified Kneser-Ney smoothing (Chen and Goodman, Computer Speech and Language 13, 1999) of the
``Counts`` of a text. Rare contexts are left out until the table fits its budget. It is packed into
small arrays of bytes, which lie in the model file. Does not know tensors, models or files.

Shapes: N places, V = 256 bytes that may follow.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from h2q.memory.counts import MAX_ORDER, Pairs, contexts

VOCAB = 256
Rows = NDArray[np.float32]  # (N, V)
Arrays = dict[str, NDArray[np.uint8]]

_CONTEXT_BYTES, _PAIR_BYTES = 4, 2  # of a packed context and of a packed pair
_DENSE_ORDER = 3  # rows up to this order are shared by many places
_UNIFORM = np.full(VOCAB, 1 / VOCAB, np.float32)
# A count is stored as a byte: itself up to 128, then in steps of a sixteenth of an octave.
_LEVELS = np.concatenate((np.arange(129), 128 * 2 ** (np.arange(1, 128) / 16)))[:VOCAB]
_CACHED = 2**13  # rows of single contexts, 2 KB each


class TableError(ValueError):
    """Arrays that are no table."""


@dataclass(frozen=True)
class _Order:
    """The contexts of one length, sorted, and what followed each of them."""

    contexts: NDArray[np.uint64]
    ends: NDArray[np.int64]  # where the pairs of each context end; one more, which is 0
    bytes: NDArray[np.uint8]  # of each pair
    known: NDArray[np.float32]  # probability of each pair, less its discount
    unknown: NDArray[np.float32]  # of each context: what is left for the shorter context
    evidence: NDArray[np.float32]  # (contexts, 2): log(1 + n) of occurrences and of different bytes

    def find(self, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The index of each wanted context (N,); -1 where it is not there."""
        at = np.searchsorted(self.contexts, wanted)
        at[at == len(self.contexts)] = 0
        return np.where(self.contexts[at] == wanted, at, -1)


class Row:
    """The probabilities (V,) of the next byte after one context, with the evidence for them. Only
    the last ``length`` bytes of the context are known."""

    def __init__(self, probabilities: Rows, evidence: NDArray[np.float32], length: int):
        self.probabilities = probabilities
        self.evidence = evidence
        self.length = length

    @classmethod
    def uniform(cls) -> "Row":
        return cls(_UNIFORM, np.zeros(2 * MAX_ORDER, np.float32), 0)

    @functools.cached_property
    def logs(self) -> Rows:
        """The logarithms of the probabilities, (V,)."""
        logs: Rows = np.log(self.probabilities)
        return logs


class NgramTable:
    """The probabilities of the next byte that the counts of a text give."""

    def __init__(self, arrays: Mapping[str, NDArray[np.uint8]]):
        """Unpacks what ``packed`` gave. Raises ``TableError`` where that cannot be."""
        self.arrays = dict(arrays)
        try:
            self._orders = _unpacked(self.arrays)
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            raise TableError(str(error)) from error
        self.order = len(self._orders) - 1
        self._rows: dict[bytes, Row] = {}

    @property
    def size_bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def probabilities(
        self, context: NDArray[np.uint64], order: int = MAX_ORDER
    ) -> tuple[Rows, NDArray[np.float32]]:
        """The probability of each byte (N, V) after each ``context`` (N,) of ``counts.contexts``,
        never 0, and the evidence for it (N, 2 · MAX_ORDER), zeros where a context is not known."""
        orders = self._orders[: order + 1]
        shared, inverse = np.unique(context >> _shift(_DENSE_ORDER), return_inverse=True)
        rows = np.repeat(_UNIFORM[None], len(shared), 0)
        evidence = np.zeros((len(shared), 2 * MAX_ORDER), np.float32)
        for length, known in enumerate(orders[: _DENSE_ORDER + 1]):
            _mix_in(known, shared >> _shift(length, _DENSE_ORDER), length, rows, evidence)
        rows, evidence = rows[inverse], evidence[inverse]
        for length, known in enumerate(orders[_DENSE_ORDER + 1 :], _DENSE_ORDER + 1):
            _mix_in(known, context >> _shift(length), length, rows, evidence)
        return rows, evidence

    def row(self, tail: bytes) -> "Row":
        """The same for one context, the last bytes of ``tail``. The result must not be changed."""
        if (found := self._rows.get(tail)) is not None:
            return found
        row = self.row(tail[1:]) if tail else Row.uniform()
        # Where a context is not known, no longer one is.
        if row.length == len(tail) - 1 < self.order or not tail:
            row = self._longer(row, tail)
        if len(self._rows) >= _CACHED:
            self._rows.clear()
        self._rows[tail] = row
        return row

    def _longer(self, row: "Row", tail: bytes) -> "Row":
        """``row`` of all but the first byte of ``tail``, mixed with what followed all of it."""
        order, wanted = self._orders[len(tail)], int.from_bytes(tail, "little")
        at = int(order.contexts.searchsorted(np.uint64(wanted)))
        if at == len(order.contexts) or int(order.contexts[at]) != wanted:
            return row
        part = slice(order.ends[at - 1], order.ends[at])
        probabilities = row.probabilities * order.unknown[at]
        probabilities[order.bytes[part]] += order.known[part]
        evidence = row.evidence.copy()
        if tail:
            evidence[2 * len(tail) - 2 : 2 * len(tail)] = order.evidence[at]
        return Row(probabilities, evidence, len(tail))


def _shift(order: int, longest: int = MAX_ORDER) -> np.uint64:
    return np.uint64(8 * (longest - order)) if order or longest < MAX_ORDER else np.uint64(56)


def _mix_in(
    order: _Order,
    wanted: NDArray[np.uint64],
    length: int,
    rows: Rows,
    evidence: NDArray[np.float32],
) -> None:
    """Changes ``rows`` (N, V) of the shorter context where the ``wanted`` contexts are known."""
    at = order.find(wanted)
    places = np.flatnonzero(at >= 0)
    at = at[places]
    first = order.ends[at - 1]
    counts = order.ends[at] - first
    pairs = np.arange(counts.sum()) + (first - counts.cumsum() + counts).repeat(counts)
    scale = np.ones(len(rows), np.float32)
    scale[places] = order.unknown[at]
    rows *= scale[:, None]
    rows.reshape(-1)[places.repeat(counts) * VOCAB + order.bytes[pairs]] += order.known[pairs]
    if length:
        evidence[places, 2 * length - 2 : 2 * length] = order.evidence[at]


# Packing. The contexts of an order are sorted, so those that share all but the oldest byte are
# neighbours: only the oldest byte is stored, and for each shorter context how many there are.


def packed(orders: list[Pairs], order: int, budget_bytes: int) -> Arrays:
    """The table of the pairs of each order (``Counts.orders``) with contexts of up to ``order``
    bytes, in at most ``budget_bytes`` (at least the shortest contexts are kept)."""
    kept = _pruned([_grouped(pairs) for pairs in orders[: order + 1]], budget_bytes)
    arrays: Arrays = {"discounts": np.zeros(0, np.uint8)}
    discounts = []
    parents = np.zeros(1, np.uint64)
    for length, (pairs, first) in enumerate(kept):
        counts = pairs.times if length == len(kept) - 1 else pairs.extensions
        discounts.append(_discounts(orders[length], length == len(kept) - 1))
        context = pairs.pairs[first] >> np.uint64(8)
        if length:
            children = np.bincount(
                np.searchsorted(parents, context >> np.uint64(8)), minlength=len(parents)
            )
            arrays[f"{length}.oldest"] = (context & np.uint64(0xFF)).astype(np.uint8)
            arrays[f"{length}.children"] = children.astype("<u2").view(np.uint8)
        kinds = np.diff(first, append=len(pairs))
        arrays[f"{length}.kinds"] = (kinds - 1).astype(np.uint8)
        arrays[f"{length}.bytes"] = (pairs.pairs & np.uint64(0xFF)).astype(np.uint8)
        levels = np.searchsorted(_LEVELS, counts, side="right") - 1
        arrays[f"{length}.counts"] = levels.astype(np.uint8)
        parents = context
    arrays["discounts"] = np.array(discounts, "<f4").reshape(-1).view(np.uint8)
    return arrays


_Grouped = tuple[Pairs, NDArray[np.int64]]  # pairs, and where those of each context begin


def _grouped(pairs: Pairs) -> _Grouped:
    context = pairs.pairs >> np.uint64(8)
    return pairs, np.flatnonzero(np.concatenate((context[:1] == context[:1], context[1:] != context[:-1])))


def _pruned(orders: list[_Grouped], budget_bytes: int) -> list[_Grouped]:
    """Leaves out the contexts that occurred least, among equals the longest first. So a context is
    never kept without the shorter ones."""
    worth, cost = [], []
    for length, (pairs, first) in enumerate(orders):
        times = np.add.reduceat(pairs.times, first) if len(first) else np.zeros(0, np.int64)
        worth.append(times * (MAX_ORDER + 1) + (MAX_ORDER - length))
        cost.append(_CONTEXT_BYTES + _PAIR_BYTES * np.diff(first, append=len(pairs)))
    values, costs = np.concatenate(worth[1:]), np.concatenate(cost[1:])
    falling = np.argsort(-values, kind="stable")
    fits = np.searchsorted(costs[falling].cumsum(), budget_bytes - int(cost[0].sum()), "right")
    if fits == len(values):
        return orders
    # All contexts of the same worth are kept, or none.
    least = values[falling[fits]]
    kept = orders[:1]
    for (pairs, first), value in zip(orders[1:], worth[1:]):
        chosen = value > least
        if not chosen.any():
            break
        kept.append(_grouped(pairs.part(chosen.repeat(np.diff(first, append=len(pairs))))))
    return kept


def _discounts(pairs: Pairs, longest: bool) -> list[float]:
    """What is taken from counts of 1, 2, and 3 or more (Chen and Goodman, equation 26)."""
    counts = pairs.times if longest else pairs.extensions
    one, two, three, four = (max(1, int((counts == n).sum())) for n in range(1, 5))
    share = one / (one + 2 * two)
    wanted = 1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three
    return [float(np.clip(d, 0.05, n - 0.05)) for n, d in zip((1, 2, 3), wanted)]


def _unpacked(arrays: Arrays) -> list[_Order]:
    """The orders in ``arrays``, whose values are checked; ``ValueError`` where they do not fit."""
    discounts = arrays["discounts"].view("<f4").reshape(-1, 3)
    if not 1 <= len(discounts) <= MAX_ORDER + 1 or len(arrays) != 5 * len(discounts) - 1:
        raise ValueError("orders")
    if not ((discounts > 0) & (discounts < (1, 2, 3))).all():
        raise ValueError("discounts")
    orders: list[_Order] = []
    parents = np.zeros(1, np.uint64)
    for length, discount in enumerate(discounts):
        if length:
            children = arrays[f"{length}.children"].view("<u2").astype(np.int64)
            oldest = arrays[f"{length}.oldest"].astype(np.uint64)
            if len(children) != len(parents) or children.sum() != len(oldest):
                raise ValueError("children")
            parents = parents.repeat(children) << np.uint64(8) | oldest
            if (parents[1:] <= parents[:-1]).any():
                raise ValueError("contexts")
        orders.append(_unpacked_order(arrays, length, parents, discount.astype(np.float64)))
    return orders


def _unpacked_order(
    arrays: Arrays, length: int, known: NDArray[np.uint64], discount: NDArray[np.float64]
) -> _Order:
    following = arrays[f"{length}.bytes"]
    counts = _LEVELS[arrays[f"{length}.counts"]]
    kinds = arrays[f"{length}.kinds"].astype(np.int64) + 1
    ends = kinds.cumsum()
    if len(kinds) != len(known) or not len(known) or ends[-1] != len(counts):
        raise ValueError("kinds")
    if len(following) != len(counts) or counts.min() < 1:
        raise ValueError("counts")
    first = ends - kinds
    rising = following[1:] > following[:-1]
    rising[first[1:] - 1] = True
    if not rising.all():
        raise ValueError("bytes")
    taken = discount[np.minimum(counts.astype(np.int64), 3) - 1]
    totals = np.add.reduceat(counts, first)
    return _Order(
        known,
        np.append(ends, 0),
        following,
        ((counts - taken) / totals.repeat(kinds)).astype(np.float32),
        (np.add.reduceat(taken, first) / totals).astype(np.float32),
        np.log1p(np.stack((totals, kinds), 1)).astype(np.float32),
    )
