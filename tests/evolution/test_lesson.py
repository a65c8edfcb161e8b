import json
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from h2q.config import EvolutionConfig
from h2q.datasets.corpus import open_corpus
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.templates import HELD_OUT, Fact, questions
from h2q.evolution import lesson
from h2q.evolution.examiner import ask
from h2q.evolution.lesson import (
    Document,
    behind_the_wall,
    choose_passages,
    own_answers,
    own_text,
    write_about,
    write_lesson,
)
from h2q.evolution.planning import by_turns, choose_weakest, plan_cycle, share_out
from h2q.evolution.splits import CANARIES, Firewall, is_asked, seal
from h2q.system.paths import shipped_data

CONFIG = EvolutionConfig()


@pytest.fixture(scope="module")
def shipped():
    return load_knowledge_base(shipped_data() / "knowledge_base")


@pytest.fixture
def corpus(text_dir, tmp_path):
    return open_corpus(text_dir, tmp_path / "cache", context_length=64)


def some(shipped, count):
    return [shipped.fact(1 + 89 * index % shipped.fact_count) for index in range(count)]


def test_a_cycle_takes_on_what_its_budget_exposes_often_enough(shipped):
    small = plan_cycle(shipped, 0, 200_000, CONFIG, 1)
    large = plan_cycle(shipped, 0, 2_000_000, CONFIG, 1)
    assert large.new_facts == pytest.approx(10 * small.new_facts, rel=0.2)
    assert 0.8 * CONFIG.exposures <= large.exposures <= 1.2 * CONFIG.exposures
    facts = some(shipped, large.new_facts)
    documents = write_about(
        [(f, large.exposures) for f in facts], shipped, CONFIG, 1, random.Random(1)
    )
    size = sum(len(item.text.encode()) + 2 for item in documents)
    assert size == pytest.approx(2_000_000 * (1 - CONFIG.replay_fraction), rel=0.3)


def test_review_takes_its_share_and_never_everything(shipped):
    first = plan_cycle(shipped, 0, 10**6, CONFIG, 1)
    later = plan_cycle(shipped, 20, 10**6, CONFIG, 1)
    much = plan_cycle(shipped, 5000, 10**6, CONFIG, 1)
    assert first.review_documents == 0
    assert later.review_documents == pytest.approx(0.6 * 20 * later.exposures, rel=0.1)
    assert later.review_documents < much.review_documents
    assert first.new_facts > later.new_facts > much.new_facts > 0
    assert plan_cycle(shipped, shipped.fact_count, 10**6, CONFIG, 1).new_facts == 0


def test_unknown_and_costly_facts_come_first(shipped):
    facts = some(shipped, 60)
    bits = np.array([0.1] * 20 + [4.0] * 20 + [9.0] * 20)
    correct = np.array([False] * 40 + [True] * 20)
    chosen = [choose_weakest(facts, bits, correct, 20, random.Random(n)) for n in range(20)]
    counts = Counter(fact.id for facts in chosen for fact in facts)
    cheap, costly, known = (sum(counts[f.id] for f in facts[i : i + 20]) for i in (0, 20, 40))
    assert costly > 5 * cheap and known == 0
    shares = share_out(facts[:2], np.array([1.0, 3.0]), 100)
    assert [count for _, count in shares] == [38, 62]


def test_the_first_facts_are_of_different_relations():
    facts = [Fact(f"{n}", "s", relation, "o", (), "en") for n, relation in enumerate("aaabbc")]
    assert [fact.id for fact in by_turns(facts)] == ["0", "3", "5", "1", "4", "2"]


def test_documents_say_what_the_facts_say(shipped):
    facts = some(shipped, 40)
    documents = write_about([(fact, 14) for fact in facts], shipped, CONFIG, 5, random.Random(2))
    by_id = {fact.id: fact for fact in facts}
    told = Counter()
    for document in documents:
        for name in document.source.split():
            told[name] += 1
            fact = by_id[name]
            if document.kind == "question":
                assert fact.subject in document.text
                assert document.text.endswith("\n" + fact.object)
                assert is_asked(fact, CONFIG.unasked_share, 5)
            elif document.kind == "cloze":
                assert "____" in document.text.split("\n")[0]
                assert document.text.split("\n")[1] in (fact.object, fact.subject)
            else:
                assert fact.subject in document.text and fact.object in document.text
    assert set(told.values()) == {14}
    kinds = Counter(document.kind for document in documents)
    assert kinds["statement"] > kinds["question"] > kinds["cloze"] > 0
    again = write_about([(fact, 14) for fact in facts], shipped, CONFIG, 5, random.Random(2))
    assert again == documents


def test_held_out_wordings_are_never_written(shipped):
    """Whatever is generated about a fact, no question of dev, gate or vault is in it."""
    facts = some(shipped, 60)
    documents = write_about([(fact, 60) for fact in facts], shipped, CONFIG, 1, random.Random(1))
    lines = {line for document in documents for line in document.text.split("\n")}
    for split in HELD_OUT:
        assert not lines & {question.prompt for question in ask(facts, shipped.wordings, split)}


def test_a_fifth_of_the_entities_is_never_asked_about(shipped):
    facts = list(shipped.facts())
    share = np.mean([is_asked(fact, 0.2, 42) for fact in facts])
    assert share == pytest.approx(0.8, abs=0.03)
    by_subject = {}
    for fact in facts:
        asked = is_asked(fact, 0.2, 42)
        assert by_subject.setdefault((fact.lang, fact.subject), asked) == asked


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


def test_own_text_comes_round_before_it_comes_again(corpus, monkeypatch):
    """Turn after turn every byte of the text once, then anew in another order."""
    monkeypatch.setattr(lesson, "PIECE_BYTES", 700)
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


def test_splits_are_sealed_and_disjoint(corpus, shipped):
    sealed = seal(corpus.heldout, shipped, 64, 65_536, CONFIG, 42)
    assert sealed.digest == seal(corpus.heldout, shipped, 64, 65_536, CONFIG, 42).digest
    assert sealed.digest != seal(corpus.heldout, shipped, 64, 65_536, CONFIG, 43).digest
    texts = {name: stream.read(0, len(stream)) for name, stream in sealed.prose.items()}
    whole = corpus.heldout.read(0, len(corpus.heldout))
    windows = []
    for name, stream in sealed.prose.items():
        for start, count in stream.windows(64, 10**9):
            piece = stream.read(start, count + 1)
            assert piece in whole
            windows.append((piece, name))
    assert len(texts["gate"]) > len(texts["dev"])
    owners = {}
    for piece, name in windows:
        assert owners.setdefault(piece, name) == name
    assert len(sealed.canaries) == CANARIES
    assert not any(shipped.knows_subject(fact.subject) for fact in sealed.canaries)


def test_the_wall_rejects_held_out_prose_and_questions(corpus, shipped):
    facts = some(shipped, 5)
    sealed = seal(corpus.heldout, shipped, 64, 65_536, CONFIG, 42)
    wall = Firewall(sealed.prose, facts, shipped.wordings)
    gate = sealed.prose["gate"]
    leaked = gate.read(0, 60).decode("utf-8", "ignore")
    asked = ask(facts[:1], shipped.wordings, "gate")[0].prompt
    trained = questions(shipped.wordings, facts[0], "train")[0]
    documents = [
        "Nothing of the kind.",
        f"before {leaked} after",
        f"{asked}\n{facts[0].object}",
        trained,
    ]
    kept, rejected = behind_the_wall(documents, wall)
    assert kept == [documents[0], documents[3]]
    assert rejected == {"prose": 1, "question": 1}


def test_the_lesson_is_shuffled_and_recorded(tmp_path, corpus):
    documents = [Document(f"about {n // 10}", "statement", str(n // 10)) for n in range(100)]
    replay = own_text(corpus.train, 5000, 1)
    write_lesson(documents, replay, tmp_path, 7, random.Random(3))
    records = [json.loads(x) for x in (tmp_path / "generated.jsonl").read_text().splitlines()]
    assert [record["text"] for record in records] == [item.text for item in documents]
    assert {record["cycle"] for record in records} == {7}
    texts, own = (
        (tmp_path / "text" / name).read_text(encoding="utf-8").strip().split("\n\n")
        for name in ("generated.txt", "replayed.txt")
    )
    assert sorted(texts) == sorted(item.text for item in documents)
    alike = sum(a == b for a, b in pairwise(texts))
    assert alike < 30, "restatements of one fact stand side by side"
    assert sorted(own) == sorted("\n\n".join(replay).split("\n\n"))
    assert own != "\n\n".join(replay).split("\n\n")


def test_a_lesson_of_which_nothing_is_left_is_still_a_file(tmp_path):
    write_lesson([], [], tmp_path, 1, random.Random(0))
    assert [path.name for path in (tmp_path / "text").iterdir()] == ["generated.txt"]
