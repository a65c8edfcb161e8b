"""How well a model predicts held-out text.

Bits per byte compare models on any text and script, whatever a character costs in bytes; loss
(nats per byte) and perplexity are the same number in other units. Each held-out byte is predicted
once, with at most ``context_length`` bytes before it, in windows that do not overlap: a figure a
little worse than that of a sliding window, the same for every model.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from h2q.datasets.corpus import ByteStream
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in

EVALUATION_BATCH = 16


@dataclass(frozen=True)
class Evaluation:
    """Losses of one model on held-out text; ``sums`` (nats) and ``counts`` (bytes) by window."""

    sums: np.ndarray
    counts: np.ndarray

    @property
    def predicted_bytes(self) -> int:
        return int(self.counts.sum())

    @property
    def loss(self) -> float:
        """Cross-entropy in nats per byte."""
        return float(self.sums.sum() / self.counts.sum())

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)

    @property
    def bits_per_byte(self) -> float:
        return self.loss / math.log(2)


def perplexity(loss: float) -> float:
    """exp(loss), held below the largest float where the loss is hopeless."""
    return math.exp(min(loss, 700.0))


@torch.inference_mode()
def evaluate(
    model: Transformer,
    text: ByteStream,
    *,
    limit_bytes: int,
    dtype: torch.dtype = torch.float32,
    between: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Losses of ``model`` on ``text``, on at most about ``limit_bytes`` evenly spread over it.

    Leaves the model in the mode, training or not, in which it was. ``between`` is called before
    every ``EVALUATION_BATCH`` windows, and may raise.
    """
    device = next(model.parameters()).device
    windows = text.windows(model.config.context_length, limit_bytes)
    sums = np.zeros(len(windows))
    was_training = model.training
    model.eval()
    for first in range(0, len(windows), EVALUATION_BATCH):
        between()
        chosen = windows[first : first + EVALUATION_BATCH]
        longest = max(count for _, count in chosen)
        tokens = torch.zeros(len(chosen), longest + 1, dtype=torch.long)
        for row, (start, count) in enumerate(chosen):
            tokens[row, : count + 1] = torch.frombuffer(
                bytearray(text.read(start, count + 1)), dtype=torch.uint8
            )
        tokens = tokens.to(device)
        with computing_in(dtype, device):
            logits = model(tokens[:, :-1])
        losses = F.cross_entropy(
            logits.float().transpose(1, 2), tokens[:, 1:], reduction="none"
        ).double()
        for row, (_, count) in enumerate(chosen):
            sums[first + row] = losses[row, :count].sum().item()
    model.train(was_training)
    return Evaluation(sums, np.array([count for _, count in windows]))
