"""The documents that lessons are made of: restated facts, own answers, passages, the person's text.

Knows no models: what a model knows or answers comes in as numbers and text. ``lesson`` puts the
documents together and writes them.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from h2q.datasets.corpus import ByteStream
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.rewording import any_words, reworded
from h2q.datasets.templates import BLANK, TRAIN, Fact, fill, name_of, questions, statements
from h2q.model.tokenizer import END_OF_DOCUMENT

PIECE_BYTES = 2048  # of the person's own text, replayed or taught
SEPARATOR = "\n\n"
_QUESTIONS, _CLOZES = 0.6, 0.1  # of the documents about a fact; the rest are statements
_ANY_WORDS = 0.25  # of the questions, where the relation has a name that people say
_SENTENCES = 4  # most in one document
_OWN_SHARE = 0.05  # of the text: at most so much are the model's own answers


@dataclass(frozen=True)
class Document:
    """A text to train on and where it comes from."""

    text: str
    kind: str  # statement, question, cloze, passage or own
    source: str  # ids of the facts, or name of the file


def size_of(documents: list[Document]) -> int:
    """Bytes of the documents together with what separates them."""
    return sum(len(item.text.encode()) + len(SEPARATOR) for item in documents)


def write_about(
    exposures: list[tuple[Fact, int]],
    knowledge: KnowledgeBase,
    may_ask: Callable[[Fact], bool],
    generator: random.Random,
) -> list[Document]:
    """For each fact as many documents as ``exposures`` says: statements, questions with answers,
    and clozes, in random wordings. Questions stand as they are written or as people type them.

    Statements about one subject stand together, in random order. A fact that may not be asked about
    (``may_ask``) gets statements in place of questions. About a question that a person wrote there
    is only the question itself, in the person's words and in others.
    """
    documents: list[Document] = []
    sentences: dict[tuple[str, str], list[list[tuple[str, str]]]] = defaultdict(list)
    for fact, count in exposures:
        if fact.is_question:
            documents += [_ask(fact, knowledge, generator) for _ in range(count)]
            continue
        clozes = round(count * _CLOZES)
        asks = round(count * _QUESTIONS) if may_ask(fact) else 0
        documents += [_ask(fact, knowledge, generator) for _ in range(asks)]
        documents += [_cloze(fact, knowledge, generator) for _ in range(clozes)]
        sentences[fact.lang, fact.subject].append(
            [(_state(fact, knowledge, generator), fact.id) for _ in range(count - asks - clozes)]
        )
    for (lang, _), by_fact in sentences.items():
        for turn in range(max(map(len, by_fact))):
            told = [lines[turn] for lines in by_fact if turn < len(lines)]
            generator.shuffle(told)
            for first in range(0, len(told), _SENTENCES):
                texts, ids = zip(*told[first : first + _SENTENCES])
                text = ("" if lang == "zh" else " ").join(texts)
                documents.append(Document(text, "statement", " ".join(ids)))
    return documents


def _state(fact: Fact, knowledge: KnowledgeBase, generator: random.Random) -> str:
    return fill(generator.choice(statements(knowledge.wordings, fact)), fact)


def _ask(fact: Fact, knowledge: KnowledgeBase, generator: random.Random) -> Document:
    template = generator.choice(questions(knowledge.wordings, fact, TRAIN))
    name = name_of(knowledge.wordings, fact)
    if name and generator.random() < _ANY_WORDS:
        template = any_words(fact.lang, generator).replace("{relation}", name)
    question = reworded(fill(template, fact), fact.lang, generator)
    return Document(f"{question}\n{fact.object}", "question", fact.id)


def _cloze(fact: Fact, knowledge: KnowledgeBase, generator: random.Random) -> Document:
    """A statement with a blank, and what belongs there: the object or, one time in three, the
    subject, if no other subject has this object."""
    template = generator.choice(statements(knowledge.wordings, fact))
    backwards = generator.random() < 1 / 3 and knowledge.is_unique_object(fact)
    blank = "subject" if backwards else "object"
    text = fill(template, fact, blank=blank)
    assert BLANK in text
    return Document(f"{text}\n{getattr(fact, blank)}", "cloze", fact.id)


def own_answers(
    asked: list[tuple[str, Fact]], answers: list[bytes], size_bytes: float
) -> list[Document]:
    """The model's own answers to questions, as far as the knowledge base supports them: an answer
    must be the object or an alias. At most a twentieth of ``size_bytes``."""
    documents, used = [], 0
    for (question, fact), answer in zip(asked, answers):
        text = answer.decode("utf-8", "replace")
        if text not in fact.answers:
            continue
        used += len(question.encode()) + len(answer) + len(SEPARATOR)
        if used > _OWN_SHARE * size_bytes:
            break
        documents.append(Document(f"{question}\n{text}", "own", fact.id))
    return documents


def choose_passages(
    passages: list[tuple[str, str]],
    gains: NDArray[np.float64] | None,
    size_bytes: float,
    generator: random.Random,
) -> list[Document]:
    """About ``size_bytes`` of the passages (text, file name), none twice, drawn in proportion to
    ``gains``: by how many bits per byte each became cheaper since the champion before. Without
    gains all are equally likely."""
    weights = np.ones(len(passages)) if gains is None else np.maximum(gains, 0) + 1e-3
    keys = [np.log(max(generator.random(), 1e-300)) / weight for weight in weights]
    documents, used = [], 0
    for index in sorted(range(len(passages)), key=lambda i: -keys[i]):
        if used >= size_bytes:
            break
        text, name = passages[index]
        documents.append(Document(text, "passage", name))
        used += size_of(documents[-1:])
    return documents


def own_text(train: ByteStream, size_bytes: float, seed: int, turn: int = 0) -> list[str]:
    """The ``turn``-th part (from 0) of the training text, about ``size_bytes``: pieces of whole
    characters, in random order. No piece is used again before all have been used."""
    length = min(PIECE_BYTES, len(train))
    in_a_pass = -(-len(train) // length)
    count = -(-int(size_bytes) // length)
    pieces: list[str] = []
    shift, order, drawn = 0, np.arange(0), -1
    for number in range(turn * count, (turn + 1) * count):
        passes, place = divmod(number, in_a_pass)
        if passes != drawn:  # each pass over the text has an order of its own
            generator, drawn = np.random.default_rng([seed, passes]), passes
            shift, order = int(generator.integers(length)), generator.permutation(in_a_pass)
        start = int(order[place]) * length
        data = train.read(shift + start, min(length, len(train) - start))
        data = data.replace(bytes([END_OF_DOCUMENT]), b"\n")
        pieces.append(data.decode("utf-8", "ignore").strip())
    return [piece for piece in pieces if piece]
