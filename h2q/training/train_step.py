"""What a batch does to a model: loss, gradients, clipping, one update of the weights or several.

A learner's state is the model's weights and the tensors of ``state``; everything random is a
function of the seed and the number of the step. Knows no files, no clock and no text.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.checkpoint.saved_run import AVERAGE, OPTIMIZER, with_prefix
from h2q.config import TrainingConfig
from h2q.model.tokenizer import PAD
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in
from h2q.system.errors import TrainingDiverged
from h2q.training.optimizers import LAYERS, Optimizers
from h2q.training.schedule import rate_share

_STEPS = "steps"  # so many weights are in the average
_TEACHER_SHARE = 0.5  # of the loss of replayed bytes


class Learner:
    """A model, its optimizers, and the average of its weights where one is taken."""

    def __init__(
        self,
        model: Transformer,
        config: TrainingConfig,
        dtype: torch.dtype,
        teacher: Transformer | None = None,
    ):
        """``model`` and ``teacher``, who predicts text that is replayed, are on their device;
        ``dtype`` is that of the computation."""
        self.model = model
        self.teacher = teacher
        self.config = config
        self.dtype = dtype
        self.optimizers = Optimizers(model, config, dtype)
        self._depth = 0  # so many layers are trained, the first ones; it never falls
        self._device = next(model.parameters()).device
        self._sums: dict[str, Tensor] = {}  # of averaged weights
        self._averaged_steps = 0

    def set_rate(self, step: int, progress: float) -> None:
        """Sets the learning rate of what follows ``step`` steps and ``progress`` of the run."""
        self.optimizers.set_rate(rate_share(self.config, step, progress))

    def depth(self, progress: float) -> int:
        """So many layers, the first ones, are trained after ``progress`` (0 to 1) of the run.

        A step of few layers costs less, and a short run wants steps: the others join late, on
        top (arXiv 2511.04981).
        """
        n_layers = len(self.model.layers)
        if progress < self.config.growth:
            return max(self._depth, self.config.first_depth(n_layers))
        return n_layers

    def train_all_layers(self) -> None:
        """From now on, however far the run is."""
        self._depth = len(self.model.layers)

    def learn(
        self,
        inputs: Tensor,
        targets: Tensor,
        step: int,
        progress: float,
        replayed: Tensor | None = None,
    ) -> tuple[float, int]:
        """Trains on a batch (B, T), the ``step``-th (from 0) of the run, of which ``progress`` is
        done; returns its loss in nats and the bytes that were predicted. ``replayed`` (B, T) tells
        which targets the teacher predicts too.

        Raises ``TrainingDiverged`` before a loss or gradient that is not finite reaches the
        weights.
        """
        if replayed is None:
            replayed = torch.zeros_like(targets, dtype=torch.bool)
        batch = [tokens.to(self._device) for tokens in (inputs, targets, replayed)]
        self._depth = self.depth(progress)
        loss_sum, count = 0.0, 0
        for part, (inputs, targets, replayed) in enumerate(self._cut(batch, progress)):
            # Its own seed: no random state to save, and nothing else can disturb dropout.
            torch.manual_seed(_update_seed(self.config.seed, step, part))
            part_count = int((targets != PAD).sum())
            loss_sum += part_count * self._update(inputs, targets, replayed, step)
            count += part_count
        return loss_sum, count

    def _cut(self, batch: list[Tensor], progress: float) -> list[list[Tensor]]:
        """The batch itself (inputs, targets, replayed), or in the first part of the run its
        quarters and then its halves, with windows as much shorter: updates that cost less and come
        more often."""
        short = self.config.short_fraction
        parts = 1 if progress >= short else 2 if progress >= short / 2 else 4
        rows, length = batch[0].shape
        if length % parts:
            return [batch]
        cut = [tokens.reshape(parts * rows, -1).chunk(parts) for tokens in batch]
        return [list(part) for part in zip(*cut) if (part[1] != PAD).any()]

    def _update(self, inputs: Tensor, targets: Tensor, replayed: Tensor, step: int) -> float:
        """One change of the weights; returns the loss before it, without what a teacher adds."""
        with computing_in(self.dtype, self._device):
            logits = self.model(inputs, self._depth)
        logits = logits.float()
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD)
        taught = replayed & (targets != PAD)
        if taught.any():
            change = self._taught(logits, inputs, targets, taught) / (targets != PAD).sum()
            (loss + _TEACHER_SHARE * change).backward()
        else:
            loss.backward()
        weights = [weight for weight in self.model.parameters() if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights])
        value = loss.item()
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            raise TrainingDiverged("train.diverged", step=step + 1)
        if norm > self.config.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(weights, self.config.clip_norm, norm)
        self.optimizers.step()
        return value

    def _taught(self, logits: Tensor, inputs: Tensor, targets: Tensor, taught: Tensor) -> Tensor:
        """How much more the ``taught`` bytes cost in nats, in all, if their targets are what the
        teacher predicts in place of the bytes themselves.

        So text that comes round often is not learnt by heart, and what the teacher knew of it is
        not lost (arXiv 1503.02531, 1606.09282).
        """
        rows = taught.any(dim=1)
        with torch.no_grad(), computing_in(self.dtype, self._device):
            predicted = self.teacher(inputs[rows])[taught[rows]]
        predicted = predicted.float().softmax(dim=-1)
        logits = logits[taught]
        return F.cross_entropy(logits, predicted, reduction="sum") - F.cross_entropy(
            logits, targets[taught], reduction="sum"
        )

    @torch.no_grad()
    def average(self) -> None:
        """Adds the weights as they are to the average."""
        for name, weight in self.model.state_dict().items():
            if name in self._sums:
                self._sums[name] += weight
            else:
                self._sums[name] = weight.clone()
        self._averaged_steps += 1

    def averaged_weights(self) -> dict[str, Tensor] | None:
        """The mean of the weights that ``average`` was told; None where there were none."""
        if not self._sums:
            return None
        return {name: total / self._averaged_steps for name, total in self._sums.items()}

    def state(self) -> dict[str, Tensor]:
        """What must be saved besides the weights to go on."""
        tensors = {OPTIMIZER + name: value for name, value in self.optimizers.state().items()}
        if self._sums:
            tensors |= {AVERAGE + name: total for name, total in self._sums.items()}
            tensors[AVERAGE + _STEPS] = torch.tensor(self._averaged_steps)
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Takes up what ``state`` gave. Raises ``ValueError`` for tensors of other weights."""
        state = with_prefix(tensors, OPTIMIZER)
        depth = len({name.split(".")[1] for name in state if name.startswith(LAYERS)})
        if depth < self.config.first_depth(len(self.model.layers)):
            raise ValueError(OPTIMIZER)
        self._depth = depth
        later = tuple(f"{LAYERS}{number}." for number in range(depth, len(self.model.layers)))
        self.optimizers.load_state(state, without=later)
        sums = with_prefix(tensors, AVERAGE)
        if not sums:
            return
        self._averaged_steps = int(sums.pop(_STEPS, torch.tensor(0)))
        weights = self.model.state_dict()
        shapes = {name: weight.shape for name, weight in weights.items()}
        if self._averaged_steps < 1 or shapes != {n: total.shape for n, total in sums.items()}:
            raise ValueError(AVERAGE)
        self._sums = {name: total.to(self._device) for name, total in sums.items()}


def _update_seed(*numbers: int) -> int:
    """32 bits mixed from all: PyTorch's generator for the CPU ignores all above the lowest 32."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
