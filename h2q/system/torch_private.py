"""The names of PyTorch that are not public, each with a way to do without it.

A later PyTorch may rename or drop them. Where one is missing, public names are used: they compute
the same, or almost the same, more slowly. No other module uses such a name; a test takes each of
them away in turn. Says nothing about what the numbers mean: that is for the callers.
"""

import functools
import warnings
import zlib
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def has_avx512_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; False where PyTorch does not tell."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return supported is not None and bool(supported())


@functools.cache
def _onednn_computes_bfloat16() -> bool:
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # PyTorch's
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return available and supported is not None and bool(supported())


def linear_relu(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """relu(rows · weightᵀ + bias), in one kernel where oneDNN has one for this processor."""
    if rows.dtype == torch.bfloat16 and _onednn_computes_bfloat16():
        kernel = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
        if kernel is not None:
            result: Tensor = kernel(rows, weight, bias, "relu", [], "")
            return result
    return torch.addmm(bias, rows, weight.t()).relu_()


def zero_where_inactive_(gradient: Tensor, activation: Tensor) -> Tensor:
    """Sets ``gradient`` to zero where ``activation``, the output of a ReLU, is not positive.

    Returns ``gradient``.
    """
    kernel = getattr(getattr(torch.ops.aten, "threshold_backward", None), "grad_input", None)
    if kernel is None:
        return gradient.masked_fill_(activation <= 0, 0.0)
    kernel(gradient, activation, 0, grad_input=gradient)
    return gradient


def weights_version(parameters: Iterable[Tensor]) -> tuple[int, ...]:
    """Numbers that change when one of ``parameters`` is changed in place.

    PyTorch counts the changes of a tensor. Where the count is missing, the numbers are checksums:
    about 20 ms for 8 million parameters.
    """
    return tuple(
        parameter._version if hasattr(parameter, "_version") else _checksum(parameter)
        for parameter in parameters
    )


def _checksum(tensor: Tensor) -> int:
    data = tensor.detach().cpu().contiguous().view(torch.uint8)
    return zlib.crc32(data.numpy().data)


def fbgemm_multiplies() -> bool:
    """Whether ``fbgemm_product`` can be called."""
    return (
        "fbgemm" in torch.backends.quantized.supported_engines
        and hasattr(torch, "quantize_per_channel")
        and hasattr(torch, "qint8")
        and hasattr(torch.ops.quantized, "linear_prepack")
        and hasattr(torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32")
    )


def fbgemm_product(
    integers: Tensor, scale: Tensor, levels: int, zero: int
) -> Callable[[Tensor], Tensor]:
    """A function from rows (N, in) to rows · (``integers`` · ``scale``)ᵀ, (N, out).

    ``integers`` (out, in) fit into int8; ``scale`` (out,) holds one scale for each output. The
    elements of the rows are rounded to multiples of 1 / ``levels``. They are kept as integers of 8
    bits, in which ``zero`` stands for 0.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns that it will remove quantized tensors
        zeros = torch.zeros(len(scale), dtype=torch.long)
        weight = torch.quantize_per_channel(
            integers * scale[:, None], scale.double(), zeros, 0, torch.qint8
        )
    packed = torch.ops.quantized.linear_prepack(weight, None)
    kernel = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    # Choosing an overload and checking arguments at every call would take a tenth of a pass.
    kernel = getattr(getattr(kernel, "default", None), "op", kernel)

    def product(rows: Tensor) -> Tensor:
        result: Tensor = kernel(rows, 1 / levels, zero, packed)
        return result

    return product
