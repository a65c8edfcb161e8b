"""How well a model expects a text, file by file and line by line: the odd lines stand out.

Windows overlap, so that each byte is predicted with at least an eighth of the context before it
(but for the first of a file), whatever its place; the figure is a little better than that of
``evaluation``, whose windows do not. Text goes by in chunks: memory does not depend on its size.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from h2q.evaluation.held_out import perplexity
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in

_WINDOWS = 16  # read at once
_SHOWN_BYTES = 240  # of a line


@dataclass
class Score:
    """Information of some bytes under a model; ``shown`` is how they begin."""

    nats: float = 0.0
    size: int = 0  # bytes
    shown: bytearray = field(default_factory=bytearray)

    @property
    def bits_per_byte(self) -> float | None:
        """None where there is no byte."""
        return self.nats / math.log(2) / self.size if self.size else None

    @property
    def perplexity(self) -> float | None:
        return perplexity(self.nats / self.size) if self.size else None

    def add(self, data: bytes, nats: np.ndarray) -> None:
        self.nats += float(nats.sum())
        self.size += len(data)
        self.shown += data[: max(0, _SHOWN_BYTES - len(self.shown))]


@torch.inference_mode()
def byte_nats(
    model: Transformer, chunks: Iterator[bytes], dtype: torch.dtype = torch.float32
) -> Iterator[tuple[bytes, np.ndarray]]:
    """Pieces of the text and the nats (N,) that each of their bytes carries."""
    context_length = model.config.context_length
    before = context_length // 8  # bytes of each window but the first that are only read
    step = context_length - before
    buffer = bytearray([END_OF_DOCUMENT])  # a text begins behind the mark that ended the one before
    known = 1  # bytes at the beginning of the buffer that are not to be predicted
    for chunk in chunks:
        buffer += chunk
        while len(buffer) > _WINDOWS * step + before:
            yield _predict(model, bytes(buffer), known, step, _WINDOWS, dtype)
            del buffer[: _WINDOWS * step]
            known = before + 1
    while len(buffer) > known:
        yield _predict(model, bytes(buffer), known, step, _WINDOWS, dtype)
        del buffer[: _WINDOWS * step]
        known = before + 1


def _predict(model, data: bytes, known: int, step: int, most: int, dtype):
    """Predicts what the first ``most`` windows of ``data`` cover, but for ``known`` bytes."""
    context_length = model.config.context_length
    device = next(model.parameters()).device
    length = min(context_length, len(data) - 1)
    starts = [start for start in range(0, most * step, step) if start + known < len(data)]
    starts = [
        start for start in starts if start == 0 or start + context_length - step + 1 < len(data)
    ]
    tokens = torch.zeros(len(starts), length + 1, dtype=torch.long)
    for row, start in enumerate(starts):
        piece = data[start : start + length + 1]
        tokens[row, : len(piece)] = torch.frombuffer(bytearray(piece), dtype=torch.uint8)
    tokens = tokens.to(device)
    with computing_in(dtype, device):
        logits = model(tokens[:, :-1])
    nats = (
        F.cross_entropy(logits.float().transpose(1, 2), tokens[:, 1:], reduction="none")
        .cpu()
        .double()
        .numpy()
    )
    first = known
    pieces = []
    for row, start in enumerate(starts):
        end = min(start + length + 1, len(data))
        pieces.append(nats[row, first - start - 1 : end - start - 1])
        first = end
    return data[known:first], np.concatenate(pieces)


def score_lines(pieces: Iterator[tuple[bytes, np.ndarray]], total: Score) -> Iterator[Score]:
    """The score of each line, with its end-of-line byte, in order; ``total`` grows along."""
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
