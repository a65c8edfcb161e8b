"""What a batch does to a model: loss, gradients, clipping, one update of the weights or several.

A learner's state is the model's weights and the tensors of ``state``; everything random is a
function of the seed and the number of the step. Knows no files, no clock and no text.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from h2q.config import TrainingConfig
from h2q.errors import TrainingDiverged
from h2q.hardware import computing_in
from h2q.model import Transformer
from h2q.optim import LAYERS, Optimizers, rate_share
from h2q.saved_run import AVERAGE, OPTIMIZER, with_prefix
from h2q.tokenizer import PAD

_STEPS = "steps"  # so many weights are in the average


class Learner:
    """A model, its optimizers, and the average of its weights where one is taken."""

    def __init__(self, model: Transformer, config: TrainingConfig, dtype: torch.dtype):
        """``model`` is on its device; ``dtype`` is that of the computation."""
        self.model = model
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
        if progress < self.config.growth_fraction:
            return max(self._depth, self.config.first_depth(n_layers))
        return n_layers

    def learn(
        self, inputs: Tensor, targets: Tensor, step: int, progress: float
    ) -> tuple[float, int]:
        """Trains on a batch (B, T), the ``step``-th (from 0) of the run, of which ``progress`` is
        done; returns its loss in nats and the bytes that were predicted.

        Raises ``TrainingDiverged`` before a loss or gradient that is not finite reaches the
        weights.
        """
        inputs, targets = inputs.to(self._device), targets.to(self._device)
        self._depth = self.depth(progress)
        loss_sum, count = 0.0, 0
        for part, (part_inputs, part_targets) in enumerate(self._cut(inputs, targets, progress)):
            # Its own seed: no random state to save, and nothing else can disturb dropout.
            torch.manual_seed(_update_seed(self.config.seed, step, part))
            part_count = int((part_targets != PAD).sum())
            loss_sum += part_count * self._update(part_inputs, part_targets, step)
            count += part_count
        return loss_sum, count

    def _cut(self, inputs: Tensor, targets: Tensor, progress: float) -> list[tuple[Tensor, Tensor]]:
        """The batch itself, or in the first part of the run its quarters and then its halves,
        with windows as much shorter: updates that cost less and come more often."""
        short = self.config.short_fraction
        parts = 1 if progress >= short else 2 if progress >= short / 2 else 4
        rows, length = inputs.shape
        if length % parts:
            return [(inputs, targets)]
        cut = [tokens.reshape(parts * rows, -1).chunk(parts) for tokens in (inputs, targets)]
        return [(part, wanted) for part, wanted in zip(*cut) if (wanted != PAD).any()]

    def _update(self, inputs: Tensor, targets: Tensor, step: int) -> float:
        """One change of the weights; returns the loss before it."""
        with computing_in(self.dtype, self._device):
            logits = self.model(inputs, self._depth)
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=PAD)
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
        if depth < self.depth(0.0):
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
