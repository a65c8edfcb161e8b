"""What a model's prediction of each byte costs: the pass that all measurements of a model share.

Pads rows of bytes, computes in the wanted precision, and returns a loss for every byte. Does not
choose the rows and does not sum the losses: that is for ``held_out``, ``exact_match`` and
``line_scores``.

Shapes: N rows, T one less than the bytes of the longest row.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.model.tokenizer import PAD
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in


@torch.inference_mode()
def byte_losses(model: Transformer, rows: Sequence[bytes], dtype: torch.dtype) -> Tensor:
    """Cross-entropy in nats, (N, T) float64 on the model's device.

    Element (n, t) belongs to byte t + 1 of row n, predicted from the bytes before it. Elements
    beyond the end of a row mean nothing. The model computes without dropout in ``dtype`` and is
    left in the mode, training or not, in which it was.
    """
    losses, _, _ = _predicted(model, rows, dtype)
    return losses


@torch.inference_mode()
def byte_losses_and_choices(
    model: Transformer, rows: Sequence[bytes], dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """``byte_losses``, and whether each byte is the model's first choice, (N, T) bool.

    ``PAD`` is never a choice, because it is never written.
    """
    losses, logits, targets = _predicted(model, rows, dtype)
    logits[..., PAD] = -torch.inf
    return losses, logits.argmax(dim=-1) == targets


def _predicted(
    model: Transformer, rows: Sequence[bytes], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses (N, T), logits (N, T, V) in float32, and the bytes to be predicted (N, T)."""
    device = next(model.parameters()).device
    tokens = _padded(rows).to(device)
    with _evaluating(model), computing_in(dtype, device):
        logits = model(tokens[:, :-1])
    logits, targets = logits.float(), tokens[:, 1:]
    losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    return losses.double(), logits, targets


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
