"""Feed-forward and dropout as autograd functions that touch each element as seldom as possible.

PyTorch's modules make a pass over memory for the bias, one for the ReLU, one for its gradient, and
draw a Bernoulli number at a time; on a processor these cost as much as the matrix products between
them. Both functions compute what the modules compute. Elsewhere than on a processor PyTorch's own
are used.
"""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_BITS = 16  # of randomness for each element's dropout
_EXTRA_COLUMNS = 16  # products of odd widths are slow


def feed_forward(x: Tensor, up: torch.nn.Linear, down: torch.nn.Linear) -> Tensor:
    """``down(relu(up(x)))`` for ``x`` (..., C), computed in the dtype of ``x``."""
    if x.device.type == "cpu":
        return _FeedForward.apply(x, up.weight, up.bias, down.weight, down.bias)
    return down(F.relu(up(x)))


def dropout(x: Tensor, p: float, training: bool, residual: Tensor | None = None) -> Tensor:
    """Zeros in place of a random share ``p`` of ``x``, the rest scaled by 1/(1 - p)
    (arXiv 1207.0580), and ``residual`` added. PyTorch's default generator, drawn from once,
    decides."""
    if not training or p == 0.0:
        return x if residual is None else residual + x
    if x.device.type == "cpu":
        return _Dropout.apply(x, p, residual)
    return F.dropout(x, p) if residual is None else residual + F.dropout(x, p)


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight_in, bias_in, weight_out, bias_out):
        dtype = x.dtype
        rows = x.flatten(0, -2)
        weight_in, weight_out = weight_in.to(dtype), weight_out.to(dtype)
        hidden = _linear_relu(rows, weight_in, bias_in.to(dtype))  # (N, F)
        ctx.save_for_backward(rows, weight_in, hidden, weight_out)
        return torch.addmm(bias_out.to(dtype), hidden, weight_out.t()).view(x.shape)

    @staticmethod
    def backward(ctx, gradient):
        rows, weight_in, hidden, weight_out = ctx.saved_tensors
        shape = gradient.shape
        gradient = gradient.flatten(0, -2)
        weight_out_gradient = gradient.t() @ hidden
        hidden_gradient = gradient @ weight_out
        torch.ops.aten.threshold_backward.grad_input(  # in place
            hidden_gradient, hidden, 0, grad_input=hidden_gradient
        )
        # Ones beside the rows: the gradient of the bias comes out of the same product.
        width = rows.shape[1]
        weight_bias = hidden_gradient.t() @ F.pad(rows, (0, _EXTRA_COLUMNS), value=1)
        return (
            (hidden_gradient @ weight_in).view(shape),
            weight_bias[:, :width],
            weight_bias[:, width],
            weight_out_gradient,
            _column_sums(gradient),
        )


def _linear_relu(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """relu(rows · weightᵀ + bias), in one kernel where oneDNN has one for this processor."""
    if rows.dtype == torch.bfloat16 and _onednn_computes_bfloat16():
        return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "relu", [], "")
    return torch.addmm(bias, rows, weight.t()).relu_()


@functools.cache
def _onednn_computes_bfloat16() -> bool:
    # PyTorch has no public question for this; where the private one is gone, the plain way is right.
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    return torch.backends.mkldnn.is_available() and supported()


def _column_sums(rows: Tensor) -> Tensor:
    """Sums (F,) over N ``rows`` (N, F), as a matrix product: the fastest way."""
    return (rows.new_ones(16, len(rows)) @ rows)[0]


def _integer(x: Tensor) -> torch.dtype:
    """The integers as wide as the numbers of ``x``. Times one they keep the bits of a number, times
    zero they are its zero: at a fraction of the cost of arithmetic with bfloat16."""
    return {2: torch.int16, 4: torch.int32}[x.element_size()]


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, p, residual):
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
    def backward(ctx, gradient):
        scaled = (gradient * ctx.scale).to(ctx.dtype)
        scaled.view(ctx.kept.dtype).mul_(ctx.kept)
        return scaled, None, gradient if ctx.needs_input_grad[2] else None
