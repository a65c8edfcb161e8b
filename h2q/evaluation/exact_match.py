"""Which facts a model knows, and what it writes after a prompt.

A fact is asked as ``question, line end``. The model knows it when its greedy answer is the right
object, or an alias, and then a line end. No text is written to find out: the greedy answer is the
right one exactly when each of its bytes is the model's first choice after the right bytes before
it. So one pass gives both the exact match and the cost of an answer. Does not measure held-out
prose: that is for ``held_out``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from h2q.config import SamplingConfig
from h2q.evaluation.byte_losses import byte_losses_and_choices
from h2q.generation.generate import generate_batch
from h2q.generation.grammar import ANY_BYTES
from h2q.model.decoder import Decoder
from h2q.model.transformer import Transformer

ANSWER_BYTES = 48  # the longest answer to a question
_BATCH_BYTES = 16_384  # with padding
_STREAMS = 16  # written at once


@dataclass(frozen=True)
class Question:
    """A question with its right answers; ``cluster`` is the entity it is about."""

    prompt: str
    answers: tuple[str, ...]
    cluster: str


@dataclass(frozen=True)
class Scores:
    """The results of one model on a list of questions; element i of each array is of question i."""

    bits: NDArray[np.float64]  # negative log2-likelihood of the right object and its line end
    sizes: NDArray[np.int64]  # their bytes
    correct: NDArray[np.bool_]  # whether the greedy answer is the right object or an alias
    clusters: tuple[str, ...]

    @property
    def capped(self) -> NDArray[np.float64]:
        """``bits``, but not more than 8 for each byte, the cost of a guess without any knowledge.

        A single answer that is wrong with great confidence must not outweigh all others.
        """
        capped: NDArray[np.float64] = np.minimum(self.bits, 8.0 * self.sizes)
        return capped

    @property
    def bits_per_byte(self) -> float:
        return float(self.capped.sum() / max(1, self.sizes.sum()))

    @property
    def exact_match(self) -> float:
        """The share of questions that are answered right; NaN for no questions."""
        return float(self.correct.mean()) if len(self.correct) else math.nan


def prompt_bytes(text: str) -> bytes:
    """A question as it stands in the text that is trained on: after a blank line."""
    return b"\n\n" + text.encode("utf-8") + b"\n"


@dataclass(frozen=True)
class _Row:
    """One answer to one question, as bytes."""

    owner: int  # number of the question
    prompt: bytes
    target: bytes

    def __len__(self) -> int:
        return len(self.prompt) + len(self.target)


def score(
    model: Transformer, questions: list[Question], dtype: torch.dtype = torch.float32
) -> Scores:
    """Cost and exact match of the answers to each question.

    The model is left in the mode, training or not, in which it was.
    """
    rows = list(_rows(questions, model.config.context_length))
    costs, matches = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    for batch in _batches(rows):
        chosen = [rows[number] for number in batch]
        costs[batch], matches[batch] = _score_rows(model, chosen, dtype)
    count = len(questions)
    bits, sizes, correct = np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros(count, bool)
    # In reverse, so that the numbers of the first answer, which is the object itself, remain.
    for row, cost, match in zip(reversed(rows), reversed(costs), reversed(matches)):
        bits[row.owner], sizes[row.owner] = cost, len(row.target)
        correct[row.owner] |= match
    return Scores(bits, sizes, correct, tuple(question.cluster for question in questions))


def _rows(questions: list[Question], context: int) -> Iterator[_Row]:
    """All answers to all questions; a prompt that does not fit into the context is cut in front."""
    for owner, question in enumerate(questions):
        prompt = prompt_bytes(question.prompt)
        for answer in question.answers:
            target = answer.encode("utf-8") + b"\n"
            yield _Row(owner, prompt[-max(1, context + 1 - len(target)) :], target)


def _batches(rows: list[_Row]) -> Iterator[list[int]]:
    """Numbers of rows, the shortest first, in batches of about ``_BATCH_BYTES``."""
    batch: list[int] = []
    for number in sorted(range(len(rows)), key=lambda number: len(rows[number])):
        if batch and (len(batch) + 1) * len(rows[number]) > _BATCH_BYTES:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _score_rows(
    model: Transformer, rows: list[_Row], dtype: torch.dtype
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Bits (N,) of each target after its prompt, and whether greedy decoding would write it."""
    losses, choices = byte_losses_and_choices(
        model, [row.prompt + row.target for row in rows], dtype, model.memory
    )
    asked = torch.zeros_like(choices)
    for number, row in enumerate(rows):
        asked[number, len(row.prompt) - 1 : len(row) - 1] = True
    bits = (losses * asked).sum(dim=1) / math.log(2)
    return bits.cpu().numpy(), (choices | ~asked).all(dim=1).cpu().numpy()


def continue_prompts(
    model: Transformer, prompts: list[bytes], max_bytes: int, *, stop: str | None = "\n"
) -> list[bytes]:
    """What the model writes after each prompt, greedily, at most ``max_bytes``.

    A text ends before ``stop`` and at the end of a document. It may be invalid UTF-8, because
    validity is one of the things that are measured.
    """
    if not prompts:
        return []
    sampling = SamplingConfig(
        temperature=0.0, max_length=max_bytes, stop=() if stop is None else (stop,)
    )
    decoder = Decoder(model, min(_STREAMS, len(prompts)))
    written = generate_batch(decoder, prompts, [sampling] * len(prompts), grammar=ANY_BYTES)
    return [generated.text for generated in written]


def answer(model: Transformer, prompts: list[str]) -> list[bytes]:
    """The greedy answer to each question, without its line end."""
    context = model.config.context_length
    room = context - ANSWER_BYTES
    asked = [prompt_bytes(prompt)[-max(1, room) :] for prompt in prompts]
    return continue_prompts(model, asked, min(ANSWER_BYTES, context - 1))
