"""One training step, which trains a model on one batch: loss, gradients, clipping, updates.

Everything random in a step depends on the seed and the number of the step alone. Does not know when
a step is made, nor how far the run is, and knows no files and no text.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.config import TrainingConfig
from h2q.model.tokenizer import PAD
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in
from h2q.system.errors import TrainingDiverged
from h2q.training.optimizers import Optimizers

_TEACHER_SHARE = 0.5  # of the loss of replayed bytes


class TrainStep:
    """One step as a function of its batch: it updates the weights of a model."""

    def __init__(
        self,
        model: Transformer,
        optimizers: Optimizers,
        config: TrainingConfig,
        dtype: torch.dtype,
        teacher: Transformer | None = None,
    ):
        """``teacher`` predicts text that is replayed. ``model`` and ``teacher`` are on the same
        device; ``dtype`` is the precision of the matrix products."""
        self._model = model
        self._optimizers = optimizers
        self._config = config
        self._dtype = dtype
        self._teacher = teacher
        self._device = next(model.parameters()).device

    def __call__(
        self,
        inputs: Tensor,
        targets: Tensor,
        replayed: Tensor | None = None,
        weights: Tensor | None = None,
        *,
        step: int,
        depth: int,
        updates: int = 1,
    ) -> tuple[float, int]:
        """Trains the first ``depth`` layers on a batch (B, T), in ``updates`` updates of weights.

        ``step`` is the number of the step, from 0. ``replayed`` (B, T) marks the targets that are
        learnt from the teacher too; ``weights`` (B, T) weighs the targets. Returns the loss in nats,
        not weighted, summed over the predicted bytes, and the number of these bytes. Raises ``TrainingDiverged`` before a loss or gradient that is not
        finite reaches the weights.
        """
        if replayed is None:
            replayed = torch.zeros_like(targets, dtype=torch.bool)
        whole = [inputs, targets, replayed, *([] if weights is None else [weights])]
        batch = [tokens.to(self._device) for tokens in whole]
        loss_sum, count = 0.0, 0
        for number, part in enumerate(_cut(batch, updates)):
            # Each update has its own seed: no random state must be saved, and nothing else can
            # disturb dropout.
            torch.manual_seed(_update_seed(self._config.seed, step, number))
            part_count = int((part[1] != PAD).sum())
            loss_sum += part_count * self._update(step, depth, *part)
            count += part_count
        return loss_sum, count

    def _update(
        self,
        step: int,
        depth: int,
        inputs: Tensor,
        targets: Tensor,
        replayed: Tensor,
        weights: Tensor | None = None,
    ) -> float:
        """One update of the model's weights; returns the loss before it, without the teacher's part
        and without the ``weights`` of the targets."""
        with computing_in(self._dtype, self._device):
            logits = self._model(inputs, depth)
        logits = logits.float()
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD)
        taught = replayed & (targets != PAD)
        objective = loss if weights is None else _weighted_loss(logits, targets, weights)
        if self._teacher is not None and taught.any():
            predicted = self._predicted_by(self._teacher, inputs, taught)
            change = _change_by_teacher(predicted, logits[taught], targets[taught])
            objective = objective + _TEACHER_SHARE * (change / (targets != PAD).sum())
        torch.autograd.backward(objective)
        value = loss.item()
        self._clip_gradients(value, step)
        self._optimizers.step()
        return value

    def _predicted_by(self, teacher: Transformer, inputs: Tensor, taught: Tensor) -> Tensor:
        """The probabilities (N, V) that ``teacher`` gives at the N ``taught`` places of (B, T)."""
        rows = taught.any(dim=1)
        with torch.no_grad(), computing_in(self._dtype, self._device):
            predicted: Tensor = teacher(inputs[rows])[taught[rows]]
        return predicted.float().softmax(dim=-1)

    def _clip_gradients(self, loss: float, step: int) -> None:
        """Scales all gradients down to the norm ``clip_norm`` if theirs is larger.

        Raises ``TrainingDiverged`` if their norm or ``loss`` is not finite.
        """
        weights = [weight for weight in self._model.parameters() if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None])
        if not (math.isfinite(loss) and math.isfinite(norm.item())):
            raise TrainingDiverged("train.diverged", step=step + 1)
        if norm > self._config.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(weights, self._config.clip_norm, norm)


def _cut(batch: list[Tensor], updates: int) -> list[list[Tensor]]:
    """The tensors (B, T) of a batch cut into ``updates`` batches (B, T / ``updates``) each.

    The batch stays whole if its length cannot be divided so. The second tensor holds the targets: a
    part whose targets are all padding is left out.
    """
    rows, length = batch[0].shape
    if length % updates:
        return [batch]
    cut = [tokens.reshape(updates * rows, -1).chunk(updates) for tokens in batch]
    return [list(part) for part in zip(*cut) if (part[1] != PAD).any()]


def _weighted_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The mean loss of ``logits`` (B, T, V) on the ``targets`` (B, T) that are not padding, each
    times its weight (B, T)."""
    losses = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=PAD, reduction="none"
    )
    return (losses * weights.flatten()).sum() / (targets != PAD).sum()


def _change_by_teacher(predicted: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
    """The change in the loss on N bytes, in nats, if the target of the ``logits`` (N, V) is the
    teacher's prediction ``predicted`` (N, V) instead of the bytes ``targets`` (N,) themselves.

    Text that is repeated often is then not memorized, and the model keeps what the teacher knew of
    it (arXiv 1503.02531, 1606.09282).
    """
    return F.cross_entropy(logits, predicted, reduction="sum") - F.cross_entropy(
        logits, targets, reduction="sum"
    )


def _update_seed(*numbers: int) -> int:
    """32 bits mixed from all: PyTorch's generator for the CPU ignores all above the lowest 32."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
