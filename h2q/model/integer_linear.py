"""Matrix products of small integers. They are fast, and no row's result depends on other rows.

Weights are rounded to 8 bits; each output has a scale of its own. The rows that are multiplied with
them are rounded to 7 bits; each row has a scale of its own (vector-wise quantization,
arXiv 2208.07339). Sums of integers are exact in any order: the bits of a row do not depend on how a
kernel adds up.

FBGEMM computes the products. The rows have seven bits because processors without VNNI add two
products in 16 bits. Where FBGEMM is missing (PyTorch will give up its quantized tensors), the same
integers are multiplied as float32 numbers, whose sums are exact up to 2 ** 24. Does not know layers
or models.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.system.torch_private import fbgemm_multiplies, fbgemm_product

Product = Callable[[Tensor], Tensor]
_WEIGHT_LEVELS = 127
# The number of levels above zero, and the integer that stands for zero: for rows of either sign,
# and for rows without negative elements.
_SIGNED, _NONNEGATIVE = (63, 64), (127, 0)
_LEAST_SCALE = 1e-30  # for weights that are all zero


def integer_product(weight: Tensor, bias: Tensor, nonnegative: bool = False) -> Product:
    """A function from rows (N, in) to approximately rows · ``weight``ᵀ + ``bias``, (N, out).

    ``weight`` is (out, in). Rows that are ``nonnegative``, such as the output of a ReLU, are
    rounded to steps half as wide.
    """
    levels, zero = _NONNEGATIVE if nonnegative else _SIGNED
    scale = weight.abs().amax(1).clamp_min_(_LEAST_SCALE) / _WEIGHT_LEVELS
    integers = (weight / scale[:, None]).round_()
    build = fbgemm_product if fbgemm_multiplies() else _float_product
    multiply = build(integers, scale, levels, zero)

    def product(rows: Tensor) -> Tensor:
        peak = (rows if nonnegative else rows.abs()).amax(1, True)
        # A row of zeros divided by its peak is NaN. Whatever integers that gives, the peak of 0
        # turns their product into 0.
        return torch.addcmul(bias, multiply(rows / peak), peak)

    return product


def _float_product(integers: Tensor, scale: Tensor, levels: int, zero: int) -> Product:
    scale = scale / levels
    return lambda rows: F.linear((rows * levels).round_().nan_to_num_(), integers).mul_(scale)
