import csv

from h2q.evolution import fact_list
from h2q.evolution.examiner import Examiner, ask
from h2q.system.console import Console
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_fact_has_its_state_and_its_place(output, monkeypatch, capsys):
    engine = driver.engine(output, console=Console())
    facts = list(engine.setup.knowledge.facts())
    known = {fact.id for fact in facts[:10]}
    score = Examiner.facts

    def facts_known(self, model, asked, split):
        assert split == "vault"
        scores = score(self, model, asked, split)
        scores.correct[:] = [fact.id in known for fact in asked]
        return scores

    monkeypatch.setattr(Examiner, "facts", facts_known)
    taught = frozenset(fact.id for fact in facts[5:15])
    fact_list.write(engine.setup, cycle_of(engine).champion, taught)
    rows = rows_of(engine.paths.evolution_facts)
    states = [row["state"] for row in rows]
    assert states == ["known"] * 10 + ["not learnt"] * 5 + ["not taught"] * (len(facts) - 15)
    assert [row["answer"] for row in rows] == [fact.object for fact in facts]
    asked = ask(facts, driver.WORDINGS, "vault")
    assert [row["question"] for row in rows] == [question.prompt for question in asked]
    assert {row["file"] for row in rows} == {"f.jsonl"}
    assert [int(row["line"]) for row in rows] == list(range(1, len(facts) + 1))
    assert "会 10 个，教过但没学会 5 个" in capsys.readouterr().out


def test_of_very_many_facts_some_are_asked(output, monkeypatch):
    monkeypatch.setattr(fact_list, "_MOST_ASKED", 10)
    engine = driver.engine(output)
    fact_list.write(engine.setup, cycle_of(engine).champion, frozenset())
    assert len(rows_of(engine.paths.evolution_facts)) == 8  # every fourth of 32


def test_without_facts_there_is_no_list(output):
    engine = driver.engine(output, prose=True)
    fact_list.write(engine.setup, cycle_of(engine).champion, frozenset())
    assert not engine.paths.evolution_facts.exists()
