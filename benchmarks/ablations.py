"""What each part of the mixture of Transformer and memory is worth: each is switched off in turn.

Without a part, the gate is fitted again on the validation part of the text, as in a run. Does not
train a Transformer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from h2q.datasets.corpus import Corpus
from h2q.evaluation.held_out import evaluate
from h2q.memory.mixture import Memory, Recalled, neutral_gate
from h2q.memory.table import EVIDENCE, VOCAB
from h2q.model.transformer import Transformer
from h2q.training.memory import MemoryFitting, fit_gate
from opponents import ALL_BYTES, silent

FIT_BYTES = 32_768  # of the validation part, as in a run


class NoTable:
    """In the place of a table: all bytes are equally likely, and nothing is evidence."""

    def probabilities(self, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = np.full((len(context), VOCAB), 1 / VOCAB, np.float32)
        return known, np.zeros((len(context), EVIDENCE), np.float32)


class NoWindow(Memory):
    """A memory that does not look at the window's own text."""

    def recall(self, windows: Sequence[bytes]) -> Recalled:
        said = super().recall(windows)
        known = said.evidence * (np.arange(said.evidence.shape[1]) < EVIDENCE)
        return Recalled(said.table, np.zeros_like(said.window), known)


def without(part: str, memory: Memory) -> Memory:
    if part == "table":
        return replace(memory, table=NoTable())
    return NoWindow(memory.table, memory.gate) if part == "window" else memory


def ablations(
    model: Transformer, corpus: Corpus, memory_bytes: int, dtype: torch.dtype
) -> Iterator[tuple[str, float]]:
    """Names, and nats a byte over all held-out text, of ``model`` with its memory and without parts
    of it. ``corpus`` must be the one that it was trained on."""

    def loss(model: Transformer, memory: Memory | None) -> float:
        found = evaluate(model, corpus.heldout, limit_bytes=ALL_BYTES, memory=memory, dtype=dtype)
        return found.loss

    memory, context_length = model.memory, model.config.context_length
    yield "all parts", loss(model, memory)
    # As in a run, the gate is fitted where the table has not counted.
    before = MemoryFitting(corpus, context_length, memory_bytes, dtype).before()
    windows = corpus.validation.windows(context_length, FIT_BYTES)
    rows = [corpus.validation.read(start, count + 1) for start, count in windows]
    for part in ("table", "window", "Transformer"):
        predictor = silent(context_length) if part == "Transformer" else model
        gate = fit_gate(predictor, without(part, before), rows, dtype)
        yield f"no {part}", loss(predictor, without(part, replace(memory, gate=gate)))
    yield "no gate", loss(model, replace(memory, gate=neutral_gate()))
    yield "no memory", loss(model, None)
