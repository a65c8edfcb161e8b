"""Causal attention with rotary positions, and its gradient written for a processor's caches.

The backward pass of PyTorch's fused kernel recomputes the weights. On a processor it takes six
times as long as the forward pass. ``causal_attention`` keeps the weights, B·H·T²/2 numbers. It
works block by block, with batched matrix products and few element-wise passes over what is in the
cache. This is for training in bfloat16 on a processor; in all other cases PyTorch's own kernel and
gradient are used.

Shapes: B batch, T positions, H heads, D ``head_dim``, C = H·D.
"""

import functools
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

_BLOCK_ELEMENTS = 2**21  # in the largest block of weights, 4 MB; smaller blocks mean more calls
_BLOCK = 128  # queries in a block
# The largest score of a row is rounded before it is subtracted. Up to this score the rounding error
# is at most 4, so no weight exceeds exp(4).
_LARGEST_SCORE = 2.0**11
_PARTS = 3  # bfloat16 numbers that add up to a float32
_EXTRA_COLUMNS = 8  # the parts and zeros; products of odd widths are slow


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # generation and training use the same table
def rotary_table(
    length: int,
    head_dim: int,
    base: float | None,
    device: torch.device = torch.device("cpu"),
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Cosines and signed sines of the rotary angles, shape (2, length, D).

    The angle of the pair (i, i + D/2) is position · base^(-2i/D) (arXiv 2104.09864), or 0 where
    ``base`` is None. The sines of the first half are negative, so ``rotate`` need not negate.
    """
    exponents = torch.arange(0, head_dim, 2, device=device, dtype=torch.float64) / head_dim
    positions = torch.arange(length, device=device, dtype=torch.float64)
    angles = torch.outer(positions, (base or torch.inf) ** -exponents)  # (length, D/2)
    if base is None:
        angles.zero_()
    cos, sin = angles.cos(), angles.sin()
    table = torch.stack((torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)))
    return table.to(dtype)


def rotate(x: Tensor, table: Tensor, *, back: bool = False) -> Tensor:
    """Rotates each pair (i, i + D/2) of ``x`` (..., T, D) by its angle in ``table`` (2, T, D), in
    the opposite direction where ``back``."""
    cos, sin = table.to(x.dtype)
    turned = x.roll(x.shape[-1] // 2, dims=-1)
    return torch.addcmul(x * cos, turned, sin, value=-1 if back else 1)


def causal_attention(qkv: Tensor, n_heads: int, rotary_base: float | None) -> Tensor:
    """The output of causal attention, (B, T, C), for queries, keys and values ``qkv`` (B, T, 3C).

    Queries and keys are rotated by their positions, unless ``rotary_base`` is None.
    """
    if qkv.device.type == "cpu" and qkv.dtype == torch.bfloat16 and qkv.requires_grad:
        result: Tensor = _CausalAttention.apply(  # type: ignore[no-untyped-call]  # PyTorch's
            qkv, n_heads, rotary_base
        )
        return result
    query, key, value = split_heads(qkv, n_heads)
    table = rotary_table(qkv.shape[1], query.shape[-1], rotary_base, qkv.device)
    mixed = F.scaled_dot_product_attention(
        rotate(query, table), rotate(key, table), value, is_causal=True
    )
    return mixed.transpose(1, 2).reshape(*qkv.shape[:2], -1)


def split_heads(qkv: Tensor, n_heads: int) -> Tensor:
    """Queries, keys and values (3, B, H, T, D): a view of ``qkv`` (B, T, 3C)."""
    batch, length, width = qkv.shape
    return qkv.view(batch, length, 3, n_heads, width // (3 * n_heads)).permute(2, 0, 3, 1, 4)


class _AttentionContext(FunctionCtx):
    """What PyTorch passes to both methods of ``_CausalAttention``."""

    saved_tensors: tuple[Tensor, ...]


class _CausalAttention(torch.autograd.Function):
    """Let s be the scaled product of a query and a key, and r about the largest s of the query's
    row. The weights are W = exp(s - r), z is their sum over a row, and the output is O = WV / z.
    Let dO be the gradient of O, G = dO / z and d = sum(dO ∘ O) / z over a row. Then
    dV = Wᵀ G, dS = W ∘ (G Vᵀ - d), dQ = dS K, dK = dSᵀ Q.

    Both subtractions happen inside the matrix products, in float32: extra columns hold -r (or -d,
    in parts) on one side and ones on the other. So s - r is rounded instead of s, and where the
    weights are large s - r is small: no accuracy is lost there.
    """

    @staticmethod
    def forward(
        ctx: _AttentionContext, qkv: Tensor, n_heads: int, rotary_base: float | None
    ) -> Tensor:
        heads = split_heads(qkv, n_heads)
        batch, _, length, head_dim = heads.shape[1:]
        table = rotary_table(length, head_dim, rotary_base, qkv.device, qkv.dtype)
        # queries, keys and values: (3, B, H, T, D + extra)
        wide = qkv.new_empty(*heads.shape[:-1], head_dim + _EXTRA_COLUMNS)
        wide[..., head_dim:] = 0
        for row in range(batch):  # one by one, so that what is rotated stays in the cache
            wide[:2, row, ..., :head_dim] = rotate(heads[:2, row].contiguous(), table)
        wide[2, ..., :head_dim] = heads[2]
        wide[1:, ..., head_dim : head_dim + _PARTS] = 1
        # Values: each of the columns left has ones for some of the keys. Its products are the sums
        # of the weights of these keys.
        counted = wide[2, ..., head_dim + _PARTS :]
        for column in range(counted.shape[-1]):
            counted[..., column :: counted.shape[-1], column] = 1
        query, key, value = wide.flatten(1, 2)
        output, sums, weights = _block_outputs(query, key, value, head_dim)
        output = output.view(heads.shape[1:]).transpose(1, 2).flatten(2)  # (B, T, C)
        ctx.save_for_backward(wide, output, sums, table, *weights)
        return output

    @staticmethod
    def backward(ctx: _AttentionContext, gradient: Tensor) -> tuple[Tensor, None, None]:
        wide, output, sums, table, *weights = ctx.saved_tensors
        _, batch, n_heads, length, width = wide.shape
        head_dim = width - _EXTRA_COLUMNS
        by_head = (batch, length, n_heads, head_dim)
        inverse_sums = sums.view(batch, n_heads, length, 1).reciprocal()
        row_sums = (gradient.float() * output).view(by_head).sum(-1).transpose(1, 2)
        wide_gradient = torch.empty_like(wide[0])  # of the output
        wide_gradient[..., :head_dim] = gradient.view(by_head).transpose(1, 2) * inverse_sums
        wide_gradient[..., head_dim : head_dim + _PARTS] = _parts(
            row_sums * -inverse_sums.squeeze(-1), wide.dtype
        )
        wide_gradient[..., head_dim + _PARTS :] = 0
        query, key, value = wide.flatten(1, 2)
        gradients = _block_gradients(
            query, key, value, wide_gradient.flatten(0, 1), weights, head_dim
        )
        gradients = gradients.view(3, *wide.shape[1:-1], head_dim)
        result = gradient.new_empty(batch, length, 3, n_heads, head_dim)
        for row in range(batch):
            gradients[:2, row] = rotate(gradients[:2, row], table, back=True)
            result[row] = gradients[:, row].permute(2, 0, 1, 3)
        return result.flatten(2), None, None


def _blocks(n_heads: int, length: int) -> Iterator[tuple[slice, slice, slice]]:
    """Heads, queries and keys of each block: the keys are all that its last query sees. Blocks with
    more keys come first."""
    at_once = max(1, _BLOCK_ELEMENTS // (length * _BLOCK))
    for first in range(0, n_heads, at_once):
        for start in reversed(range(0, length, _BLOCK)):
            end = min(start + _BLOCK, length)
            yield slice(first, first + at_once), slice(start, end), slice(0, end)


def _block_outputs(
    query: Tensor, key: Tensor, value: Tensor, head_dim: int
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Outputs (G, T, D), row sums (G, T) and weights of each block, for G = B·H heads of
    ``query``, ``key`` and ``value`` (G, T, D + extra).

    Writes what was subtracted from the scores into the extra columns of ``query``.
    """
    n_heads, length, _ = query.shape
    outputs = query.new_empty(n_heads, length, head_dim)
    sums = torch.empty(n_heads, length, device=query.device)
    later = query.new_full((_BLOCK, _BLOCK), -torch.inf).triu_(1)  # no query sees a later key
    kept = []
    for heads, rows, columns in _blocks(n_heads, length):
        size = rows.stop - rows.start
        keys = key[heads, columns].contiguous()  # once, not for each product
        weights = _row_weights(query[heads, rows], keys, later[:size, :size], head_dim)
        mixed = torch.bmm(weights, value[heads, columns])
        sums[heads, rows] = mixed[..., head_dim + _PARTS :].sum(-1, dtype=torch.float32)
        outputs[heads, rows] = mixed[..., :head_dim] / sums[heads, rows].unsqueeze(-1)
        kept.append(weights)
    return outputs, sums, kept


def _row_weights(queries: Tensor, keys: Tensor, mask: Tensor, head_dim: int) -> Tensor:
    """Weights exp(s - r) of all ``queries`` (G, R, D + extra) with ``keys`` (G, K, D + extra), of
    which the last stands at the position of the last query. r is about the largest s of a row.

    A first product finds the largest score, and a second one subtracts it before anything is
    rounded. Where the largest score itself would be rounded too much, float32 computes the scores.
    """
    scale = head_dim**-0.5
    scores = torch.bmm(queries, keys.mT)
    newest = slice(scores.shape[2] - len(mask), None)
    scores[..., newest] += mask
    largest = scores.amax(-1)
    if largest.abs().amax() * scale < _LARGEST_SCORE:
        queries[..., head_dim] = -largest
        scores.baddbmm_(queries, keys.mT, beta=0, alpha=scale)
    else:
        exact = torch.bmm(queries.float(), keys.float().mT)
        exact[..., newest] += mask
        scores = ((exact - exact.amax(-1, keepdim=True)) * scale).to(scores.dtype)
    scores.exp_()[..., newest].tril_()
    return scores


def _parts(values: Tensor, dtype: torch.dtype) -> Tensor:
    """float32 ``values`` (...) as sums of numbers (..., parts) of ``dtype``: the nearest one, then
    the one nearest to the remainder, and so on."""
    parts = []
    for _ in range(_PARTS):
        parts.append(values.to(dtype))
        values = values - parts[-1]
    return torch.stack(parts, dim=-1)


def _block_gradients(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output_gradient: Tensor,
    weights: Sequence[Tensor],
    head_dim: int,
) -> Tensor:
    """Gradients of queries, keys and values, (3, G, T, D), for G = B·H heads (G, T, D + extra).

    ``output_gradient`` is already divided by the row sums of ``weights``.
    """
    n_heads, length, _ = query.shape
    scale = head_dim**-0.5
    gradients = query.new_empty(3, n_heads, length, head_dim)
    for (heads, rows, columns), block in zip(_blocks(n_heads, length), weights):
        query_gradient, key_gradient, value_gradient = gradients[:, heads]
        row_gradients = output_gradient[heads, rows]
        # The block with the most keys comes first and writes; the others add.
        so_far = int(columns.stop < length)
        value_gradient[:, columns].baddbmm_(block.mT, row_gradients[..., :head_dim], beta=so_far)
        values = value[heads, columns].contiguous()  # else the product copies it, transposed
        block = torch.bmm(row_gradients, values.mT).mul_(block)
        query_gradient[:, rows].baddbmm_(block, key[heads, columns, :head_dim], beta=0, alpha=scale)
        key_gradient[:, columns].baddbmm_(
            block.mT, query[heads, rows, :head_dim], beta=so_far, alpha=scale
        )
    return gradients
