import numpy as np
import pytest
import torch

from h2q.evaluation.exact_match import Scores
from h2q.evolution import examiner as examination
from h2q.evolution.examiner import Examiner, ask, bits_per_byte_each
from h2q.evolution.splits import Splits
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, some


@pytest.fixture
def exam(output):
    """An examiner with facts, and the base model."""
    cycle = cycle_of(driver.engine(output))
    return cycle.setup.examiner, cycle.champion


def facts_of(examiner) -> list:
    return list(examiner.knowledge.facts())


def test_every_model_is_asked_alike_and_each_split_in_its_own_words(shipped):
    facts = some(shipped, 30)
    asked = {name: ask(facts, shipped.wordings, name) for name in ("dev", "gate", "vault")}
    assert asked["gate"] == ask(facts, shipped.wordings, "gate")
    prompts = [{question.prompt for question in found} for found in asked.values()]
    assert not prompts[0] & prompts[1] | prompts[1] & prompts[2] | prompts[0] & prompts[2]
    for fact, question in zip(facts, asked["gate"]):
        assert question.answers == fact.answers
        assert question.cluster == f"{fact.lang}\n{fact.subject}"
        assert fact.subject in question.prompt


def test_the_wording_depends_on_the_fact(shipped):
    [relation] = {shipped.fact(1).relation}
    alike = [fact for fact in shipped.facts() if fact.relation == relation]
    alone = [ask([fact], shipped.wordings, "gate")[0].prompt for fact in alike]
    assert [question.prompt for question in ask(alike, shipped.wordings, "gate")] == alone


def test_a_cost_is_per_byte_of_the_right_answer():
    scores = Scores(np.array([8.0, 6.0]), np.array([2, 0]), np.array([True, False]), ("a", "b"))
    assert bits_per_byte_each(scores).tolist() == [4.0, 6.0]


def test_prose_of_each_split_is_measured_whole(exam):
    examiner, model = exam
    for name, stream in examiner.splits.prose.items():
        windows = stream.windows(model.config.context_length, 2**40)
        assert examiner.prose(model, name).counts.tolist() == [count for _, count in windows]


def test_facts_are_scored_in_the_wording_of_the_split(exam, monkeypatch):
    examiner, model = exam
    seen = []
    monkeypatch.setattr(examination, "score", lambda *arguments: seen.append(arguments))
    examiner.facts(model, facts_of(examiner), "dev")
    [(scored, asked, dtype)] = seen
    assert scored is model and dtype == torch.float32
    assert asked == ask(facts_of(examiner), driver.WORDINGS, "dev")


def test_answers_stand_beside_the_right_ones(exam, monkeypatch):
    examiner, model = exam
    facts = facts_of(examiner)[:2]
    monkeypatch.setattr(examination, "answer", lambda model, asked: [b"Arlen", b"\xe6\x88"])
    found = examiner.answers(model, facts)
    assert [example["question"] for example in found] == [
        question.prompt for question in ask(facts, driver.WORDINGS, "vault")
    ]
    assert [example["right"] for example in found] == [fact.object for fact in facts]
    assert found[0]["answer"] == "Arlen" and list(found[0]) == ["question", "answer", "right"]


def test_the_chance_is_that_of_the_most_frequent_object(exam):
    examiner, _ = exam
    assert {examiner.chance(fact) for fact in facts_of(examiner)} == {0.25}


def test_quality_of_answers_compares_wordings_of_one_question(exam, monkeypatch):
    examiner, model = exam
    facts = facts_of(examiner)[:3]
    monkeypatch.setattr(examination, "answer", lambda model, asked: [b"Arlen"] * len(asked))
    assert examiner.quality(model, facts).consistency == 1.0
    turns = iter([b"a", b"b", b"c"])

    def differently(model, asked):
        return [next(turns)] * len(asked)

    monkeypatch.setattr(examination, "answer", differently)
    assert examiner.quality(model, facts).consistency == 0.0


def test_without_facts_the_continuations_of_held_out_prose_are_judged(exam, monkeypatch):
    examiner, model = exam
    vault = examiner.splits.prose["vault"]
    asked = []

    def repeat_the_text(model, prompts, size, *, stop):
        asked.extend(prompts)
        data = vault.read(0, len(vault))
        starts = [data.index(prompt) + len(prompt) for prompt in prompts]
        return [data[start : start + size] for start in starts]

    monkeypatch.setattr(examination, "continue_prompts", repeat_the_text)
    found = examiner.quality(model, [])
    assert asked and all(prompt in vault.read(0, len(vault)) for prompt in asked)
    assert found.repetition == pytest.approx(found.real_repetition, abs=0.1)


def test_without_a_knowledge_base_there_are_no_facts(exam):
    with_facts, model = exam
    splits = Splits(with_facts.splits.prose, [], "")
    examiner = Examiner(splits, None, torch.float32)
    assert examiner.facts_named(["f1"]) == []
    assert len(examiner.facts(model, [], "gate").correct) == 0
    assert examiner.chance(facts_of(with_facts)[0]) == 0.0
