import json
import random
from collections import Counter

import numpy as np
import pytest

from h2q.config import EvolutionConfig
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.templates import Fact
from h2q.evolution.documents import write_about
from h2q.evolution.planning import (
    by_turns,
    choose_pool,
    choose_weakest,
    plan,
    plan_cycle,
    share_out,
)
from h2q.evolution.records import Memory
from h2q.system.console import Console
from h2q.system.files import sha256_of_file
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, some

CONFIG = EvolutionConfig()


def test_a_plan_names_facts_that_are_there_and_says_how_they_were_chosen(output):
    engine = driver.engine(output)
    facts = {fact.id for fact in engine.setup.knowledge.facts()}
    known = dict.fromkeys(sorted(facts)[:5], True)
    made = plan(cycle_of(engine, memory=Memory(known=known)))
    assert made.champion == sha256_of_file(engine.paths.model)
    assert made.primary == "facts" and not made.teaches_prose
    assert set(made.facts) < facts - set(known)
    assert [name for name, _ in made.review] == list(known)
    assert 0 <= made.known_on_dev <= made.asked_on_dev == len(facts) - len(known)
    assert made.chance == pytest.approx(0.25)
    assert len(made.examples) == 3
    assert made == plan(cycle_of(engine, memory=Memory(known=known)))


def test_questions_with_answers_are_planned_and_named(output, capsys):
    lines = [f"Q: What is number {n}?\nA: item {n}\n\n" for n in range(12)]
    (output / "kb").mkdir(exist_ok=True)
    for path in (output / "kb").iterdir():
        path.unlink()
    (output / "kb" / "notes.md").write_text("".join(lines), encoding="utf-8")
    engine = driver.engine(output, console=Console())
    made = plan(cycle_of(engine))
    assert len(made.facts) >= 6 and made.chance == pytest.approx(1 / 12)
    assert "问答 12" in capsys.readouterr().out
    assert all("number" in example["question"] for example in made.examples)


def test_without_a_knowledge_base_prose_is_planned(output):
    made = plan(cycle_of(driver.engine(output, prose=True)))
    assert made.primary == "prose" and made.teaches_prose
    assert (made.facts, made.review, made.examples) == ([], [], None)


def test_facts_that_are_too_few_to_prove_anything_are_not_taken_on(output, capsys):
    engine = driver.engine(output)
    known = {fact.id: True for fact in list(engine.setup.knowledge.facts())[3:]}
    made = plan(cycle_of(engine, memory=Memory(known=known)))
    assert made.facts == [] and made.primary == "prose"
    assert len(made.review) == len(known)


def test_too_little_text_to_prove_anything_is_said(output, training_only, capsys):
    driver.engine(output, cycles=1, cycle_bytes=4096).evolve()
    assert "--max_minutes" in capsys.readouterr().err


def test_facts_of_one_relation_are_enough(tmp_path):
    """Only the budget limits the number of facts, even if they have few relations."""
    facts = [
        {"id": f"f{n}", "subject": f"S{n}", "relation": "town", "object": "Arlen", "lang": "en"}
        for n in range(300)
    ]
    (tmp_path / "f.jsonl").write_text("\n".join(map(json.dumps, facts)))
    knowledge = load_knowledge_base(tmp_path, context_length=512)
    pool = choose_pool(knowledge, {"f7"}, 200, random.Random(1))
    assert 200 <= len({fact.id for fact in pool} - {"f7"}) == len(pool)


def test_a_pool_is_of_few_relations(shipped):
    pool = choose_pool(shipped, set(), 32, random.Random(1))
    assert len({fact.id for fact in pool}) == len(pool) == 128
    assert len({(fact.relation, fact.lang) for fact in pool}) <= 4


def test_no_pool_where_no_fact_is_wanted(shipped):
    assert choose_pool(shipped, set(), 0, random.Random(1)) == []


def test_a_cycle_takes_on_what_its_budget_exposes_often_enough(shipped):
    small = plan_cycle(shipped, 0, 200_000, CONFIG, 1)
    large = plan_cycle(shipped, 0, 2_000_000, CONFIG, 1)
    assert large.new_facts == pytest.approx(10 * small.new_facts, rel=0.2)
    assert 0.8 * CONFIG.exposures <= large.exposures <= 1.2 * CONFIG.exposures
    facts = some(shipped, large.new_facts)
    documents = write_about(
        [(f, large.exposures) for f in facts], shipped, lambda _: True, random.Random(1)
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


def test_nothing_is_planned_without_facts(tmp_path):
    (tmp_path / "p.txt").write_text("A passage.")
    knowledge = load_knowledge_base(tmp_path)
    assert plan_cycle(knowledge, 0, 10**6, CONFIG, 1).new_facts == 0
    assert share_out([], np.array([]), 100) == []


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
