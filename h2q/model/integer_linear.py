"""Matrix products of small integers: fast, and for each row the same whichever rows are beside it.

Weights are rounded to 8 bits, those of each output at a scale of their own, and the rows that they
are multiplied with to 7 bits, each row at its own scale (vector-wise quantization, arXiv 2208.07339).
Sums of integers are exact in any order: a row's bits do not depend on how a kernel adds up.

FBGEMM computes them. Seven bits, because processors without VNNI add two products in 16 bits.
Where it is missing (PyTorch is to give up its quantized tensors), the same integers are multiplied
as float32 numbers, whose sums are as exact up to 2 ** 24.
"""

import functools
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Product = Callable[[Tensor], Tensor]
_WEIGHT_LEVELS = 127
_SIGNED, _NONNEGATIVE = (63, 64), (127, 0)  # integers above that of zero, and that of zero
_LEAST_SCALE = 1e-30  # of weights that are all zero


def integer_product(weight: Tensor, bias: Tensor, nonnegative: bool = False) -> Product:
    """A function of rows (N, in) to about rows · ``weight``ᵀ + ``bias``, (N, out), for ``weight``
    (out, in). ``nonnegative`` rows, as a ReLU leaves them, are rounded half as much."""
    levels, zero = _NONNEGATIVE if nonnegative else _SIGNED
    scale = weight.abs().amax(1).clamp_min_(_LEAST_SCALE) / _WEIGHT_LEVELS
    integers = (weight / scale[:, None]).round_()
    build = _fbgemm_product if _fbgemm_multiplies() else _float_product
    multiply = build(integers, scale, levels, zero)

    def product(rows: Tensor) -> Tensor:
        peak = (rows if nonnegative else rows.abs()).amax(1, True)
        # A row of zeros divided by its peak is no number, and its integers are any: times 0 at last.
        return torch.addcmul(bias, multiply(rows / peak), peak)

    return product


@functools.cache
def _fbgemm_multiplies() -> bool:
    # There are no public calls for this; without the private ones float32 will do.
    return (
        "fbgemm" in torch.backends.quantized.supported_engines
        and hasattr(torch, "quantize_per_channel")
        and hasattr(torch.ops.quantized, "linear_prepack")
        and hasattr(torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32")
    )


def _fbgemm_product(integers: Tensor, scale: Tensor, levels: int, zero: int) -> Product:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that quantized tensors will be gone one day
        zeros = torch.zeros(len(scale), dtype=torch.long)
        weight = torch.quantize_per_channel(
            integers * scale[:, None], scale.double(), zeros, 0, torch.qint8
        )
    packed = torch.ops.quantized.linear_prepack(weight, None)
    kernel = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    kernel = kernel.default.op  # choosing and checking at every call takes a tenth of a pass
    return lambda rows: kernel(rows, 1 / levels, zero, packed)


def _float_product(integers: Tensor, scale: Tensor, levels: int, zero: int) -> Product:
    scale = scale / levels
    return lambda rows: F.linear((rows * levels).round_().nan_to_num_(), integers).mul_(scale)
