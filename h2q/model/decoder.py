"""The forward pass for writing: many streams, a few new bytes in each, a cache of earlier bytes.

On the processor it computes the logits of ``Transformer``, approximately, because its products are
those of rounded numbers (``integer_linear``). The bits of a row depend only on the text of that
row: neither on how many streams are read together nor on how many bytes are read at once. So a seed
gives the same text for one stream and among 64, with and without drafts.

- The products are sums of integers, which are exact. Up to eight rows cost little more than one,
  so drafts save time.
- Attention reads the keys up to the end of the block of ``BLOCK`` positions that the query is in,
  under a mask, so their number depends only on the query's position. A few queries are padded to
  the number (``_whole_queries``) from which the kernel adds up in the same order as for many.

A test compares every bit in all these cases. Does not choose bytes: that is for ``generation``.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from h2q.model.attention import rotary_table
from h2q.model.integer_linear import Product, integer_product
from h2q.model.transformer import Transformer

BLOCK = 32  # positions
_MOST_ROWS = 1024  # in one pass, to bound memory
_PROBE_HEADS = 8


def _plain_product(layer: torch.nn.Linear, nonnegative: bool = False) -> Product:
    return integer_product(layer.weight.detach().cpu(), layer.bias.detach().cpu(), nonnegative)


def _rotating_product(layer: torch.nn.Linear, n_heads: int) -> Product:
    """``layer``, which gives queries, keys and values, with its outputs in another order: in each
    head of queries and keys the pairs (i, i + D/2) stand side by side, as complex numbers. This
    does not change the products of queries and keys."""

    def interleaved(values: Tensor) -> Tensor:
        parts = values.view(3, n_heads, 2, -1, *values.shape[1:])  # (3, H, 2, D/2, ...)
        query_key = parts[:2].transpose(2, 3).flatten(2, 3)
        return torch.cat((query_key, parts[2:].flatten(2, 3))).view(values.shape)

    weight, bias = layer.weight.detach().cpu(), layer.bias.detach().cpu()
    return integer_product(interleaved(weight), interleaved(bias))


@functools.cache
@torch.inference_mode()
def _whole_queries(count: int, head_dim: int) -> int:
    """The smallest number of queries, ``count`` or more, whose products with keys and values have
    the same bits as those of many queries. For few queries a kernel may add up in another order."""
    generator = torch.Generator().manual_seed(0)
    keys = torch.randn(_PROBE_HEADS, 4 * BLOCK, head_dim, generator=generator)
    query = torch.randn(_PROBE_HEADS, 1, head_dim, generator=generator)

    def attended(queries: int, length: int) -> Tensor:
        weights = torch.bmm(query.repeat(1, queries, 1), keys[:, :length].mT).softmax(-1)
        return torch.bmm(weights, keys[:, :length])

    lengths = (BLOCK, 4 * BLOCK)
    wanted = [attended(BLOCK, length)[:, :1] for length in lengths]
    tried = range(count, BLOCK)
    alike = (
        number
        for number in tried
        if all((attended(number, k) == found).all() for k, found in zip(lengths, wanted))
    )
    return next(alike, BLOCK)


def norm(layer: torch.nn.LayerNorm) -> Product:
    """``layer`` as a function of rows (N, C), without the overhead of calling a module."""
    weight, bias = layer.weight.detach().cpu(), layer.bias.detach().cpu()
    arguments = (layer.normalized_shape, weight, bias, layer.eps)
    return lambda rows: torch.layer_norm(rows, *arguments)


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)
def _causal_table(length: int) -> Tensor:
    """Row i is 0 for positions up to i and -inf beyond, (length + BLOCK, length)."""
    return torch.full((length + BLOCK, length), -torch.inf).triu_(diagonal=1)


@dataclass(frozen=True)
class _Layer:
    attention_norm: Product
    query_key_value: Product
    attention_output: Product
    feedforward_norm: Product
    feedforward_input: Product
    feedforward_output: Product


@dataclass(frozen=True)
class _Window:
    """What adjacent slots see up to the end of a block when each reads the same number of rows.

    Its tensors are views. They are kept, because making them takes longer than using them.
    """

    heads: Tensor  # (slots · H, padded rows, D): first queries, then the output of attention
    used: Tensor  # (slots, rows, H, D), a part of ``heads``
    keys: Sequence[Tensor]  # (slots · H, D, keys) of each layer
    values: Sequence[Tensor]  # (slots · H, keys, D) of each layer

    def attend(self, layer: int, queries: Tensor, mask: Tensor) -> Tensor:
        """The output (slots, rows, H, D) for ``queries`` (slots · rows, H, D) under ``mask``
        (slots · H or 1, padded rows, keys). The next call overwrites it."""
        self.used.copy_(queries.view(self.used.shape))
        weights = torch.bmm(self.heads, self.keys[layer]).add_(mask).softmax(-1)
        torch.bmm(weights, self.values[layer], out=self.heads)
        return self.used


@dataclass(frozen=True)
class _Run:
    """Neighbouring rows of a pass that one window can compute."""

    window: _Window
    rows: slice  # among all rows of the pass
    mask: Tensor  # (slots · H or 1, padded rows, keys)
    output: Tensor  # (slots, rows, H, D), where the result goes


class Decoder:
    """Reads bytes into ``n_slots`` streams and returns the logits of the bytes that follow.

    Memory does not grow: packed weights, and 2 × layers × slots × C × context_length numbers.
    """

    @torch.inference_mode()
    def __init__(self, model: Transformer, n_slots: int = 1):
        self.config = model.config
        config = self.config
        self.capacity = config.context_length
        self._layers = [
            _Layer(
                norm(layer.attention_norm),
                _rotating_product(layer.query_key_value, config.n_heads),
                _plain_product(layer.attention_output),
                norm(layer.feedforward_norm),
                _plain_product(layer.feedforward_input),
                _plain_product(layer.feedforward_output, nonnegative=True),
            )
            for layer in model.layers
        ]
        self._embedding = model.embedding.weight.detach().cpu()
        self._final_norm = norm(model.final_norm)
        self._output = _plain_product(model.output)
        self._rounded = -(-self.capacity // BLOCK) * BLOCK  # keys are read in whole blocks
        cos, sin = rotary_table(self.capacity, config.head_dim, config.rotary_base)
        half = config.head_dim // 2
        angles = torch.complex(cos[:, :half], sin[:, half:])[:, None, None]
        # Rotation also scales queries: (capacity, 2, 1, D/2) for queries and keys.
        self._angles = torch.cat((angles * config.head_dim**-0.5, angles), dim=1)
        self._mask = _causal_table(self._rounded)
        shape = (n_slots, config.n_heads, self._rounded, config.head_dim)
        self._cache = torch.zeros(config.n_layers, 2, *shape)  # keys and values
        self._heads = torch.zeros(n_slots * config.embed_dim * BLOCK)
        self._window = functools.lru_cache(maxsize=256)(self._new_window)
        self.lengths = [0] * n_slots
        self.memory = model.memory  # mixed in where bytes are chosen, not here

    def free(self, slot: int) -> int:
        """How many bytes can still be read into a slot."""
        return self.capacity - self.lengths[slot]

    @torch.inference_mode()
    def read(self, new: Sequence[tuple[int, bytes]]) -> list[NDArray[np.float32]]:
        """Adds bytes to slots, given as (slot, bytes) in rising order of slots. Returns for each
        slot the logits (T, V) after each of its new bytes. Raises ``ValueError`` when the bytes do
        not fit."""
        for slot, data in new:
            if len(data) > self.free(slot):
                raise ValueError(f"{len(data)} bytes, but there is room for {self.free(slot)}")
        logits: list[NDArray[np.float32]] = []
        first = 0
        while first < len(new):
            last, rows = first + 1, len(new[first][1])
            while last < len(new) and rows + len(new[last][1]) <= _MOST_ROWS:
                rows += len(new[last][1])
                last += 1
            logits += self._read(new[first:last])
            first = last
        return logits

    def _read(self, new: Sequence[tuple[int, bytes]]) -> list[NDArray[np.float32]]:
        slots: list[int] = []
        positions: list[int] = []
        for slot, data in new:
            start = self.lengths[slot]
            positions += range(start, start + len(data))
            slots += [slot] * len(data)
        tokens = torch.tensor([*b"".join(data for _, data in new)])
        at = torch.tensor(positions)
        x, angles = self._embedding[tokens], self._angles[at]  # (R, C), (R, 2, 1, D/2)
        store = self._store(slots, at)
        mixed = torch.zeros_like(x)
        runs = self._runs(new, mixed)
        heads = -1, 3, self.config.n_heads
        for number, layer in enumerate(self._layers):
            qkv = layer.query_key_value(layer.attention_norm(x))
            pairs = torch.view_as_complex(qkv.view(*heads, self.config.head_dim // 2, 2))
            pairs[:, :2].mul_(angles)
            qkv = qkv.view(*heads, self.config.head_dim)
            store(number, qkv[:, 1:])
            for run in runs:
                run.output.copy_(run.window.attend(number, qkv[run.rows, 0], run.mask))
            x += layer.attention_output(mixed)
            hidden = layer.feedforward_input(layer.feedforward_norm(x)).relu_()
            x += layer.feedforward_output(hidden)
        logits = self._output(self._final_norm(x)).numpy()
        found, row = [], 0
        for slot, data in new:
            self.lengths[slot] += len(data)
            found.append(logits[row : row + len(data)])
            row += len(data)
        return found

    def _store(self, slots: list[int], positions: Tensor) -> Callable[[int, Tensor], None]:
        """A function that writes the keys and values (N, 2, H, D) of a layer into the cache."""
        if slots[0] == slots[-1]:  # one stream needs a plain copy only
            start = self.lengths[slots[0]]
            rows = slice(start, start + len(slots))
            places = self._cache[:, :, slots[0], :, rows].permute(0, 3, 1, 2, 4).unbind()

            def copy(layer: int, new: Tensor) -> None:
                places[layer].copy_(new)

            return copy
        index = slice(None), torch.tensor(slots), slice(None), positions

        def scatter(layer: int, new: Tensor) -> None:
            self._cache[layer][index] = new

        return scatter

    def _runs(self, new: Sequence[tuple[int, bytes]], mixed: Tensor) -> list[_Run]:
        """Cuts what is read at the ends of blocks, and groups neighbouring parts that are alike.
        Their results go into ``mixed`` (R, C)."""
        parts: list[tuple[int, int, int, int]] = []  # slot, first position, count, first row
        row = 0
        for slot, data in new:
            position, end = self.lengths[slot], self.lengths[slot] + len(data)
            while position < end:
                count = min(end, (position // BLOCK + 1) * BLOCK) - position
                parts.append((slot, position, count, row))
                position += count
                row += count

        def alike(number: int) -> tuple[int, int, int]:
            slot, position, count, _ = parts[number]
            return slot - number, count, position // BLOCK

        runs = []
        for (_, count, block), group in groupby(range(len(parts)), alike):
            members = [parts[number] for number in group]
            slot, row, n_slots = members[0][0], members[0][3], len(members)
            rows = slice(row, row + n_slots * count)
            window = self._window(slot, n_slots, count, block)
            padded, end = window.heads.shape[1], (block + 1) * BLOCK
            mask = torch.stack([self._mask[at : at + padded, :end] for _, at, _, _ in members])
            if n_slots > 1:
                mask = mask.repeat_interleave(self.config.n_heads, 0)
            runs.append(_Run(window, rows, mask, mixed[rows].view(window.used.shape)))
        return runs

    def _new_window(self, slot: int, n_slots: int, count: int, block: int) -> _Window:
        """The window of ``n_slots`` slots from ``slot`` on, each reading ``count`` rows of
        ``block``."""
        padded = _whole_queries(count, self.config.head_dim)
        shape = n_slots, self.config.n_heads, padded, self.config.head_dim
        heads = self._heads[: math.prod(shape)].view(shape)
        end = (block + 1) * BLOCK
        cache = self._cache[:, :, slot : slot + n_slots, :, :end].flatten(2, 3)
        return _Window(
            heads.flatten(0, 1),
            heads[:, :, :count].transpose(1, 2),
            cache[:, 0].mT.unbind(),
            cache[:, 1].unbind(),
        )

    @torch.inference_mode()
    def slide(self, slot: int) -> None:
        """Forgets the older half of a full slot. The newer half was computed while the older half
        could be seen; its keys are rotated to their new positions."""
        kept = self.capacity // 2
        shift = self.lengths[slot] - kept
        cache = self._cache[:, :, slot]
        newer = cache[:, :, :, shift : shift + kept].clone()  # (layers, 2, H, kept, D)
        keys = torch.view_as_complex(newer[:, 0].view(*newer[:, 0].shape[:-1], -1, 2))
        keys.mul_(self._angles[shift, 1].conj())
        cache[:, :, :, :kept] = newer
        self.lengths[slot] = kept

    def keep(self, slot: int, length: int) -> None:
        """Forgets all but the first ``length`` bytes of a slot."""
        self.lengths[slot] = length
