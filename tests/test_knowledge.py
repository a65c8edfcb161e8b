import json
import random
import re
from collections import Counter

import pytest

from h2q.errors import KnowledgeError
from h2q.knowledge import (
    ANY_RELATION,
    ask,
    create_sample_text,
    generate_documents,
    load_knowledge_base,
    shipped_data,
    state,
    write_documents,
)


def fact(number, **changes):
    values = {
        "id": f"f{number}",
        "subject": f"Subject {number}",
        "relation": "capital",
        "object": f"Object {number}",
        "aliases": [],
        "lang": "en",
    }
    return {**values, **changes}


def write_facts(directory, *facts, name="facts.jsonl"):
    lines = [item if isinstance(item, str) else json.dumps(item) for item in facts]
    directory.mkdir(exist_ok=True)
    (directory / name).write_text("\n".join(lines), encoding="utf-8")
    return directory


@pytest.fixture
def directory(tmp_path):
    return write_facts(tmp_path / "kb", *(fact(number) for number in range(30)))


def test_facts_are_read(directory):
    base = load_knowledge_base(directory)
    assert len(base.facts) == 30
    assert (base.facts[3].subject, base.facts[3].object) == ("Subject 3", "Object 3")
    assert base.problems == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "delimiter|Expecting"),
        ("[1]", "not an object"),
        (fact(2, subject=""), "no subject"),
        (fact(2, object=7), "no object"),
        (fact(2, lang="fr"), "lang"),
        (fact(2, aliases="x"), "aliases"),
        (fact(1), "repeated id"),
        (fact(2, subject="Subject 1", object="Another"), "contradicts"),
        ('{"id": NaN}', "NaN"),
    ],
)
def test_a_line_that_is_no_fact_is_listed_with_its_place(tmp_path, line, reason):
    base = load_knowledge_base(write_facts(tmp_path / "kb", fact(1), line, fact(3)))
    assert [item.id for item in base.facts] == ["f1", "f3"]
    [(path, number, why)] = base.problems
    assert (path.name, number) == ("facts.jsonl", 2)
    assert re.search(reason, why)


def test_an_unusable_knowledge_base_is_refused(tmp_path):
    with pytest.raises(KnowledgeError, match="--knowledge_dir"):
        load_knowledge_base(tmp_path / "none")
    with pytest.raises(KnowledgeError, match="1 行有误"):
        load_knowledge_base(write_facts(tmp_path / "kb", "rubbish"))


def test_passages_are_paragraphs(directory):
    (directory / "notes.md").write_text("One\nparagraph.\n\n\nAnother.\n", encoding="utf-8")
    base = load_knowledge_base(directory)
    assert base.passages == [("One\nparagraph.", "notes.md"), ("Another.", "notes.md")]


def test_own_relations_and_own_wordings_need_no_code(tmp_path):
    directory = write_facts(
        tmp_path / "kb",
        fact(1, relation="favourite_food"),
        fact(2, relation="owner"),
    )
    own = {
        "owner": {
            "en": {"statements": ["{object} owns {subject}!"], "questions": ["Whose {subject}?"]}
        }
    }
    (directory / "wordings.json").write_text(json.dumps(own), encoding="utf-8")
    base = load_knowledge_base(directory)
    food, owner = base.facts
    generator = random.Random(0)
    assert "favourite_food" not in base.wordings
    sentence = state(food, base.wordings, generator)
    assert "Subject 1" in sentence and "Object 1" in sentence
    assert state(owner, base.wordings, generator) == "Object 2 owns Subject 2!"
    assert ask(owner, base.wordings, generator) == "Whose Subject 2?\nObject 2"


@pytest.mark.parametrize(
    "content", ["[]", '{"owner": 1}', '{"owner": {"en": {"statements": [], "questions": ["?"]}}}']
)
def test_wordings_of_the_wrong_form_are_refused(directory, content):
    (directory / "wordings.json").write_text(content, encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"wordings\.json"):
        load_knowledge_base(directory)


def test_generated_documents_say_what_the_facts_say(directory):
    base = load_knowledge_base(directory)
    documents = generate_documents(base, 5000, seed=1)
    facts = {item.id: item for item in base.facts}
    for document in documents:
        source = facts[document.source]
        assert source.subject in document.text and source.object in document.text
        assert (document.kind == "question") == document.text.endswith("\n" + source.object)
    assert len({document.text for document in documents}) == len(documents)
    size = sum(len(document.text.encode()) + 1 for document in documents)
    assert 5000 <= size < 5300
    kinds = Counter(document.kind for document in documents)
    assert kinds["statement"] > kinds["question"] > 0


def test_generation_depends_on_the_seed_alone(directory):
    base = load_knowledge_base(directory)
    assert generate_documents(base, 3000, 1) == generate_documents(base, 3000, 1)
    assert generate_documents(base, 3000, 1) != generate_documents(base, 3000, 2)


def test_generation_ends_when_there_is_nothing_new_to_say(tmp_path):
    base = load_knowledge_base(write_facts(tmp_path / "kb", fact(1)))
    documents = generate_documents(base, 10**6, seed=1)
    assert 2 <= len(documents) <= 64


def test_passages_take_part(directory):
    (directory / "notes.txt").write_text("\n\n".join(f"Passage {n}." for n in range(50)))
    documents = generate_documents(load_knowledge_base(directory), 4000, seed=1)
    passages = [item for item in documents if item.kind == "passage"]
    assert passages and all(item.source == "notes.txt" for item in passages)


def test_provenance_is_recorded(directory, tmp_path):
    documents = generate_documents(load_knowledge_base(directory), 2000, seed=1)
    write_documents(documents, tmp_path / "out", cycle=7)
    lines = (tmp_path / "out" / "generated.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["text"] for record in records] == [item.text for item in documents]
    assert {record["cycle"] for record in records} == {7}
    text = (tmp_path / "out" / "generated.txt").read_text(encoding="utf-8")
    assert text.strip().split("\n\n") == [item.text for item in documents]


def test_wordings_for_any_relation_come_with_the_program():
    base = load_knowledge_base(shipped_data() / "knowledge_base")
    assert set(base.wordings[ANY_RELATION]) == {"zh", "en"}


def test_sample_text_is_200_to_400_kb_and_repeats_nothing(tmp_path):
    """README 示例数据: 系统会自动创建示例数据."""
    paths = create_sample_text(tmp_path)
    assert 200_000 <= sum(path.stat().st_size for path in paths) <= 400_000
    passages = [
        passage
        for path in paths
        for passage in path.read_text(encoding="utf-8").strip().split("\n\n")
    ]
    assert len(set(passages)) == len(passages)
    again = create_sample_text(tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_shipped_passages(lang):
    path = shipped_data() / "sample_text" / f"passages.{lang}.txt"
    passages = path.read_text(encoding="utf-8").strip().split("\n\n")
    assert len(passages) >= 60
    assert len(set(passages)) == len(passages)
    assert all(150 <= len(passage.encode("utf-8")) <= 1000 for passage in passages)
    chinese = sum("\u4e00" <= char <= "\u9fff" for passage in passages for char in passage)
    assert (chinese > 10_000) == (lang == "zh")
