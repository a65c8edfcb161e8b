"""What a model can do: facts it answers for, and how good what it writes is.

A fact is asked as ``question, line end`` and is known when the greedy answer is the right object, or
an alias, and then a line end. That needs no generation: the greedy answer is the right one exactly
when each of its bytes is the model's first choice after the right bytes before it, so one pass
gives both the answer's exact match and its cost. Held-out prose is ``evaluation``'s.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from h2q.model.decoder import Decoder
from h2q.model.tokenizer import END_OF_DOCUMENT, PAD
from h2q.model.transformer import Transformer
from h2q.system.device import computing_in

ANSWER_BYTES = 48  # most that are written in answer to a question
_BATCH_BYTES = 16_384
_STREAMS = 16


@dataclass(frozen=True)
class Question:
    """A question with its right answers; ``cluster`` is the entity it is about."""

    prompt: str
    answers: tuple[str, ...]
    cluster: str


@dataclass(frozen=True)
class Scores:
    """What one model makes of a list of questions, an element each."""

    bits: np.ndarray  # negative log2-likelihood of the right object and its line end
    sizes: np.ndarray  # bytes of the same
    correct: np.ndarray  # whether the greedy answer is the right object or an alias
    clusters: tuple[str, ...]

    @property
    def capped(self) -> np.ndarray:
        """``bits``, none above what a guess without any knowledge costs, 8 a byte: one answer that
        is wrong with great confidence must not outweigh all others."""
        return np.minimum(self.bits, 8.0 * self.sizes)

    @property
    def bits_per_byte(self) -> float:
        return float(self.capped.sum() / max(1, self.sizes.sum()))

    @property
    def exact_match(self) -> float:
        return float(self.correct.mean()) if len(self.correct) else math.nan


def prompt_bytes(text: str) -> bytes:
    """A question as it stands in the text that is trained on: behind a blank line."""
    return b"\n\n" + text.encode("utf-8") + b"\n"


@torch.inference_mode()
def score(
    model: Transformer, questions: list[Question], dtype: torch.dtype = torch.float32
) -> Scores:
    """Costs and exact match of each question's answers; the model is left in its mode."""
    context = model.config.context_length
    rows, owners = [], []
    for owner, question in enumerate(questions):
        prompt = prompt_bytes(question.prompt)
        for answer in question.answers:
            target = answer.encode("utf-8") + b"\n"
            room = max(1, context + 1 - len(target))
            rows.append((prompt[-room:], target))
            owners.append(owner)
    costs = np.zeros(len(rows))
    matches = np.zeros(len(rows), dtype=bool)
    was_training = model.training
    model.eval()
    order = sorted(range(len(rows)), key=lambda index: sum(map(len, rows[index])))
    for chosen in _batches(order, [sum(map(len, row)) for row in rows]):
        costs[chosen], matches[chosen] = _score_rows(model, [rows[i] for i in chosen], dtype)
    model.train(was_training)
    count = len(questions)
    bits, sizes, correct = np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros(count, bool)
    for row, owner in reversed(list(enumerate(owners))):  # the first answer is the object itself
        bits[owner], sizes[owner] = costs[row], len(rows[row][1])
        correct[owner] |= matches[row]
    return Scores(bits, sizes, correct, tuple(question.cluster for question in questions))


def _batches(order: list[int], lengths: list[int]):
    """Runs of ``order``, shortest rows first, of about ``_BATCH_BYTES`` with their padding."""
    batch = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > _BATCH_BYTES:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _score_rows(model, rows: list[tuple[bytes, bytes]], dtype) -> tuple[np.ndarray, np.ndarray]:
    """Bits of each target after its prompt, and whether it is what greedy decoding would write.

    Rows are padded on the right, where a causal model does not look.
    """
    device = next(model.parameters()).device
    length = max(len(prompt) + len(target) for prompt, target in rows)
    tokens = torch.full((len(rows), length), PAD, dtype=torch.long)
    asked = torch.zeros(len(rows), length - 1, dtype=torch.bool)
    for row, (prompt, target) in enumerate(rows):
        data = prompt + target
        tokens[row, : len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        asked[row, len(prompt) - 1 : len(data) - 1] = True
    tokens, asked = tokens.to(device), asked.to(device)
    with computing_in(dtype, device):
        logits = model(tokens[:, :-1]).float()
    wanted = tokens[:, 1:]
    costs = F.cross_entropy(logits.transpose(1, 2), wanted, reduction="none").double()
    logits[..., PAD] = -torch.inf  # which is never written
    chosen = (logits.argmax(dim=-1) == wanted) | ~asked
    bits = (costs * asked).sum(dim=1) / math.log(2)
    return bits.cpu().numpy(), chosen.all(dim=1).cpu().numpy()


def continue_prompts(
    model: Transformer,
    prompts: list[bytes],
    max_bytes: int,
    *,
    stop: int | None = ord("\n"),
) -> list[bytes]:
    """What the model writes after each prompt, greedily and many at a time: up to ``stop``, which
    is left out, the end of a document, or ``max_bytes``.

    Nothing keeps it within UTF-8: validity is one of the things that are measured. Prompts and
    what follows must fit into the context together.
    """
    results = [bytearray() for _ in prompts]
    decoder = Decoder(model, min(_STREAMS, max(1, len(prompts))))
    for first in range(0, len(prompts), _STREAMS):
        unread = dict(enumerate(prompts[first : first + _STREAMS]))  # by slot
        for slot in unread:
            decoder.keep(slot, 0)
        for _ in range(max_bytes):
            for slot, logits in zip(list(unread), decoder.read(list(unread.items()))):
                last = logits[-1]
                last[PAD] = -np.inf  # which is never written
                byte = int(last.argmax())
                if byte in (stop, END_OF_DOCUMENT):
                    del unread[slot]
                else:
                    results[first + slot].append(byte)
                    unread[slot] = bytes([byte])
            if not unread:
                break
    return [bytes(result) for result in results]


def answer(model: Transformer, prompts: list[str]) -> list[bytes]:
    """The greedy answer to each question, up to its line end."""
    context = model.config.context_length
    room = context - ANSWER_BYTES
    asked = [prompt_bytes(prompt)[-max(1, room) :] for prompt in prompts]
    return continue_prompts(model, asked, min(ANSWER_BYTES, context - 1))
