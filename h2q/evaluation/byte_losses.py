"""What a model's prediction of each byte costs: the pass that all measurements of a model share.

Pads rows of bytes, computes in the wanted precision, and returns a loss for every byte. Does not
choose the rows and does not sum the losses: that is for ``held_out``, ``exact_match`` and
``line_scores``.

Shapes: N rows, T one less than the bytes of the longest row.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.memory.mixture import Memory
from h2q.model.tokenizer import PAD
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in

_THREADS = min(4, os.cpu_count() or 1)  # that mix


@torch.inference_mode()
def byte_losses(
    model: Transformer, rows: Sequence[bytes], dtype: torch.dtype, memory: Memory | None = None
) -> Tensor:
    """Cross-entropy in nats, (N, T) float64: of the model with ``memory``, or of the model alone.

    Element (n, t) belongs to byte t + 1 of row n, predicted from the bytes before it. Elements
    beyond the end of a row mean nothing. The model computes without dropout in ``dtype`` and is
    left in the mode, training or not, in which it was.
    """
    logits, targets = _predicted(model, rows, dtype)
    return _losses(logits if memory is None else _mixed(logits, rows, memory), targets)


@torch.inference_mode()
def byte_logits(model: Transformer, rows: Sequence[bytes], dtype: torch.dtype) -> Tensor:
    """The logits (N, T, V) in float32 of the model alone."""
    return _predicted(model, rows, dtype)[0]


@torch.inference_mode()
def byte_losses_of_both(
    model: Transformer, rows: Sequence[bytes], dtype: torch.dtype, memory: Memory
) -> tuple[Tensor, Tensor]:
    """``byte_losses`` of the model alone and with ``memory``, in one pass."""
    logits, targets = _predicted(model, rows, dtype)
    return _losses(logits, targets), _losses(_mixed(logits, rows, memory), targets)


@torch.inference_mode()
def byte_losses_and_choices(
    model: Transformer, rows: Sequence[bytes], dtype: torch.dtype, memory: Memory | None = None
) -> tuple[Tensor, Tensor]:
    """``byte_losses``, and whether each byte is the model's first choice, (N, T) bool.

    ``PAD`` is never a choice, because it is never written.
    """
    logits, targets = _predicted(model, rows, dtype)
    if memory is not None:
        logits = _mixed(logits, rows, memory)
    losses = _losses(logits, targets)
    logits[..., PAD] = -torch.inf
    return losses, logits.argmax(dim=-1) == targets


def _predicted(
    model: Transformer, rows: Sequence[bytes], dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Logits (N, T, V) in float32 and the bytes to be predicted (N, T), on the model's device."""
    device = next(model.parameters()).device
    tokens = _padded(rows).to(device)
    with _evaluating(model), computing_in(dtype, device):
        logits = model(tokens[:, :-1])
    return logits.float(), tokens[:, 1:]


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").double()


def _mixed(logits: Tensor, rows: Sequence[bytes], memory: Memory) -> Tensor:
    """The logits of the mixture, from those of the model, (N, T, V)."""
    own = logits.cpu().numpy()
    mixed = np.zeros_like(own)

    def mix(numbers: range) -> None:
        recalled = memory.recall([rows[number] for number in numbers])
        first = 0
        for number in numbers:
            count = len(rows[number]) - 1
            part = recalled.part(slice(first, first + count))
            mixed[number, :count] = memory.mix(own[number, :count], part)
            first += count

    parts = [range(first, len(rows), _THREADS) for first in range(min(_THREADS, len(rows)))]
    with ThreadPoolExecutor(_THREADS) as pool:  # NumPy computes without Python's lock
        list(pool.map(mix, parts))
    return torch.from_numpy(mixed).to(logits.device)


def _padded(rows: Sequence[bytes]) -> Tensor:
    """Byte ids (N, T + 1), padded on the right, where a causal model does not look."""
    tokens = torch.full((len(rows), max(map(len, rows))), PAD, dtype=torch.long)
    for row, data in zip(tokens, rows):
        row[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return tokens


@contextmanager
def _evaluating(model: Transformer) -> Iterator[None]:
    """Switches dropout off; afterwards the model is in the mode in which it was."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
