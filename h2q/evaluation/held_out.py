"""How well a model predicts held-out text.

Bits per byte compare models on any text and script, however many bytes a character has. Loss (nats
per byte) and perplexity are the same number in other units. Each held-out byte is predicted once,
from at most ``context_length`` bytes before it, in windows that do not overlap. So the figure is a
little worse than that of a sliding window, for every model alike. Does not choose the text.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from h2q.datasets.corpus import ByteStream
from h2q.evaluation.byte_losses import byte_losses, byte_losses_of_both
from h2q.memory.mixture import Memory
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
    memory: Memory | None = None,
    dtype: torch.dtype = torch.float32,
    between: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Losses on ``text``, on all of it or on about ``limit_bytes`` spread evenly: of ``model`` with
    ``memory``, or of ``model`` alone.

    The model is left in the mode, training or not, in which it was. ``between`` is called before
    every ``EVALUATION_BATCH`` windows and may raise.
    """
    windows = text.windows(model.config.context_length, limit_bytes)
    batches = (
        [byte_losses(model, rows, dtype, memory)] for rows in _batches(text, windows, between)
    )
    return _summed(windows, batches, 1)[0]


def evaluate_both(
    model: Transformer,
    text: ByteStream,
    memory: Memory | None,
    *,
    limit_bytes: int,
    dtype: torch.dtype = torch.float32,
    between: Callable[[], None] = lambda: None,
) -> tuple[Evaluation, Evaluation | None]:
    """``evaluate`` of the model alone and with ``memory``, if there is one, in one pass."""
    if memory is None:
        alone = evaluate(model, text, limit_bytes=limit_bytes, dtype=dtype, between=between)
        return alone, None
    windows = text.windows(model.config.context_length, limit_bytes)
    batches = (
        byte_losses_of_both(model, rows, dtype, memory) for rows in _batches(text, windows, between)
    )
    alone, together = _summed(windows, batches, 2)
    return alone, together


_Window = tuple[int, int]  # where it starts, and the bytes that are predicted


def _batches(
    text: ByteStream, windows: list[_Window], between: Callable[[], None]
) -> Iterator[list[bytes]]:
    for first in range(0, len(windows), EVALUATION_BATCH):
        between()
        batch = windows[first : first + EVALUATION_BATCH]
        yield [text.read(start, count + 1) for start, count in batch]


def _summed(
    windows: list[_Window], batches: Iterable[Sequence[Tensor]], measures: int
) -> list[Evaluation]:
    """The sums over each window of the losses in ``batches``: of each of the ``measures``."""
    counts = np.array([count for _, count in windows])
    sums = np.zeros((measures, len(windows)))
    for number, batch in enumerate(batches):
        first = number * EVALUATION_BATCH
        for measure, losses in enumerate(batch):
            for index, row in enumerate(losses, first):
                sums[measure, index] = row[: counts[index]].sum().item()
    return [Evaluation(each, counts) for each in sums]
