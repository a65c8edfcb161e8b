"""How well a model predicts a text, file by file and line by line: unusual lines stand out.

Windows overlap. Each byte is predicted from at least an eighth of the context before it, except at
the beginning of a file. So the figure is a little better than that of ``held_out``, whose windows
do not overlap. Text comes in chunks: memory does not depend on its size. Does not read files.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from h2q.evaluation.byte_losses import byte_losses
from h2q.evaluation.held_out import perplexity
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.model.transformer import Transformer

Piece = tuple[bytes, NDArray[np.float64]]  # some bytes of a text and the nats (N,) of each
_WINDOWS = 16  # predicted at once
_SHOWN_BYTES = 240  # of a line


@dataclass
class Score:
    """How many nats some bytes cost a model; ``shown`` holds the first of these bytes."""

    nats: float = 0.0
    size: int = 0  # bytes
    shown: bytearray = field(default_factory=bytearray)

    @property
    def bits_per_byte(self) -> float | None:
        """None for no bytes."""
        return self.nats / math.log(2) / self.size if self.size else None

    @property
    def perplexity(self) -> float | None:
        return perplexity(self.nats / self.size) if self.size else None

    def add(self, data: bytes, nats: NDArray[np.float64]) -> None:
        self.nats += float(nats.sum())
        self.size += len(data)
        self.shown += data[: max(0, _SHOWN_BYTES - len(self.shown))]


def byte_nats(
    model: Transformer, chunks: Iterable[bytes], dtype: torch.dtype = torch.float32
) -> Iterator[Piece]:
    """The text of ``chunks`` in pieces, with the nats of each byte."""
    context = model.config.context_length
    before = context // 8  # bytes at the beginning of a window that are read, not predicted
    step = context - before
    buffer = bytearray([END_OF_DOCUMENT])  # a text follows the mark that ended the text before it
    known = 1  # bytes at the beginning of the buffer that are not predicted
    for chunk in chunks:
        buffer += chunk
        while len(buffer) > _WINDOWS * step + before:
            yield _predict(model, bytes(buffer), known, step, dtype)
            del buffer[: _WINDOWS * step]
            known = before + 1
    while len(buffer) > known:
        yield _predict(model, bytes(buffer), known, step, dtype)
        del buffer[: _WINDOWS * step]
        known = before + 1


def _predict(model: Transformer, data: bytes, known: int, step: int, dtype: torch.dtype) -> Piece:
    """Predicts ``data`` after its first ``known`` bytes, as far as ``_WINDOWS`` windows reach."""
    size = model.config.context_length + 1  # bytes of a window
    starts = [0, *range(step, min(_WINDOWS * step, len(data) - size + step), step)]
    windows = [data[start : start + size] for start in starts]
    losses = byte_losses(model, windows, dtype, model.memory).cpu().numpy()
    first = known
    pieces = []
    for start, window, nats in zip(starts, windows, losses):
        end = start + len(window)
        pieces.append(nats[first - start - 1 : end - start - 1])
        first = end
    return data[known:first], np.concatenate(pieces)


def score_lines(pieces: Iterable[Piece], total: Score) -> Iterator[Score]:
    """The score of each line with its line end, in order. Everything is also added to ``total``."""
    line = Score()
    for data, nats in pieces:
        total.add(data, nats)
        start = 0
        while (end := data.find(b"\n", start) + 1) > 0:
            line.add(data[start:end], nats[start:end])
            yield line
            line, start = Score(), end
        line.add(data[start:], nats[start:])
    if line.size:
        yield line
