"""What a cycle teaches: which facts and passages, how many, in which words, and from where.

Facts become answerable when they are restated in many wordings, mixed with questions (arXiv
2309.14316), and only with enough exposures (arXiv 2404.05405): a cycle takes on as many facts as
its text exposes often enough, and reviews some of those learnt before. Does not train or measure;
what the model knows comes in as numbers.
"""

import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from h2q.config import EvolutionConfig
from h2q.datasets.corpus import ByteStream
from h2q.datasets.knowledge_base import KnowledgeBase
from h2q.datasets.templates import BLANK, TRAIN, Fact, fill, questions, statements
from h2q.evolution.splits import Firewall, is_asked
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.system.files import write_bytes

GENERATED_TEXT = "generated.txt"
REPLAYED_TEXT = "replayed.txt"  # behind it in the order of names
GENERATED_RECORD = "generated.jsonl"
PIECE_BYTES = 2048  # of the person's own text, replayed or taught
SEPARATOR = "\n\n"
_QUESTIONS, _CLOZES = 2 / 7, 1 / 7  # of the documents about a fact; the rest are statements
_SENTENCES = 4  # most in one document
_OWN_SHARE = 0.05  # most of the text that the model's own answers may be


@dataclass(frozen=True)
class Document:
    """A text to train on and where it comes from."""

    text: str
    kind: str  # statement, question, cloze, passage or own
    source: str  # ids of the facts, or name of the file


def write_about(
    exposures: list[tuple[Fact, int]],
    knowledge: KnowledgeBase,
    config: EvolutionConfig,
    seed: int,
    generator: random.Random,
) -> list[Document]:
    """So many statements, questions with answers and clozes about each fact, in random wordings.

    Statements about one subject stand together in random order. Whoever is never asked about gets
    statements in place of questions.
    """
    documents = []
    sentences: dict[tuple, list[list[tuple[str, str]]]] = defaultdict(list)
    for fact, count in exposures:
        asked = is_asked(fact, config.unasked_share, seed)
        clozes = round(count * _CLOZES)
        asks = round(count * _QUESTIONS) if asked else 0
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
    return Document(f"{fill(template, fact)}\n{fact.object}", "question", fact.id)


def _cloze(fact: Fact, knowledge: KnowledgeBase, generator: random.Random) -> Document:
    """A statement with a blank and what belongs there: the object, or the subject where the
    object leads back to it alone."""
    template = generator.choice(statements(knowledge.wordings, fact))
    backwards = generator.random() < 1 / 3 and knowledge.is_unique_object(fact)
    blank = "subject" if backwards else "object"
    text = fill(template, fact, blank=blank)
    assert BLANK in text
    return Document(f"{text}\n{getattr(fact, blank)}", "cloze", fact.id)


def own_answers(
    asked: list[tuple[str, Fact]], answers: list[bytes], size_bytes: float
) -> list[Document]:
    """The model's own answers to questions, kept only where the knowledge base supports every
    name and number in them: where they are the object or an alias. At most a twentieth of
    ``size_bytes``."""
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
    passages: list[tuple[str, str]], gains: np.ndarray | None, size_bytes: float, generator
) -> list[Document]:
    """Passages, about ``size_bytes`` of them, none twice, in proportion to ``gains``: how many
    bits a byte each became cheaper since the champion before. Without gains, evenly."""
    weights = np.ones(len(passages)) if gains is None else np.maximum(gains, 0) + 1e-3
    keys = [np.log(max(generator.random(), 1e-300)) / weight for weight in weights]
    documents, used = [], 0
    for index in sorted(range(len(passages)), key=lambda i: -keys[i]):
        if used >= size_bytes:
            break
        text, name = passages[index]
        documents.append(Document(text, "passage", name))
        used += len(text.encode()) + len(SEPARATOR)
    return documents


def own_text(train: ByteStream, size_bytes: float, seed: int, turn: int = 0) -> list[str]:
    """The ``turn``-th part of about ``size_bytes`` of the training text, from 0: pieces in random
    order, none twice before all of them had their turn; whole characters."""
    length = min(PIECE_BYTES, len(train))
    in_a_pass = -(-len(train) // length)
    count = -(-int(size_bytes) // length)
    pieces, order, known = [], None, None
    for number in range(turn * count, (turn + 1) * count):
        passes, place = divmod(number, in_a_pass)
        if passes != known:
            generator, known = np.random.default_rng([seed, passes]), passes
            shift, order = generator.integers(length), generator.permutation(in_a_pass)
        start = int(order[place]) * length
        data = train.read(int(shift) + start, min(length, len(train) - start))
        data = data.replace(bytes([END_OF_DOCUMENT]), b"\n")
        pieces.append(data.decode("utf-8", "ignore").strip())
    return [piece for piece in pieces if piece]


def behind_the_wall(documents: list, firewall: Firewall) -> tuple[list, Counter]:
    """The documents (or texts) that may be trained on, and how many were rejected for what."""
    kept, rejected = [], Counter()
    verdicts: dict[str, str] = {}
    for document in documents:
        text = document if isinstance(document, str) else document.text
        if text not in verdicts:
            verdicts[text] = firewall.rejects(text)
        if verdicts[text]:
            rejected[verdicts[text]] += 1
        else:
            kept.append(document)
    return kept, rejected


def write_lesson(
    documents: list[Document],
    replay: list[str],
    directory: Path,
    cycle: int,
    generator: random.Random,
) -> None:
    """Writes the text to train on, the person's own apart, both shuffled: restatements of one fact
    must not stand side by side. ``generated.jsonl`` records each document's cycle, kind and
    source."""
    texts = [document.text for document in documents]
    generator.shuffle(texts)
    replay = generator.sample(replay, len(replay))
    records = "".join(
        json.dumps({"cycle": cycle, **vars(document)}, ensure_ascii=False) + "\n"
        for document in documents
    )
    directory = Path(directory)
    write_bytes(directory / GENERATED_RECORD, records.encode("utf-8"))
    parts = {GENERATED_TEXT: texts} | ({REPLAYED_TEXT: replay} if replay else {})
    for name, pieces in parts.items():
        text = SEPARATOR.join(pieces) + "\n"
        write_bytes(directory / "text" / name, text.encode("utf-8"))
