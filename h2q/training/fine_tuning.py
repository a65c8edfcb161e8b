"""How a run goes on from a trained model, without losing what that model knew."""

from dataclasses import dataclass

import torch
from torch import Tensor

from h2q.model.transformer import Transformer


@dataclass(frozen=True)
class FineTuning:
    """The models that a run begins from and learns from.

    ``initial`` gives the first weights. ``teacher`` predicts the training text from position
    ``replay_from`` on, and its predictions are learnt beside the bytes. After the share
    ``average_from`` of the run the weights are also averaged.
    """

    initial: Transformer
    teacher: Transformer | None = None
    replay_from: int = 0
    average_from: float = 1.0

    def replayed(self, starts: Tensor, length: int, text_bytes: int) -> Tensor | None:
        """Which targets (B, ``length``) the teacher predicts too; None without a teacher.

        The rows of a batch begin at ``starts`` (B,) of a text of ``text_bytes``, taken as a circle.
        """
        if self.teacher is None:
            return None
        places = starts[:, None] + torch.arange(1, 1 + length)
        return places % text_bytes >= self.replay_from
