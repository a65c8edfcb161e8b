import json
import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from h2q.datasets.corpus import open_corpus
from h2q.evolution import lesson
from h2q.evolution.documents import Document, own_text
from h2q.evolution.examiner import ask
from h2q.evolution.lesson import decontaminate, write, write_lesson
from h2q.evolution.rounds import documents_of_round
from h2q.evolution.splits import Decontamination, is_asked
from h2q.system.files import link_or_copy
from h2q.system.paths import CyclePaths, OutputPaths
from tests.evolution import evolution_driver as driver
from tests.evolution.conftest import cycle_of, plan_of


@pytest.fixture
def corpus(text_dir, tmp_path):
    return open_corpus(text_dir, tmp_path / "cache", context_length=64)


def kinds_and_text(cycle, plan):
    made = write(cycle, plan, documents_of_round(cycle, plan, []))
    text = "".join(path.read_text(encoding="utf-8") for path in cycle.paths.text.iterdir())
    return made, text


def test_a_lesson_holds_what_the_plan_says(output, monkeypatch):
    """New facts, those under review, answers of the model's own, and the person's text."""
    engine = driver.engine(output)
    monkeypatch.setattr(lesson, "answer", lambda model, asked: [b"Corvin"] * len(asked))
    [reviewed] = engine.setup.knowledge.facts_by_id(["f16"])
    asked = is_asked(reviewed, engine.config.unasked_share, engine.setup.seed)
    plan = plan_of(facts=["f0", "f1"], exposures=14, review=[("f16", 7)], teaches_prose=False)
    made, text = kinds_and_text(cycle_of(engine), plan)
    typed = text.lower()  # as people type
    assert all(name in typed for name in ("kab", "kad", "mib")) and "lob" not in typed
    assert made.kinds.get("own", 0) == asked
    assert made.documents == sum(made.kinds.values()) == 14 + 14 + 7 + asked
    assert made.replay_bytes > 0 and not made.rejected
    assert (cycle_of(engine).paths.text / "replayed.txt").exists()


def test_without_a_knowledge_base_the_text_itself_is_taught(output):
    cycle = cycle_of(driver.engine(output, prose=True), size_bytes=4096)
    made, text = kinds_and_text(cycle, plan_of())
    assert made.kinds.keys() == {"passage"} and made.replay_bytes == 0
    assert 0 < made.bytes <= 4200
    assert text.split()[0] in (output / "text" / "t.txt").read_text(encoding="utf-8")


def test_the_validation_part_is_replayed_and_taught_as_any_training_text(output):
    path = output / "text" / "t.txt"
    path.write_text("".join(f"{number} " for number in range(4000)))
    corpus = open_corpus(
        output / "text", output / "cache", context_length=64, validation_fraction=0.1
    )
    validated = corpus.validation.read(100, 200).decode()
    for prose in (True, False):
        engine = driver.engine(output, prose=prose)
        engine.setup = replace(engine.setup, corpus=corpus)
        plan = plan_of(facts=[] if prose else ["f0"], exposures=1500, teaches_prose=prose)
        cycle = cycle_of(engine, size_bytes=40_000)
        cycle = replace(cycle, config=replace(cycle.config, replay_fraction=0.6))
        assert validated in kinds_and_text(cycle, plan)[1]


def test_passages_are_chosen_by_what_became_cheaper_since_the_ancestor(output, monkeypatch):
    passages = [f"Passage {n} of many." for n in range(30)]
    (output / "kb" / "p.txt").write_text("\n\n".join(passages))
    engine = driver.engine(output, replay_fraction=0.0)
    cycle = cycle_of(engine, size_bytes=200)
    seen = []
    choose = lesson.choose_passages

    def choosing(pool, gains, *rest):
        seen.append(gains)
        return choose(pool, gains, *rest)

    monkeypatch.setattr(lesson, "choose_passages", choosing)
    made, _ = kinds_and_text(cycle, plan_of())
    assert made.kinds.keys() == {"passage"}
    link_or_copy(engine.paths.model, engine.paths.ancestor)
    kinds_and_text(cycle, plan_of())
    assert seen[0] is None
    assert len(seen[1]) == len(passages) and not np.any(seen[1])  # it is the same model


def test_what_is_held_out_is_left_out_and_counted(corpus):
    held_out = Decontamination({"gate": corpus.heldout}, [], {})
    leaked = corpus.heldout.read(0, 60).decode("utf-8", "ignore")
    documents = [Document(text, "passage", "f") for text in ("good", leaked, leaked, "good")]
    kept, rejected = decontaminate(documents, held_out)
    assert kept == [documents[0], documents[3]]
    assert rejected == {"prose": 2}


def test_the_lesson_is_shuffled_and_recorded(tmp_path, corpus):
    documents = [Document(f"about {n // 10}", "statement", str(n // 10)) for n in range(100)]
    replay = own_text(corpus.train, 5000, 1)
    write_lesson(documents, replay, CyclePaths(tmp_path), 7, random.Random(3))
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
    write_lesson([], [], CyclePaths(tmp_path), 1, random.Random(0))
    assert [path.name for path in (tmp_path / "text").iterdir()] == ["generated.txt"]


def test_generated_text_lies_apart_and_is_recorded(base, evolved):
    directory = OutputPaths(evolved).cycle(1).root
    records = [
        json.loads(line)
        for line in (directory / "generated.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    names = {fact.id for fact in driver.open_knowledge(evolved).facts()}
    assert {record["cycle"] for record in records} == {1}
    assert all(set(record["source"].split()) <= names for record in records)
    assert (evolved / "text" / "t.txt").read_bytes() == (base / "text" / "t.txt").read_bytes()
    assert not (directory / "text").exists()


def test_held_out_questions_never_reach_the_lesson(evolved):
    engine = driver.engine(evolved)
    facts = list(engine.setup.knowledge.facts())
    for number in (1, 2):
        path = OutputPaths(evolved).cycle(number).generated_record
        lines = {
            line
            for record in path.read_text(encoding="utf-8").splitlines()
            for line in json.loads(record)["text"].split("\n")
        }
        for split in ("dev", "gate", "vault"):
            asked = {question.prompt for question in ask(facts, driver.WORDINGS, split)}
            assert lines and not asked & lines
