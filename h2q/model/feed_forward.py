"""Feed-forward and dropout as autograd functions that pass over memory only a few times.

PyTorch's modules pass over memory once for the bias, once for the ReLU and once for its gradient,
and draw one Bernoulli number at a time. On a processor this costs as much as the matrix products in
between. Both functions compute what the modules compute. On other devices PyTorch's own modules are
used. Does not know the layers around them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from h2q.system.torch_private import linear_relu, zero_where_inactive_

_BITS = 16  # random bits that decide whether an element is dropped
_EXTRA_COLUMNS = 16  # products of odd widths are slow


def feed_forward(x: Tensor, up: torch.nn.Linear, down: torch.nn.Linear) -> Tensor:
    """``down(relu(up(x)))`` for ``x`` (..., C), computed in the dtype of ``x``."""
    weights = up.weight, up.bias, down.weight, down.bias
    if x.device.type == "cpu":
        result: Tensor = _FeedForward.apply(x, *weights)  # type: ignore[no-untyped-call]  # PyTorch's
    else:
        result = down(F.relu(up(x)))
    return result


def dropout(x: Tensor, p: float, training: bool, residual: Tensor | None = None) -> Tensor:
    """``x`` with a random share ``p`` of its elements set to zero and the others scaled by
    1/(1 - p) (arXiv 1207.0580), plus ``residual``. On a processor, one number from PyTorch's
    default generator decides all elements."""
    if not training or p == 0.0:
        return x if residual is None else residual + x
    if x.device.type == "cpu":
        result: Tensor = _Dropout.apply(x, p, residual)  # type: ignore[no-untyped-call]  # PyTorch's
        return result
    return F.dropout(x, p) if residual is None else residual + F.dropout(x, p)


class _FeedForwardContext(FunctionCtx):
    """What PyTorch passes to both methods of ``_FeedForward``."""

    saved_tensors: tuple[Tensor, ...]


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _FeedForwardContext,
        x: Tensor,
        weight_in: Tensor,
        bias_in: Tensor,
        weight_out: Tensor,
        bias_out: Tensor,
    ) -> Tensor:
        dtype = x.dtype
        rows = x.flatten(0, -2)
        weight_in, weight_out = weight_in.to(dtype), weight_out.to(dtype)
        hidden = linear_relu(rows, weight_in, bias_in.to(dtype))  # (N, F)
        ctx.save_for_backward(rows, weight_in, hidden, weight_out)
        return torch.addmm(bias_out.to(dtype), hidden, weight_out.t()).view(x.shape)

    @staticmethod
    def backward(ctx: _FeedForwardContext, gradient: Tensor) -> tuple[Tensor, ...]:
        rows, weight_in, hidden, weight_out = ctx.saved_tensors
        shape = gradient.shape
        gradient = gradient.flatten(0, -2)
        weight_out_gradient = gradient.t() @ hidden
        hidden_gradient = zero_where_inactive_(gradient @ weight_out, hidden)
        # With columns of ones beside the rows, the same product gives the gradient of the bias.
        width = rows.shape[1]
        weight_bias = hidden_gradient.t() @ F.pad(rows, (0, _EXTRA_COLUMNS), value=1)
        return (
            (hidden_gradient @ weight_in).view(shape),
            weight_bias[:, :width],
            weight_bias[:, width],
            weight_out_gradient,
            _column_sums(gradient),
        )


def _column_sums(rows: Tensor) -> Tensor:
    """Sums (F,) over N ``rows`` (N, F). A matrix product is the fastest way to compute them."""
    return (rows.new_ones(16, len(rows)) @ rows)[0]


def _integer(x: Tensor) -> torch.dtype:
    """The integer type that is as wide as the numbers of ``x``.

    Seen as such an integer, a number keeps its bits when it is multiplied by one, and becomes zero
    when it is multiplied by zero. This costs a fraction of what arithmetic with bfloat16 costs.
    """
    return {2: torch.int16, 4: torch.int32}[x.element_size()]


class _DropoutContext(FunctionCtx):
    """What the forward pass of ``_Dropout`` leaves for the backward pass."""

    kept: Tensor  # 1 where an element is kept and 0 where it is dropped, of type ``_integer``
    scale: float
    dtype: torch.dtype
    needs_input_grad: tuple[bool, ...]


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _DropoutContext, x: Tensor, p: float, residual: Tensor | None) -> Tensor:
        generator = np.random.SFC64(int(torch.randint(2**62, ())))
        words = generator.random_raw(-(-x.numel() * _BITS // 64))
        bits = torch.from_numpy(words.view(np.int16))[: x.numel()].view(x.shape)
        dropped = round(p * 2**_BITS)
        ctx.kept = torch.ge(
            bits, dropped - 2 ** (_BITS - 1), out=torch.empty_like(bits, dtype=_integer(x))
        )
        ctx.scale = 2**_BITS / (2**_BITS - dropped)
        ctx.dtype = x.dtype
        kept = (x.contiguous().view(ctx.kept.dtype) * ctx.kept).view(x.dtype)
        if residual is None:
            return kept.mul_(ctx.scale)
        return torch.add(residual, kept, alpha=ctx.scale)

    @staticmethod
    def backward(ctx: _DropoutContext, gradient: Tensor) -> tuple[Tensor, None, Tensor | None]:
        scaled = (gradient * ctx.scale).to(ctx.dtype)
        scaled.view(ctx.kept.dtype).mul_(ctx.kept)
        return scaled, None, gradient if ctx.needs_input_grad[2] else None
