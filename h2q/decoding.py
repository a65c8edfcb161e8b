"""The forward pass for writing: many streams, a few new bytes each, and a cache of all before them.

It computes the logits that ``Transformer`` computes, on the processor, in float32, in a way that
makes a row's bits depend on that row's text alone: not on how many streams are read together, nor
on how many bytes are read at once. So a seed gives the same text on one stream or among 64, and
with or without drafts.

- Matrix products use oneDNN with weights packed beforehand: every row goes through the same chain
  of multiply-adds over the inner dimension, however many rows there are. (MKL and OpenBLAS choose
  another kernel for one row, or three; those of PyTorch differ in the last bits.) Packed, four
  rows also cost little more than one, which is what makes drafts pay.
- Attention takes queries in multiples of ``_QUERIES``, and the keys up to the end of the query's
  own block of ``BLOCK`` positions, masked: an amount that its position decides.

A test compares every bit for all of these. Where oneDNN is missing, rows are padded instead.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.attention import rotary_table
from h2q.drafts import Drafter
from h2q.model import Transformer

BLOCK = 32  # positions
_MOST_ROWS = 1024  # in one pass: memory
_QUERIES = 4
_PADDED_ROWS = 8

Product = Callable[[Tensor], Tensor]


def packed_product(layer: torch.nn.Linear, relu: bool = False) -> Product:
    """``layer`` as a function of rows (N, in) to (N, out), each row computed as if alone."""
    weight, bias = layer.weight.detach().float().cpu(), layer.bias.detach().float().cpu()
    if _onednn_packs():
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        activation = "relu" if relu else "none"

        def onednn_product(rows: Tensor) -> Tensor:
            padded = _padded(rows, _few_sizes(len(rows)))
            result = torch.ops.mkldnn._linear_pointwise(padded, packed, bias, activation, [], "")
            return result[: len(rows)]

        return onednn_product

    def product(rows: Tensor) -> Tensor:
        padded = _padded(rows, len(rows) + -len(rows) % _PADDED_ROWS)
        result = F.linear(padded, weight, bias)[: len(rows)]
        return result.relu_() if relu else result

    return product


def _padded(rows: Tensor, count: int) -> Tensor:
    return rows if len(rows) == count else F.pad(rows, (0, 0, 0, count - len(rows)))


def _few_sizes(count: int) -> int:
    """``count`` up to 16, and above it the next of eight sizes an octave.

    oneDNN compiles a kernel for every number of rows that it meets and keeps it, half a megabyte
    each: without this a conversation would grow with every new length of what is typed.
    """
    step = 1 << max(0, (count - 1).bit_length() - 4)
    return -(-count // step) * step


def norm(layer: torch.nn.LayerNorm) -> Product:
    """``layer`` as a function of rows (N, C), without the cost of calling a module."""
    weight, bias = layer.weight.detach().cpu(), layer.bias.detach().cpu()
    arguments = (layer.normalized_shape, weight, bias, layer.eps)
    return lambda rows: torch.layer_norm(rows, *arguments)


@functools.cache
def _onednn_packs() -> bool:
    # There is no public call for packed weights; where the private one is gone, padding will do.
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_reorder_linear_weight"
    )


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)
def _causal_table(length: int) -> Tensor:
    """Row i is 0 for positions up to i and -inf beyond, (length + _QUERIES, length)."""
    return torch.full((length + _QUERIES, length), -torch.inf).triu_(diagonal=1)


@dataclass(frozen=True)
class _Layer:
    attention_norm: Product
    query_key_value: Product
    attention_output: Product
    feedforward_norm: Product
    feedforward_input: Product
    feedforward_output: Product


@dataclass(frozen=True)
class _Run:
    """Adjacent slots whose new rows, ``count`` each, are attended to in one call."""

    slots: slice
    rows: slice
    count: int
    keys: int
    mask: Tensor  # (slots, 1, count padded, keys)


class Decoder:
    """Reads bytes into ``n_slots`` streams and tells the logits of what comes next.

    Memory does not grow: packed weights, and 2 × layers × slots × C × context_length elements.
    """

    @torch.inference_mode()
    def __init__(self, model: Transformer, n_slots: int = 1):
        self.config = model.config
        config = self.config
        self.capacity = config.context_length
        self._layers = [
            _Layer(
                norm(layer.attention_norm),
                packed_product(layer.query_key_value),
                packed_product(layer.attention_output),
                norm(layer.feedforward_norm),
                packed_product(layer.feedforward_input, relu=True),
                packed_product(layer.feedforward_output),
            )
            for layer in model.layers
        ]
        self._embedding = model.embedding.weight.detach().cpu()
        self._final_norm = norm(model.final_norm)
        self._output = packed_product(model.output)
        rounded = -(-self.capacity // BLOCK) * BLOCK  # keys are taken by whole blocks
        self._rotary = rotary_table(self.capacity, config.head_dim, config.rotary_base)
        self._mask = _causal_table(rounded)
        shape = (config.n_layers, n_slots, config.n_heads, rounded, config.head_dim)
        self._keys, self._values = torch.zeros(shape), torch.zeros(shape)
        self.lengths = [0] * n_slots
        self.drafts = {} if model.drafts is None else Drafter.index(model.drafts.numpy())

    def free(self, slot: int) -> int:
        """Bytes that can still be read into a slot."""
        return self.capacity - self.lengths[slot]

    @torch.inference_mode()
    def read(self, new: Sequence[tuple[int, bytes]]) -> list[np.ndarray]:
        """Adds bytes to slots, given as (slot, bytes) in rising order of slots; returns for each
        the logits (T, V) that follow each of its bytes. Raises ``ValueError`` when they do not
        fit."""
        for slot, data in new:
            if len(data) > self.free(slot):
                raise ValueError(f"{len(data)} bytes, but there is room for {self.free(slot)}")
        logits, first = [], 0
        while first < len(new):
            last, rows = first + 1, len(new[first][1])
            while last < len(new) and rows + len(new[last][1]) <= _MOST_ROWS:
                rows += len(new[last][1])
                last += 1
            logits += self._read(new[first:last])
            first = last
        return logits

    def _read(self, new: Sequence[tuple[int, bytes]]) -> list[np.ndarray]:
        sizes = [len(data) for _, data in new]
        starts = [self.lengths[slot] for slot, _ in new]
        tokens = torch.frombuffer(bytearray(b"".join(data for _, data in new)), dtype=torch.uint8)
        slots = torch.tensor([slot for slot, _ in new]).repeat_interleave(torch.tensor(sizes))
        positions = torch.cat(
            [torch.arange(start, start + size) for start, size in zip(starts, sizes)]
        )
        rotary = self._rotary[:, positions, None, None]  # (2, R, 1, 1, D)
        runs = self._runs(new)
        x = self._embedding[tokens.long()]  # (R, C)
        for index, layer in enumerate(self._layers):
            qkv = layer.query_key_value(layer.attention_norm(x))
            mixed = self._attention(index, qkv, rotary, slots, positions, runs)
            x = x + layer.attention_output(mixed)
            hidden = layer.feedforward_input(layer.feedforward_norm(x))
            x = x + layer.feedforward_output(hidden)
        logits = self._output(self._final_norm(x)).numpy()
        for slot, data in new:
            self.lengths[slot] += len(data)
        return np.split(logits, np.cumsum(sizes)[:-1])

    def _attention(self, index, qkv, rotary, slots, positions, runs) -> Tensor:
        """Stores the keys and values of new rows (R, 3C) and mixes the values they see, (R, C)."""
        heads = self.config.n_heads
        qkv = qkv.view(len(qkv), 3, heads, -1)  # (R, 3, H, D)
        query_key = qkv[:, :2]
        half = query_key.shape[-1] // 2
        query_key = torch.addcmul(query_key * rotary[0], query_key.roll(half, -1), rotary[1])
        keys, values = self._keys[index], self._values[index]
        if self._values.shape[1] == 1:  # one stream: a plain copy
            slot, first = 0, int(positions[0])
            keys[slot, :, first : first + len(qkv)] = query_key[:, 1].transpose(0, 1)
            values[slot, :, first : first + len(qkv)] = qkv[:, 2].transpose(0, 1)
        else:
            keys[slots, :, positions] = query_key[:, 1]
            values[slots, :, positions] = qkv[:, 2]
        mixed = [self._mix(query_key[run.rows, 0], keys, values, run) for run in runs]
        return mixed[0] if len(mixed) == 1 else torch.cat(mixed)

    def _mix(self, query: Tensor, keys: Tensor, values: Tensor, run: _Run) -> Tensor:
        n_slots, rows = run.slots.stop - run.slots.start, len(query)
        query = query.view(n_slots, run.count, *query.shape[1:]).transpose(1, 2)
        query = F.pad(query, (0, 0, 0, run.mask.shape[2] - run.count))
        mixed = F.scaled_dot_product_attention(
            query, keys[run.slots, :, : run.keys], values[run.slots, :, : run.keys], run.mask
        )
        return mixed[:, :, : run.count].transpose(1, 2).reshape(rows, -1)

    def _runs(self, new: Sequence[tuple[int, bytes]]) -> list[_Run]:
        """Cuts what is read at the ends of blocks, and groups neighbours that are alike."""
        parts, row = [], 0  # slot, first position, count, first row
        for slot, data in new:
            position, end = self.lengths[slot], self.lengths[slot] + len(data)
            while position < end:
                count = min(end, (position // BLOCK + 1) * BLOCK) - position
                parts.append((slot, position, count, row))
                position += count
                row += count

        def alike(number: int) -> tuple:
            slot, position, count, _ = parts[number]
            return slot - number, count, position // BLOCK

        runs = []
        for (_, count, block), group in groupby(range(len(parts)), alike):
            members = [parts[number] for number in group]
            padded = -(-count // _QUERIES) * _QUERIES
            keys = (block + 1) * BLOCK
            first = torch.tensor([position for _, position, _, _ in members])
            mask = self._mask[first[:, None, None] + torch.arange(padded), :keys]
            slot, row = members[0][0], members[0][3]
            slots, rows = slice(slot, slot + len(members)), slice(row, row + len(members) * count)
            runs.append(_Run(slots, rows, count, keys, mask))
        return runs

    def keep(self, slot: int, length: int) -> None:
        """Forgets all but the first ``length`` bytes of a slot."""
        self.lengths[slot] = length
