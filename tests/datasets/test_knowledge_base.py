import json

import pytest

from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.sample_text import create_sample_text
from h2q.datasets.templates import ANY_RELATION, HELD_OUT, TRAIN, fill, questions, statements
from h2q.system.errors import KnowledgeError
from h2q.system.messages.catalogue import set_language
from h2q.system.paths import shipped_data


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
    assert base.fact_count == 30
    facts = list(base.facts())
    assert (facts[3].subject, facts[3].object) == ("Subject 3", "Object 3")
    assert base.fact(4) == facts[3]
    assert base.facts_by_id(["f9", "none", "f2"]) == [facts[9], facts[2]]
    assert base.problem_count == 0


@pytest.mark.parametrize(
    ("line", "chinese", "english"),
    [
        ("{", "不是有效的 JSON", "not valid JSON"),
        ("[1]", "不是 JSON 对象", "not a JSON object"),
        (fact(2, subject=""), "subject", "subject is missing"),
        (fact(2, object=7), "object", "object is missing"),
        (fact(2, object="two\nlines"), "object", "object is missing"),
        (fact(2, lang="fr"), "fr", "zh or en"),
        (fact(2, aliases="x"), "aliases", "aliases"),
        (fact(1), "'f1'", "facts.jsonl, line 1"),
        (fact(2, subject="Subject 1", object="Another"), "第 1 行矛盾", "says Object 1"),
        (fact(2, subject="Subject 1", object="Object 1"), "同一个事实", "the same fact"),
        (fact(2, object="x" * 480), "512", "window of 512"),
        ('{"id": NaN}', "JSON", "JSON"),
        (
            '{"id": "\\ud800", "subject": "s", "relation": "r", "object": "o", "lang": "en"}',
            "id",
            "id",
        ),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_line_that_is_no_fact_is_listed_with_its_place(
    tmp_path, line, chinese, english, language
):
    set_language(language)
    base = load_knowledge_base(write_facts(tmp_path / "kb", fact(1), line, fact(3)))
    assert [item.id for item in base.facts()] == ["f1", "f3"]
    [problem] = base.problems()
    assert (problem.path.name, problem.line) == ("facts.jsonl", 2)
    assert (chinese if language == "zh" else english) in problem.reason


def test_files_in_other_encodings(tmp_path):
    """GB18030 and UTF-16 are recognised, a forced one is obeyed, what is no text is listed."""
    directory = tmp_path / "kb"
    directory.mkdir()
    source = (shipped_data() / "knowledge_base" / "countries.jsonl").read_text(encoding="utf-8")
    chinese = [line for line in source.splitlines() if '"zh"' in line][:200]
    (directory / "a.jsonl").write_bytes("\n".join(chinese[:100]).encode("gb18030"))
    (directory / "b.jsonl").write_bytes("\n".join(chinese[100:]).encode("utf-16"))
    (directory / "c.jsonl").write_bytes(bytes(range(256)) * 4)
    base = load_knowledge_base(directory)
    assert [item.object for item in base.facts()] == [json.loads(x)["object"] for x in chinese]
    [problem] = base.problems()
    assert problem.path.name == "c.jsonl"
    (directory / "c.jsonl").unlink()
    (directory / "b.jsonl").write_bytes("\n".join(chinese[100:]).encode("gb18030"))
    assert load_knowledge_base(directory, encoding="gb18030").fact_count == 200


def test_an_unusable_knowledge_base_is_refused(tmp_path):
    with pytest.raises(KnowledgeError, match="--knowledge_dir"):
        load_knowledge_base(tmp_path / "none")
    with pytest.raises(KnowledgeError, match="1 行有误"):
        load_knowledge_base(write_facts(tmp_path / "kb", "rubbish"))


def test_passages_are_paragraphs_and_can_be_searched(directory):
    text = "One\nparagraph.\n\n\nAnother.\n\n中文的段落在这里。\n\n" + "long " * 10_000
    (directory / "notes.md").write_text(text, encoding="utf-8")
    base = load_knowledge_base(directory)
    assert base.passage(1) == ("One\nparagraph.", "notes.md")
    assert base.passage(2) == ("Another.", "notes.md")
    assert base.search("的段落在") == ["中文的段落在这里。"]
    assert base.search('no "such" text') == []
    assert base.passage_count == 3 + 4, "a very long paragraph is cut"


def test_the_index_is_kept_until_a_file_changes(directory, tmp_path, monkeypatch):
    path = tmp_path / "out" / "index.sqlite"
    first = load_knowledge_base(directory, path)
    monkeypatch.setattr("h2q.datasets.knowledge_base._build", None)
    again = load_knowledge_base(directory, path)
    assert list(again.facts()) == list(first.facts())
    assert again.digest == first.digest
    monkeypatch.undo()
    write_facts(directory, fact(77), name="more.jsonl")
    changed = load_knowledge_base(directory, path)
    assert changed.fact_count == 31
    assert changed.digest != first.digest
    path.write_bytes(b"rubbish" * 1000)
    assert load_knowledge_base(directory, path).fact_count == 31


def test_own_relations_and_own_wordings_need_no_code(tmp_path):
    directory = write_facts(
        tmp_path / "kb", fact(1, relation="favourite_food"), fact(2, relation="owner")
    )
    own = {
        "owner": {
            "en": {"statements": ["{object} owns {subject}!"], "questions": ["Whose {subject}?"]}
        }
    }
    (directory / "wordings.json").write_text(json.dumps(own), encoding="utf-8")
    base = load_knowledge_base(directory)
    food, owner = base.facts()
    for template in statements(base.wordings, food):
        sentence = fill(template, food)
        assert "Subject 1" in sentence and "Object 1" in sentence and "favourite food" in sentence
    assert [fill(t, owner) for t in statements(base.wordings, owner)] == [
        "Object 2 owns Subject 2!"
    ]
    assert questions(base.wordings, owner, TRAIN) == ["Whose {subject}?"]
    assert all(questions(base.wordings, owner, split) for split in HELD_OUT)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"owner": 1}',
        '{"owner": {"en": {"statements": [], "questions": ["{subject}?"]}}}',
        '{"owner": {"en": {"statements": ["{subject}"], "questions": ["{subject}?"]}}}',
        '{"owner": {"en": {"statements": ["{subject} {object}"], "questions": ["who?"]}}}',
        '{"o": {"en": {"statements": ["{subject} {object}"], "questions": ["{subject} {object}?"]}}}',
    ],
)
def test_wordings_of_the_wrong_form_are_refused(directory, content):
    (directory / "wordings.json").write_text(content, encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"wordings\.json"):
        load_knowledge_base(directory)


def test_wordings_of_the_splits_are_disjoint_for_every_shipped_fact():
    base = load_knowledge_base(shipped_data() / "knowledge_base")
    assert set(base.wordings[ANY_RELATION]) == {"zh", "en"}
    for item in base.facts():
        lists = [questions(base.wordings, item, split) for split in (TRAIN, *HELD_OUT)]
        assert all(lists) and len(lists[0]) >= 4
        every = [template for templates in lists for template in templates]
        assert len(set(every)) == len(every)


def test_a_subject_that_looks_like_a_placeholder_stays(tmp_path):
    base = load_knowledge_base(
        write_facts(tmp_path / "kb", fact(1, subject="{object}", object="{x} 1"))
    )
    [item] = base.facts()
    assert fill("{subject} is {object} {y}.", item) == "{object} is {x} 1 {y}."


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
