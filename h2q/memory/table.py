"""A table of n-grams: the probability of the next byte after up to seven bytes of context.

Modified Kneser-Ney smoothing (Chen and Goodman, Computer Speech and Language 13, 1999) of the
``Counts`` of a text. Rare contexts are left out until the table fits its budget. It is packed into
small arrays of bytes, which lie in the model file. Does not know tensors, models or files.

Shapes: N places, V = 256 bytes that may follow.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from h2q.memory.counts import MAX_ORDER, Pairs

VOCAB = 256
EVIDENCE = 2 * (MAX_ORDER + 1)  # two values of each order
Rows = NDArray[np.float32]  # (N, V)
Evidence = NDArray[np.float32]  # (N, EVIDENCE)
Arrays = dict[str, NDArray[np.uint8]]

_CONTEXT_BYTES, _PAIR_BYTES = 4, 2  # of a packed context and of a packed pair
_SHARED_ORDER = 3  # contexts up to this order are met again and again
_UNIFORM = np.full(VOCAB, 1 / VOCAB, np.float32)
# A count is stored as a byte: itself up to 128, then in steps of a sixteenth of an octave.
_LEVELS = np.concatenate((np.arange(129), 128 * 2 ** (np.arange(1, 128) / 16)))[:VOCAB]
_CACHED = 2**13  # rows of single contexts, 2 KB each


class TableError(ValueError):
    """Arrays that are no table."""


@dataclass(frozen=True)
class _Contexts:
    """The contexts of all orders, sorted, and what followed each of them. Above the bytes of a
    context stands its order, so the shorter ones come first."""

    contexts: NDArray[np.uint64]  # one more, which is larger than any
    begins: NDArray[np.int64]  # where the pairs of each context begin
    ends: NDArray[np.int64]
    bytes: NDArray[np.uint8]  # of each pair
    known: NDArray[np.float32]  # probability of each pair, less its discount
    unknown: NDArray[np.float32]  # of each context: what is left for the shorter context
    evidence: NDArray[np.float32]  # (contexts, 2): log(1 + n) of occurrences and of different bytes

    def find(self, wanted: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where each of the ``wanted`` contexts (N,) is or would be, and whether it is there."""
        at = self.contexts.searchsorted(wanted)
        return at, self.contexts[at] == wanted

    def mix_in(
        self, wanted: NDArray[np.uint64], order: int, rows: Rows, evidence: Evidence
    ) -> None:
        """Changes ``rows`` (N, V) of the shorter context where the ``wanted`` contexts (N,) of this
        order are known."""
        at, found = self.find(wanted | _tag(order))
        places, at = np.flatnonzero(found), at[found]
        first, counts = self.begins[at], self.ends[at] - self.begins[at]
        pairs = np.arange(counts.sum()) + (first - counts.cumsum() + counts).repeat(counts)
        scale = np.ones(len(rows), np.float32)
        scale[places] = self.unknown[at]
        rows *= scale[:, None]
        rows.reshape(-1)[places.repeat(counts) * VOCAB + self.bytes[pairs]] += self.known[pairs]
        evidence[places, 2 * order : 2 * order + 2] = self.evidence[at]


class Row:
    """The probabilities (V,) of the next byte after one context, and the evidence for them."""

    def __init__(self, probabilities: Rows, evidence: Evidence):
        self.probabilities = probabilities
        self.evidence = evidence

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
            self.order, self._contexts = _unpacked(self.arrays)
        except (KeyError, ValueError, IndexError, OverflowError) as error:
            raise TableError(str(error)) from error
        self._rows: dict[bytes, Row] = {}

    @property
    def size_bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def probabilities(self, context: NDArray[np.uint64]) -> tuple[Rows, Evidence]:
        """The probability of each byte (N, V) after each ``context`` (N,) of ``counts.contexts``,
        never 0, and the evidence for it (N, EVIDENCE), zeros where a context is not known."""
        shared, inverse = np.unique(_latest(context, _SHARED_ORDER), return_inverse=True)
        rows = np.full((len(shared), VOCAB), 1 / VOCAB, np.float32)
        evidence = np.zeros((len(shared), EVIDENCE), np.float32)
        for order in range(min(_SHARED_ORDER, self.order) + 1):
            wanted = shared >> np.uint64(8 * (_SHARED_ORDER - order))
            self._contexts.mix_in(wanted, order, rows, evidence)
        rows, evidence = rows[inverse], evidence[inverse]
        for order in range(_SHARED_ORDER + 1, self.order + 1):
            self._contexts.mix_in(_latest(context, order), order, rows, evidence)
        return rows, evidence

    def row(self, tail: bytes) -> Row:
        """The same for one context: the last bytes of ``tail``. The result must not be changed."""
        tail = tail[-self.order :].rjust(self.order, b"\0") if self.order else b""
        if (found := self._rows.get(tail)) is not None:
            return found
        shared = tail[-_SHARED_ORDER:]
        row = self._rows.get(shared) or self._extended(None, shared)
        self._rows[shared] = row
        if shared != tail:
            row = self._rows[tail] = self._extended(row, tail, len(shared))
        if len(self._rows) >= _CACHED:
            self._rows.clear()
        return row

    def _extended(self, shorter: Row | None, tail: bytes, known: int = 0) -> Row:
        """The row of all of ``tail``, from that of its last ``known`` bytes; None is before any."""
        first = 0 if shorter is None else known + 1
        latest = int.from_bytes(tail, "little")
        orders = range(first, len(tail) + 1)
        wanted = [order << 56 | latest >> 8 * (len(tail) - order) for order in orders]
        at, found = self._contexts.find(np.array(wanted, np.uint64))
        probabilities = _UNIFORM if shorter is None else shorter.probabilities
        evidence = np.zeros(EVIDENCE, np.float32) if shorter is None else shorter.evidence.copy()
        for order, index, is_known in zip(orders, at.tolist(), found.tolist()):
            if not is_known:  # nor is a longer one
                break
            part = slice(self._contexts.begins[index], self._contexts.ends[index])
            probabilities = probabilities * self._contexts.unknown[index]
            probabilities[self._contexts.bytes[part]] += self._contexts.known[part]
            evidence[2 * order : 2 * order + 2] = self._contexts.evidence[index]
        return Row(probabilities, evidence)


def _tag(order: int) -> np.uint64:
    return np.uint64(order << 56)


def _latest(context: NDArray[np.uint64], order: int) -> NDArray[np.uint64]:
    """The latest bytes of each ``context`` of ``counts.contexts``."""
    return context >> np.uint64(8 * (MAX_ORDER - order))


# Packing. The contexts of an order are sorted, so those that share all but the oldest byte are
# neighbours: only the oldest byte is stored, and for each shorter context how many there are.


def packed(orders: list[Pairs], order: int, budget_bytes: int) -> Arrays:
    """The table of the pairs of each order (``Counts.orders``) with contexts of up to ``order``
    bytes, in at most ``budget_bytes`` (at least the shortest contexts are kept)."""
    kept = _pruned([_grouped(pairs) for pairs in orders[: order + 1]], budget_bytes)
    arrays: Arrays = {}
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
    return pairs, np.flatnonzero(
        np.concatenate((context[:1] == context[:1], context[1:] != context[:-1]))
    )


def _pruned(orders: list[_Grouped], budget_bytes: int) -> list[_Grouped]:
    """Leaves out the contexts that occurred least, among equals the longest first. So a context is
    never kept without the shorter ones."""
    worth, cost = [], []
    for length, (pairs, first) in enumerate(orders):
        times = np.add.reduceat(pairs.times, first) if len(first) else np.zeros(0, np.int64)
        worth.append(times * (MAX_ORDER + 1) + (MAX_ORDER - length))
        cost.append(_CONTEXT_BYTES + _PAIR_BYTES * np.diff(first, append=len(pairs)))
    if len(orders) == 1:
        return orders
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


def _unpacked(arrays: Arrays) -> tuple[int, _Contexts]:
    """The highest order in ``arrays`` and all contexts; ``ValueError`` where values do not fit."""
    discounts = arrays["discounts"].view("<f4").reshape(-1, 3)
    if not 1 <= len(discounts) <= MAX_ORDER + 1 or len(arrays) != 5 * len(discounts) - 1:
        raise ValueError("orders")
    if not ((discounts > 0) & (discounts < (1, 2, 3))).all():
        raise ValueError("discounts")
    parts: list[_Contexts] = []
    parents = np.zeros(1, np.uint64)
    pairs = 0
    for order, discount in enumerate(discounts):
        if order:
            children = arrays[f"{order}.children"].view("<u2").astype(np.int64)
            oldest = arrays[f"{order}.oldest"].astype(np.uint64)
            if len(children) != len(parents) or children.sum() != len(oldest):
                raise ValueError("children")
            parents = parents.repeat(children) << np.uint64(8) | oldest
            if not len(parents) or (parents[1:] <= parents[:-1]).any():
                raise ValueError("contexts")
        parts.append(_unpacked_order(arrays, order, parents, discount.astype(np.float64), pairs))
        pairs += len(parts[-1].bytes)
    last = np.array([2**64 - 1], np.uint64)
    joined = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(_Contexts)
    }
    joined["contexts"] = np.concatenate((joined["contexts"], last))
    return len(parts) - 1, _Contexts(**joined)


def _unpacked_order(
    arrays: Arrays,
    order: int,
    contexts: NDArray[np.uint64],
    discount: NDArray[np.float64],
    first_pair: int,
) -> _Contexts:
    following = arrays[f"{order}.bytes"]
    counts = _LEVELS[arrays[f"{order}.counts"]]
    kinds = arrays[f"{order}.kinds"].astype(np.int64) + 1
    ends = kinds.cumsum()
    if len(kinds) != len(contexts) or ends[-1] != len(counts):
        raise ValueError("kinds")
    if len(following) != len(counts) or counts.min() < 1:
        raise ValueError("counts")
    begins = ends - kinds
    rising = following[1:] > following[:-1]
    rising[begins[1:] - 1] = True
    if not rising.all():
        raise ValueError("bytes")
    taken = discount[np.minimum(counts.astype(np.int64), 3) - 1]
    totals = np.add.reduceat(counts, begins)
    return _Contexts(
        contexts | _tag(order),
        begins + first_pair,
        ends + first_pair,
        following,
        ((counts - taken) / totals.repeat(kinds)).astype(np.float32),
        (np.add.reduceat(taken, begins) / totals).astype(np.float32),
        np.log1p(np.stack((totals, kinds), 1)).astype(np.float32),
    )
