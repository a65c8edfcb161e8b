"""A part of phase 2 of a cycle: the lesson, which is the text of one round of training.

Facts become answerable when they are restated in many wordings, mixed with questions (arXiv
2309.14316). So a lesson restates the facts of the plan, adds the model's own answers and passages,
leaves out what is held out, and replays some of the person's own text. Does not decide which facts
are taught (``planning`` does) nor how often (``rounds`` does), and does not train.
"""

import json
import random
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from h2q.checkpoint.model_file import load_model
from h2q.datasets.templates import TRAIN, Fact, fill, questions
from h2q.evaluation.exact_match import Question, answer, score
from h2q.evolution.context import Cycle
from h2q.evolution.documents import (
    SEPARATOR,
    Document,
    choose_passages,
    own_answers,
    own_text,
    size_of,
    write_about,
)
from h2q.evolution.examiner import bits_per_byte_each
from h2q.evolution.records import Lesson, Plan
from h2q.evolution.splits import Decontamination
from h2q.model.transformer import Transformer
from h2q.system.files import write_bytes
from h2q.system.messages.catalogue import message
from h2q.system.paths import CyclePaths

# In the order of names, which is the one in which they are trained on as one text.
ASKED_TEXT = "asked.txt"  # questions with answers, and clozes
GENERATED_TEXT = "generated.txt"
REPLAYED_TEXT = "replayed.txt"
_ASKED_KINDS = ("question", "cloze", "own")
_POOL_PASSAGES = 400  # at least, from which passages are chosen
_PASSAGE_BYTES = 400  # a usual size
_PASSAGE_HEAD = 256  # bytes of a passage that are measured
_KINDS = {
    "statement": "kind.statement",
    "question": "kind.question",
    "cloze": "kind.cloze",
    "passage": "kind.passage",
    "own": "kind.own",
}


def write(cycle: Cycle, plan: Plan, counts: dict[str, int]) -> Lesson:
    """Writes the text of a round to train on, with so many documents about each fact as ``counts``
    says by its id; returns what the text holds, and how much."""
    setup, knowledge = cycle.setup, cycle.setup.knowledge
    generator = random.Random(f"{setup.seed} {cycle.round_name} lesson")
    share = cycle.config.replay_fraction if knowledge is not None else 0.0
    budget = cycle.size_bytes * (1 - share)
    documents, facts = _about_facts(cycle, plan, counts, budget, generator)
    room = budget - size_of(documents)
    turn = (cycle.number - 1) * plan.rounds + cycle.round - 1
    if plan.teaches_prose and room > 0:
        documents += _passages(cycle, turn, room, generator)
    held_out = Decontamination(
        setup.splits.prose,
        [*facts, *setup.splits.canaries],
        knowledge.wordings if knowledge else {},
    )
    # The replayed text is not filtered: it is not generated, and the champion was trained on it.
    documents, rejected = decontaminate(documents, held_out)
    replayed = size_of(documents) * share / (1 - share)
    if cycle.round > 1:  # what the facts need no more goes to the person's text
        replayed = max(replayed, cycle.size_bytes - size_of(documents))
    texts = own_text(setup.corpus.text, replayed, setup.seed, turn)
    write_lesson(documents, texts, cycle.round_paths, cycle.number, generator)
    lesson = Lesson(
        documents=len(documents),
        kinds=dict(Counter(document.kind for document in documents)),
        bytes=size_of(documents),
        replay_bytes=sum(len(text.encode()) for text in texts),
        rejected=dict(rejected),
    )
    _say_generated(cycle, lesson)
    return lesson


def _say_generated(cycle: Cycle, lesson: Lesson) -> None:
    kinds = Counter(lesson.kinds).most_common()
    cycle.setup.console.say(
        "evolve.generated",
        documents=lesson.documents,
        size=lesson.bytes,
        kinds=" · ".join(f"{message(_KINDS[kind])} {count:,}" for kind, count in kinds),
        replay=lesson.replay_bytes,
        excluded=sum(lesson.rejected.values()),
    )


def _about_facts(
    cycle: Cycle,
    plan: Plan,
    counts: dict[str, int],
    size_bytes: float,
    generator: random.Random,
) -> tuple[list[Document], list[Fact]]:
    """Documents about the facts that are taught and reviewed, and these facts."""
    knowledge = cycle.setup.knowledge
    if knowledge is None or not counts:
        return [], []
    facts = knowledge.facts_by_id(counts)
    exposures = [(fact, counts[fact.id]) for fact in facts]
    documents = write_about(exposures, knowledge, cycle.may_ask, generator)
    new = set(plan.facts)
    asked = [
        (fill(generator.choice(questions(knowledge.wordings, fact, TRAIN)), fact), fact)
        for fact in facts
        if fact.id not in new and cycle.may_ask(fact)
    ]
    answers = answer(cycle.champion, [question for question, _ in asked])
    return documents + own_answers(asked, answers, size_bytes), facts


def _passages(
    cycle: Cycle, turn: int, size_bytes: float, generator: random.Random
) -> list[Document]:
    """Passages of the knowledge base, chosen by how much cheaper they became since the champion
    before. Without a knowledge base: the ``turn``-th part of the training text, because choosing there
    costs more than it brings."""
    setup = cycle.setup
    if setup.knowledge is None:
        texts = own_text(setup.corpus.text, size_bytes, setup.seed, turn)
        return [Document(text, "passage", "training text") for text in texts]
    count = setup.knowledge.passage_count
    wanted = min(count, max(_POOL_PASSAGES, int(4 * size_bytes / _PASSAGE_BYTES)))
    numbers = generator.sample(range(1, count + 1), wanted)
    pool = [setup.knowledge.passage(number) for number in numbers]
    gains = None
    if setup.paths.ancestor.exists():
        ancestor = load_model(setup.paths.ancestor)[0].to(setup.device)
        gains = _passage_cost(cycle, ancestor, pool) - _passage_cost(cycle, cycle.champion, pool)
    return choose_passages(pool, gains, size_bytes, generator)


def _passage_cost(
    cycle: Cycle, model: Transformer, passages: list[tuple[str, str]]
) -> NDArray[np.float64]:
    """Bits per byte of the beginning of each passage."""
    size = min(_PASSAGE_HEAD, model.config.context_length - 1)
    heads = [text.encode()[:size].decode("utf-8", "ignore") for text, _ in passages]
    scores = score(model, [Question("", (head,), "") for head in heads], cycle.setup.dtype)
    return bits_per_byte_each(scores)


def decontaminate(
    documents: list[Document], held_out: Decontamination
) -> tuple[list[Document], Counter[str]]:
    """The documents that may be trained on, and how many were rejected for which reason."""
    kept = []
    rejected: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for document in documents:
        text = document.text
        if text not in reasons:
            reasons[text] = held_out.rejects(text)
        if reasons[text]:
            rejected[reasons[text]] += 1
        else:
            kept.append(document)
    return kept, rejected


def write_lesson(
    documents: list[Document],
    replay: list[str],
    paths: CyclePaths,
    cycle: int,
    generator: random.Random,
) -> None:
    """Writes the generated text, questions apart, and the person's replayed text, each in a file of
    its own. All are shuffled: restatements of one fact must not stand side by side. A record keeps
    the cycle, kind and source of each document."""
    asked, told = list[str](), list[str]()
    for document in documents:
        (asked if document.kind in _ASKED_KINDS else told).append(document.text)
    generator.shuffle(asked)
    generator.shuffle(told)
    replay = generator.sample(replay, len(replay))
    records = "".join(
        json.dumps({"cycle": cycle, **vars(document)}, ensure_ascii=False) + "\n"
        for document in documents
    )
    write_bytes(paths.generated_record, records.encode("utf-8"))
    parts = {ASKED_TEXT: asked, GENERATED_TEXT: told, REPLAYED_TEXT: replay}
    if not any(parts.values()):
        parts[GENERATED_TEXT] = [""]  # even an empty lesson has a file
    for name, pieces in parts.items():
        if not pieces:
            continue
        text = SEPARATOR.join(pieces) + "\n"
        write_bytes(paths.text / name, text.encode("utf-8"))
