import random
from collections import Counter

import numpy as np
import pytest

from h2q.config import EvolutionConfig
from h2q.datasets.corpus import open_corpus
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.templates import HELD_OUT, TRAIN, fill, questions
from h2q.evolution import documents
from h2q.evolution.documents import (
    SEPARATOR,
    Document,
    choose_passages,
    own_answers,
    own_text,
    size_of,
    write_about,
)
from h2q.evolution.examiner import ask
from h2q.evolution.splits import Decontamination, is_asked
from tests.evolution.conftest import some

CONFIG = EvolutionConfig(unasked_share=0.2)


def may_ask(fact):
    return is_asked(fact, CONFIG.unasked_share, 5)


@pytest.fixture
def corpus(text_dir, tmp_path):
    return open_corpus(text_dir, tmp_path / "cache", context_length=64)


def test_the_size_is_that_of_the_text_they_make():
    made = [Document("中文", "passage", "a.txt"), Document("two", "own", "f1")]
    assert size_of(made) == len("".join(item.text + SEPARATOR for item in made).encode())


def test_documents_say_what_the_facts_say(shipped):
    facts = some(shipped, 40)
    documents = write_about([(fact, 14) for fact in facts], shipped, may_ask, random.Random(2))
    by_id = {fact.id: fact for fact in facts}
    told = Counter()
    for document in documents:
        for name in document.source.split():
            told[name] += 1
            fact = by_id[name]
            if document.kind == "question":
                told["named"] += fact.subject.casefold() in document.text.casefold()
                assert document.text.endswith("\n" + fact.object)
                assert is_asked(fact, CONFIG.unasked_share, 5)
            elif document.kind == "cloze":
                assert "____" in document.text.split("\n")[0]
                assert document.text.split("\n")[1] in (fact.object, fact.subject)
            else:
                assert fact.subject in document.text and fact.object in document.text
    kinds = Counter(document.kind for document in documents)
    assert told.pop("named") > 0.9 * kinds["question"]  # all but the mistyped names
    assert set(told.values()) == {14}
    assert kinds["statement"] > kinds["question"] > kinds["cloze"] > 0
    again = write_about([(fact, 14) for fact in facts], shipped, may_ask, random.Random(2))
    assert again == documents


def test_questions_are_asked_as_people_type_them(shipped):
    facts = [fact for fact in some(shipped, 40) if is_asked(fact, CONFIG.unasked_share, 5)]
    documents = write_about([(fact, 56) for fact in facts], shipped, may_ask, random.Random(2))
    asked = [item.text.split("\n")[0] for item in documents if item.kind == "question"]
    ended = sum(text.endswith(("?", "？")) for text in asked)
    assert 0.5 < ended / len(asked) < 0.9
    assert any(text.islower() for text in asked)


def test_some_questions_name_the_relation_among_any_words(shipped):
    """But not where nobody would say its name: an English one in Chinese."""
    facts = [fact for fact in some(shipped, 80) if is_asked(fact, CONFIG.unasked_share, 5)]
    documents = write_about([(fact, 56) for fact in facts], shipped, may_ask, random.Random(2))
    by_id = {fact.id: fact for fact in facts}
    among = Counter()
    for document in documents:
        if document.kind == "question":
            fact = by_id[document.source]
            text = document.text.casefold()
            named = all(part in text for part in (fact.subject.casefold(), fact.relation[:5]))
            templates = questions(shipped.wordings, fact, TRAIN)
            usual = any(fill(template, fact).casefold()[:-1] in text for template in templates)
            among[fact.lang] += named and not usual
    assert among["en"] > 50 and not among["zh"]


def test_held_out_wordings_are_never_written(shipped):
    """No document about a fact contains a question of dev, gate or vault."""
    facts = some(shipped, 60)
    documents = write_about([(fact, 60) for fact in facts], shipped, may_ask, random.Random(1))
    lines = {line for document in documents for line in document.text.split("\n")}
    for split in HELD_OUT:
        assert not lines & {question.prompt for question in ask(facts, shipped.wordings, split)}


def test_own_answers_are_kept_only_where_the_knowledge_base_supports_them(shipped):
    [fact] = shipped.facts_by_id([shipped.fact(1).id])
    asked = [("Q1", fact), ("Q2", fact), ("Q3", fact)]
    answers = [fact.object.encode(), b"\xff nonsense 1999", b"Paris"]
    [kept] = own_answers(asked, answers, 10_000)
    assert kept == Document(f"Q1\n{fact.object}", "own", fact.id)
    assert own_answers(asked, answers, 10) == []


def test_passages_that_became_cheaper_are_preferred():
    passages = [(f"passage {n}", "f.txt") for n in range(100)]
    gains = np.array([1.0] * 50 + [-1.0] * 50)
    chosen = choose_passages(passages, gains, 500, random.Random(1))
    numbers = [int(item.text.split()[1]) for item in chosen]
    assert len(set(numbers)) == len(numbers) > 30
    assert sum(number < 50 for number in numbers) > 0.9 * len(numbers)


def test_without_gains_passages_are_drawn_evenly_and_none_twice():
    passages = [(f"passage {n}", "f.txt") for n in range(40)]
    chosen = choose_passages(passages, None, 10_000, random.Random(1))
    assert sorted(item.text for item in chosen) == sorted(text for text, _ in passages)


def test_own_text_comes_round_before_it_comes_again(corpus, monkeypatch):
    """Over several turns every byte of the text comes once; then all come again in another order."""
    monkeypatch.setattr(documents, "PIECE_BYTES", 700)
    size = len(corpus.train)
    count = -(-size // 700)
    passes = [own_text(corpus.train, 1400, 3, turn) for turn in range(count)]  # two passes
    pieces = [piece for part in passes for piece in part]
    first, second = pieces[:count], pieces[count : 2 * count]
    for found in (first, second):
        assert len(set(found)) == count
        total = sum(len(piece.encode()) for piece in found)
        assert total == pytest.approx(size, rel=0.02)  # what is stripped, and cut characters
    assert set(first) != set(second)
    assert passes[1] == own_text(corpus.train, 1400, 3, 1)


def test_about_a_persons_question_there_is_the_question_alone(tmp_path):
    """In the person's words and in others, but never in those that are held out."""
    text = "Q: Who is Lena?\nA: the dentist\n\n问：谁是木匠？\n答：张三\n"
    (tmp_path / "notes.md").write_text(text, encoding="utf-8")
    knowledge = load_knowledge_base(tmp_path)
    facts = list(knowledge.facts())
    made = write_about([(fact, 80) for fact in facts], knowledge, may_ask, random.Random(2))
    assert Counter((item.kind, item.source) for item in made) == {
        ("question", fact.id): 80 for fact in facts
    }
    lines = {item.text for item in made}
    assert {"Who is Lena?\nthe dentist", "who is lena\nthe dentist", "谁是木匠？\n张三"} <= lines
    assert all(text.endswith(("\nthe dentist", "\n张三")) for text in lines)
    asked = {text.partition("\n")[0] for text in lines}
    for split in HELD_OUT:
        assert not asked & {question.prompt for question in ask(facts, knowledge.wordings, split)}
        prose = Decontamination({}, facts, knowledge.wordings)
        assert not any(map(prose.rejects, lines))
