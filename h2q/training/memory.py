"""The memory of a run: its table is counted, and the gate that mixes it in is fitted.

Order and gate are chosen on the validation part of the text, which neither the Transformer nor, for
this choice, the table has seen. The table of the finished model counts all of the training text.
Held-out text is never looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.datasets.corpus import ByteStream, Corpus
from h2q.evaluation.byte_losses import byte_logits
from h2q.evaluation.held_out import EVALUATION_BATCH
from h2q.memory.counts import Counts, Pairs, contexts
from h2q.memory.mixture import CLIPPED, Gate, Memory, Recalled, neutral_gate
from h2q.memory.table import NgramTable, packed
from h2q.model.transformer import Transformer
from h2q.system.console import Console

_ORDERS = range(4, 8)  # bytes of context, among which the validation part chooses
_ORDER_UNCHOSEN = 6  # where there is no validation part
# A longer context is preferred while it costs no more than this many nats a byte: the gate sees how
# often each was seen.
_ORDER_TOLERANCE = 0.01
_FIT_BYTES = 32_768  # most bytes of the validation part that are used
_FIT_EPOCHS = 15
_LEAST_SCALE = 0.1
_FIT_BATCH = 512  # bytes
_FIT_LR = 5e-3
_FIT_WEIGHT_DECAY = 0.1


class MemoryFitting:
    """Makes the memory of a model that is trained on ``corpus``, in at most ``budget_bytes``."""

    def __init__(
        self,
        corpus: Corpus,
        context_length: int,
        budget_bytes: int,
        dtype: torch.dtype,
        between: Callable[[], None] = lambda: None,
        console: Console | None = None,
    ):
        """Counts the training text without its validation part. ``between`` is called now and then,
        and may raise."""
        self._console = console or Console(silent=True)
        self._corpus = corpus
        self._budget_bytes = budget_bytes
        self._dtype = dtype
        self._between = between
        windows = corpus.validation.windows(context_length, _FIT_BYTES)
        self._rows = [corpus.validation.read(start, count + 1) for start, count in windows]
        with self._console.passing("train.counting"):
            self._table = self._choose_table(self._counted(corpus.train))
        self._console.say(
            "train.memory", order=self._table.order, size=self._table.size_bytes / 1e6
        )

    def _counted(self, text: ByteStream) -> list[Pairs]:
        def read(start: int, length: int) -> bytes:
            self._between()
            return text.read(start, length)

        return Counts().add(read, len(text)).orders()

    def _choose_table(self, pairs: list[Pairs]) -> NgramTable:
        """The table whose order predicts the validation part best."""
        if not self._rows:
            return NgramTable(packed(pairs, _ORDER_UNCHOSEN, self._budget_bytes))
        tables = [NgramTable(packed(pairs, order, self._budget_bytes)) for order in _ORDERS]
        losses = [_loss(table, self._rows) for table in tables]
        good = [loss <= min(losses) + _ORDER_TOLERANCE for loss in losses]
        return tables[max(np.flatnonzero(good))]

    def before(self) -> Memory:
        """The memory before anything is known of the Transformer."""
        return Memory(self._table, neutral_gate())

    def fitted(self, model: Transformer) -> Memory:
        """The memory without the validation part, with the gate that fits ``model`` now."""
        memory = self.before()
        if not self._rows:
            return memory
        return replace(memory, gate=fit_gate(model, memory, self._rows, self._dtype))

    def whole(self, model: Transformer) -> Memory:
        """The memory of all of the training text, with the gate that fits ``model``."""
        gate = self.fitted(model).gate
        with self._console.passing("train.counting"):
            pairs = self._counted(self._corpus.text)
        return Memory(NgramTable(packed(pairs, self._table.order, self._budget_bytes)), gate)


def _loss(table: NgramTable, rows: Sequence[bytes]) -> float:
    """Nats a byte of what ``table`` alone predicts in ``rows``."""
    total, count = 0.0, 0
    for row in rows:
        text = np.frombuffer(row, np.uint8)
        known, _ = table.probabilities(contexts(text)[1:-1])
        total -= float(np.log(known[np.arange(len(text) - 1), text[1:]]).sum())
        count += len(text) - 1
    return total / count


def fit_gate(model: Transformer, memory: Memory, rows: Sequence[bytes], dtype: torch.dtype) -> Gate:
    """The gate with which ``memory`` and ``model`` predict ``rows`` best, by AdamW (arXiv
    1711.05101). Depends on nothing else: not on the state of the random numbers."""
    logits, recalled = [], []
    for first in range(0, len(rows), EVALUATION_BATCH):
        batch = rows[first : first + EVALUATION_BATCH]
        logits += [
            row[: len(data) - 1] for row, data in zip(byte_logits(model, batch, dtype), batch)
        ]
        recalled.append(memory.recall(batch))
    own = torch.cat(logits).cpu().log_softmax(-1)
    said = Recalled.joined(recalled)
    sources = torch.stack((own, torch.from_numpy(said.table), torch.from_numpy(said.window)), 1)
    features = torch.from_numpy(said.features(own.max(-1).values.numpy()))
    targets = torch.from_numpy(np.frombuffer(b"".join(row[1:] for row in rows), np.uint8).copy())
    return _fit(sources, features, targets.long())


def _fit(sources: Tensor, features: Tensor, targets: Tensor) -> Gate:
    """The gate for log-probabilities ``sources`` (N, 3, V), ``features`` (N, F), ``targets`` (N,)."""
    generator = torch.Generator().manual_seed(0)
    gate = neutral_gate()
    # A feature that hardly varies here must not become a large one elsewhere.
    mean, scale = features.mean(0), features.std(0, correction=0).clamp(min=_LEAST_SCALE)
    standard = ((features - mean) / scale).clamp(-CLIPPED, CLIPPED)
    hidden, bias, output, output_bias = (
        torch.from_numpy(getattr(gate, item.name).copy()) for item in fields(gate)[2:]
    )
    hidden.uniform_(-1, 1, generator=generator).div_(len(mean) ** 0.5)
    weights = [tensor.requires_grad_() for tensor in (hidden, bias, output, output_bias)]
    optimizer = torch.optim.AdamW(weights, lr=_FIT_LR, weight_decay=_FIT_WEIGHT_DECAY)
    steps = _FIT_EPOCHS * -(-len(targets) // _FIT_BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1 / steps, steps)
    with torch.enable_grad():
        for _ in range(_FIT_EPOCHS):
            for chosen in torch.split(
                torch.randperm(len(targets), generator=generator), _FIT_BATCH
            ):
                shares = (standard[chosen] @ hidden + bias).relu() @ output + output_bias
                mixed = (shares[:, :, None] * sources[chosen]).sum(1)
                optimizer.zero_grad()
                torch.autograd.backward(F.cross_entropy(mixed, targets[chosen]))
                optimizer.step()
                schedule.step()
    parts = (mean, scale, *weights)
    return Gate(*(tensor.detach().numpy().astype(np.float32) for tensor in parts))
