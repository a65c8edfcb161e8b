"""How a run goes on from a trained model, without losing what that model knew."""

from dataclasses import dataclass

import torch
from torch import Tensor

from h2q.model.tokenizer import LINE_END
from h2q.model.transformer import Transformer


@dataclass(frozen=True)
class FineTuning:
    """The models that a run begins from and learns from.

    ``initial`` gives the first weights. ``teacher`` predicts the training text from position
    ``replay_from`` on, and its predictions are learnt beside the bytes. After the share
    ``average_from`` of the run the weights are also averaged. The first ``asked_bytes`` of the text
    are questions with answers, and a byte of an answer weighs ``answer_weight`` in the loss (the
    rest of such a text is most of it, and its gradient drowns that of the answers: arXiv
    2305.15076).
    """

    initial: Transformer
    teacher: Transformer | None = None
    replay_from: int = 0
    average_from: float = 1.0
    asked_bytes: int = 0
    answer_weight: float = 1.0

    def of_batch(
        self, inputs: Tensor, targets: Tensor, starts: Tensor, text_bytes: int
    ) -> tuple[Tensor | None, Tensor | None]:
        """Which targets (B, T) the teacher predicts too, and the weights (B, T) of the targets in the
        loss; None where there is no teacher, and where all weights are 1.

        The rows of a batch begin at ``starts`` (B,) of a text of ``text_bytes``, taken as a circle.
        The mean weight is 1 in what is replayed and in the rest: neither gains on the other.
        """
        places = (starts[:, None] + torch.arange(1, 1 + targets.shape[1])) % text_bytes
        replayed = None if self.teacher is None else places >= self.replay_from
        if not self.asked_bytes:
            return replayed, None
        weights = torch.ones(targets.shape)
        weights[(places < self.asked_bytes) & in_answer(inputs, targets)] = self.answer_weight
        taught = places < self.replay_from
        if taught.any():
            weights[taught] /= weights[taught].mean()
        return replayed, weights


def in_answer(inputs: Tensor, targets: Tensor) -> Tensor:
    """Which ``targets`` (B, T) belong to an answer with its line end, in text of the form ``question,
    line end, answer, blank line``. An answer whose beginning cannot be seen does not count."""
    ends = inputs == LINE_END
    place = torch.arange(inputs.shape[1]).expand_as(inputs)
    last = torch.where(ends, place, -1).cummax(1).values  # the line end before each target
    begun = last > 0
    after_question = ~ends.gather(1, (last - 1).clamp(min=0))
    return begun & after_question & ~(ends & (targets == LINE_END))
