import numpy as np
import pytest

from h2q.datasets.corpus import open_corpus
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.templates import questions
from h2q.evolution.examiner import ask
from h2q.evolution.splits import (
    CANARIES,
    Decontamination,
    Splits,
    invent_canaries,
    is_asked,
    seal,
)
from tests.evolution.conftest import some


@pytest.fixture
def corpus(text_dir, tmp_path):
    return open_corpus(text_dir, tmp_path / "cache", context_length=64)


def sealed(corpus, knowledge, seed=42) -> Splits:
    return seal(
        corpus.heldout,
        knowledge,
        context_length=64,
        limit_bytes=65_536,
        unasked_share=0.2,
        seed=seed,
    )


def test_a_fifth_of_the_entities_is_never_asked_about(shipped):
    facts = list(shipped.facts())
    share = np.mean([is_asked(fact, 0.2, 42) for fact in facts])
    assert share == pytest.approx(0.8, abs=0.03)
    by_subject = {}
    for fact in facts:
        asked = is_asked(fact, 0.2, 42)
        assert by_subject.setdefault((fact.lang, fact.subject), asked) == asked


def test_splits_are_sealed_and_disjoint(corpus, shipped):
    splits = sealed(corpus, shipped)
    assert splits.digest == sealed(corpus, shipped).digest
    assert splits.digest != sealed(corpus, shipped, seed=43).digest
    assert splits.digest != sealed(corpus, None).digest
    texts = {name: stream.read(0, len(stream)) for name, stream in splits.prose.items()}
    whole = corpus.heldout.read(0, len(corpus.heldout))
    windows = []
    for name, stream in splits.prose.items():
        for start, count in stream.windows(64, 10**9):
            piece = stream.read(start, count + 1)
            assert piece in whole
            windows.append((piece, name))
    assert len(texts["gate"]) > len(texts["dev"])
    owners = {}
    for piece, name in windows:
        assert owners.setdefault(piece, name) == name
    assert len(splits.canaries) == CANARIES
    assert not any(shipped.knows_subject(fact.subject) for fact in splits.canaries)


def test_one_window_serves_all_three(corpus):
    splits = seal(
        corpus.heldout.part([(0, 40)]),
        None,
        context_length=64,
        limit_bytes=65_536,
        unasked_share=0.2,
        seed=1,
    )
    texts = {stream.read(0, len(stream)) for stream in splits.prose.values()}
    assert texts == {corpus.heldout.read(0, 40)}
    assert splits.canaries == []


def test_held_out_prose_and_questions_are_rejected(corpus, shipped):
    facts = some(shipped, 5)
    splits = sealed(corpus, shipped)
    held_out = Decontamination(splits.prose, facts, shipped.wordings)
    leaked = splits.prose["gate"].read(0, 60).decode("utf-8", "ignore")
    asked = ask(facts[:1], shipped.wordings, "gate")[0].prompt
    assert held_out.rejects("Nothing of the kind.") == ""
    assert held_out.rejects(f"before {leaked} after") == "prose"
    assert held_out.rejects(leaked[:10]) == ""
    assert held_out.rejects(f"{asked}\n{facts[0].object}") == "question"
    assert held_out.rejects(questions(shipped.wordings, facts[0], "train")[0]) == ""


def test_a_held_out_question_is_known_by_its_letters(corpus, shipped):
    [fact] = some(shipped, 1)
    held_out = Decontamination({}, [fact], shipped.wordings)
    asked = ask([fact], shipped.wordings, "vault")[0].prompt
    for typed in (asked.lower(), asked.upper(), asked.rstrip("?？"), f"  {asked}!! "):
        assert held_out.rejects(f"{typed}\n{fact.object}") == "question"
    assert held_out.rejects(f"{asked} again") == ""


def test_questions_that_a_person_wrote_are_always_asked(tmp_path):
    (tmp_path / "a.md").write_text("Q: Who?\nA: Lena\n", encoding="utf-8")
    [fact] = load_knowledge_base(tmp_path).facts()
    assert all(is_asked(fact, 1.0, seed) for seed in range(20))


def test_canaries_of_questions_are_questions(tmp_path):
    """A name and a question make none together."""
    lines = [f"Q: What is number {n} of the {n}th list?\nA: item {n}\n\n" for n in range(20)]
    lines += [f"# Person{n}\njob: job {n}\ntown: town {n}\n\n" for n in range(20)]
    (tmp_path / "a.md").write_text("".join(lines), encoding="utf-8")
    canaries = invent_canaries(load_knowledge_base(tmp_path), 1)
    assert {fact.is_question for fact in canaries} == {True, False}
    for fact in canaries:
        assert fact.is_question == (fact.subject.startswith("What") and fact.subject.endswith("?"))
        assert fact.is_question == fact.object.startswith("item")
