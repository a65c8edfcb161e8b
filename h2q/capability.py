"""What a model can do: facts it answers for, and how good what it writes is.

A fact is asked as ``question, line end`` and is known when the greedy answer is the right object, or
an alias, and then a line end. That needs no generation: the greedy answer is the right one exactly
when each of its bytes is the model's first choice after the right bytes before it, so one pass
gives both the answer's exact match and its cost. Held-out prose is ``evaluation``'s.
"""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from h2q.decoding import Decoder
from h2q.hardware import computing_in
from h2q.model import Transformer
from h2q.tokenizer import END_OF_DOCUMENT, PAD, decode

ANSWER_BYTES = 48  # most that are written in answer to a question
_BATCH_BYTES = 16_384
_STREAMS = 16
_GRAM = 4  # characters, of the measure of repetition


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


@dataclass(frozen=True)
class Quality:
    """How good answers are, apart from being right (README: 生成质量); a display, not a gate."""

    consistency: float  # share of pairs of wordings of one question that are answered alike
    relevance: float  # overlap with what is known of the subject, less that with other subjects
    repetition: float  # 1 - unique / total character 4-grams of the answers
    real_repetition: float  # the same of the right answers
    validity: float  # share that is UTF-8 and ends by itself


def quality(answers: list[list[bytes]], known: list[str], right: list[str]) -> Quality:
    """Of answers by question, a list of them by wording; ``known`` is a text on each question's
    subject and ``right`` the right answer."""
    texts = [[decode(item) for item in wordings] for wordings in answers]
    flat = [text for wordings in texts for text in wordings]
    pairs = [
        first == second
        for wordings in texts
        for index, first in enumerate(wordings)
        for second in wordings[index + 1 :]
    ]
    valid = [
        _is_utf8(item) and 0 < len(item) < ANSWER_BYTES for wordings in answers for item in wordings
    ]
    return Quality(
        consistency=_mean(pairs),
        relevance=relevance([wordings[0] for wordings in texts], known),
        repetition=repetition(flat),
        real_repetition=repetition([text for text, w in zip(right, texts) for _ in w]),
        validity=_mean(valid),
    )


def _mean(values: list) -> float:
    return sum(values) / len(values) if values else 0.0


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def repetition(texts: list[str]) -> float:
    """Mean over texts of 1 - unique / total character 4-grams; 0 for texts too short to repeat."""
    shares = []
    for text in texts:
        grams = [text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)]
        if grams:
            shares.append(1 - len(set(grams)) / len(grams))
    return _mean(shares)


def relevance(texts: list[str], sources: list[str]) -> float:
    """Weighted share of each text's trigrams that its source has, less the mean share that the
    other sources have; a trigram weighs as much as it is rare among the sources (idf)."""
    grams_of = [_trigrams(source) for source in sources]
    seen = Counter(gram for grams in grams_of for gram in grams)
    count = len(sources)

    def overlap(grams: set[str], source: set[str]) -> float:
        weights = {gram: math.log((1 + count) / (1 + seen[gram])) + 1 for gram in grams}
        total = math.fsum(weights.values())  # exact: a set has another order in every process
        return math.fsum(weights[gram] for gram in grams & source) / total if total else 0.0

    gains = []
    for index, text in enumerate(texts):
        grams = _trigrams(text)
        others = [overlap(grams, grams_of[i]) for i in range(count) if i != index]
        gains.append(overlap(grams, grams_of[index]) - _mean(others))
    return _mean(gains)


def _trigrams(text: str) -> set[str]:
    padded = f" {text} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
