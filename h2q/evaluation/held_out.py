"""How well a model predicts held-out text.

Bits per byte compare models on any text and script, however many bytes a character has. Loss (nats
per byte) and perplexity are the same number in other units. Each held-out byte is predicted once,
from at most ``context_length`` bytes before it, in windows that do not overlap. So the figure is a
little worse than that of a sliding window, for every model alike. Does not choose the text.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from h2q.datasets.corpus import ByteStream
from h2q.evaluation.byte_losses import byte_losses
from h2q.model.transformer import Transformer

EVALUATION_BATCH = 16  # windows


@dataclass(frozen=True)
class Evaluation:
    """Losses of one model on held-out text, window by window."""

    sums: NDArray[np.float64]  # nats
    counts: NDArray[np.int64]  # bytes that were predicted

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
    """exp(loss); a very high loss gives a very large number instead of an overflow."""
    return math.exp(min(loss, 700.0))


def evaluate(
    model: Transformer,
    text: ByteStream,
    *,
    limit_bytes: int,
    dtype: torch.dtype = torch.float32,
    between: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Losses of ``model`` on ``text``: on all of it, or on about ``limit_bytes`` spread evenly.

    The model is left in the mode, training or not, in which it was. ``between`` is called before
    every ``EVALUATION_BATCH`` windows and may raise.
    """
    windows = text.windows(model.config.context_length, limit_bytes)
    counts = np.array([count for _, count in windows])
    sums = np.zeros(len(windows))
    for first in range(0, len(windows), EVALUATION_BATCH):
        between()
        rows = [
            text.read(start, count + 1)
            for start, count in windows[first : first + EVALUATION_BATCH]
        ]
        for number, losses in enumerate(byte_losses(model, rows, dtype), first):
            sums[number] = losses[: counts[number]].sum().item()
    return Evaluation(sums, counts)
