import gc
import hashlib
import json
import sqlite3

import pytest

from h2q.datasets.fact_parts import derived_id
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.knowledge_files import numbered_lines
from h2q.datasets.templates import HELD_OUT, TRAIN, fill, questions, read_wordings, statements
from h2q.system.errors import KnowledgeError, SaveFailed
from h2q.system.messages.catalogue import set_language
from h2q.system.paths import shipped_knowledge_dir


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


def test_facts_can_be_read_to_the_end_when_nothing_else_holds_the_knowledge_base(directory):
    facts = load_knowledge_base(directory).facts()
    gc.collect()
    assert len(list(facts)) == 30


@pytest.mark.parametrize(
    ("line", "chinese", "english"),
    [
        ("{", "不是有效的 JSON", "not valid JSON"),
        ("[1]", "不是 JSON 对象", "not a JSON object"),
        (fact(2, subject=""), "subject", "subject is missing"),
        (fact(2, object=True), "object", "object is missing"),
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
    source = (shipped_knowledge_dir() / "countries.jsonl").read_text(encoding="utf-8")
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


def test_what_is_asked_about_facts(tmp_path):
    alike = [
        fact(1, object="A"),
        fact(2, object="B"),
        fact(3, object="B"),
        fact(4, relation="owner", object="B"),
        fact(5, lang="zh", object="B"),
    ]
    base = load_knowledge_base(write_facts(tmp_path / "kb", *alike))
    first, second, *_ = base.facts()
    assert [item.id for item in base.facts_like(first)] == ["f1", "f2", "f3"]
    assert base.objects("capital", "en") == [("B", 2), ("A", 1)]
    assert (base.is_unique_object(first), base.is_unique_object(second)) == (True, False)
    assert base.knows_subject("Subject 5") and not base.knows_subject("Subject 6")
    assert base.relation_count == 3, "in each language"


def test_as_many_problems_are_listed_as_wanted(tmp_path):
    base = load_knowledge_base(write_facts(tmp_path / "kb", fact(1), *["rubbish"] * 4))
    assert base.problem_count == len(base.problems()) == 4
    assert [problem.line for problem in base.problems(2)] == [2, 3]


def test_the_digest_is_that_of_what_is_known(tmp_path):
    """A fixed value, because a resumed evolution compares it. File names and folders do not count."""
    one = load_knowledge_base(write_facts(tmp_path / "one", fact(1), fact(2)))
    two = load_knowledge_base(
        write_facts(tmp_path / "two", "{", fact(1), "", fact(2), name="x.jsonl")
    )
    digest = hashlib.sha256(json.dumps(one.wordings, sort_keys=True).encode())
    for number in (1, 2):
        digest.update(
            f"Fact(id='f{number}', subject='Subject {number}', relation='capital', "
            f"object='Object {number}', aliases=(), lang='en')".encode()
        )
    assert one.digest == two.digest == digest.hexdigest()


def test_an_index_that_cannot_be_written_is_told(directory, tmp_path, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("h2q.datasets.knowledge_base._build", full)
    with pytest.raises(SaveFailed, match="disk is full"):
        load_knowledge_base(directory, tmp_path / "index.sqlite")
    (tmp_path / "file").touch()
    with pytest.raises(SaveFailed, match=r"index\.sqlite"):
        load_knowledge_base(directory, tmp_path / "file" / "index.sqlite")


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


@pytest.mark.parametrize("relation", ["*", "capital"])
def test_own_wordings_in_one_language_leave_those_of_the_other(tmp_path, relation):
    directory = tmp_path / "kb"
    same = {"relation": "hobby" if relation == "*" else relation}
    write_facts(directory, fact(1, **same), fact(2, **same, subject="张三", lang="zh"))
    own = {relation: {"en": {"statements": ["{object}: {subject}."], "questions": ["{subject}?"]}}}
    (directory / "wordings.json").write_text(json.dumps(own), encoding="utf-8")
    base = load_knowledge_base(directory)
    english, chinese = base.facts()
    assert statements(base.wordings, english) == ["{object}: {subject}."]
    shipped = read_wordings(shipped_knowledge_dir() / "wordings.json")
    assert statements(base.wordings, chinese) == shipped[relation]["zh"]["statements"]


# Facts as people write them


def write(directory, **files):
    for name, content in files.items():
        path = directory / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def test_facts_in_all_formats_are_known_with_their_places(tmp_path):
    directory = write(
        tmp_path / "kb",
        a_jsonl='{"question": "Who?", "answer": "Lena"}\nrubbish\n',
        deep__a_csv="name,job,town\nLena,dentist,Ulm\n",
        deep__a_md="# Tom\njob: cook\nborn: 2001\n\nTom is tall.\n\nQ: Where?\nA: Ulm\n",
        notes_txt="#separator:tab\n#html:true\nfront\tback\n",
    )
    base = load_knowledge_base(directory)
    assert base.inventory() == [
        ("a.jsonl", "json", 1),
        ("a.jsonl", "faulty", 1),
        ("deep/a.csv", "table", 2),
        ("deep/a.md", "keys", 2),
        ("deep/a.md", "pair", 1),
        ("deep/a.md", "passage", 1),
        ("notes.txt", "anki", 1),
    ]
    assert base.passage(1) == ("Tom is tall.", "deep/a.md")
    [problem] = base.problems()
    assert (problem.path, problem.line) == (directory / "a.jsonl", 2)


@pytest.mark.parametrize("name", ["facts.csv", "facts.md"])
def test_a_single_file_is_a_knowledge_base(tmp_path, name):
    texts = {
        "facts.csv": "name,job\nLena,dentist\n,x\n",
        "facts.md": "Q: Who?\nA: Lena\n\nQ: x\nA:\n",
    }
    (tmp_path / name).write_text(texts[name], encoding="utf-8")
    (tmp_path / "other.csv").write_text("name,job\nTom,cook\n", encoding="utf-8")
    base = load_knowledge_base(tmp_path / name, tmp_path / "index.sqlite")
    assert base.fact_count == 1
    assert [item[0] for item in base.inventory()] == [name, name]
    assert [problem.path for problem in base.problems()] == [tmp_path / name]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_in_every_encoding_and_with_every_line_end(tmp_path, encoding, end):
    rows = [f"张三{number};木匠和他的工作;{number}" for number in range(10)]
    text = end.join(["姓名;职业;年龄", *rows, ""])
    base = load_knowledge_base(write(tmp_path / "kb", a_csv=text.encode(encoding)))
    assert (base.fact_count, base.problem_count) == (20, 0)
    assert {fact.lang for fact in base.facts()} == {"zh"}
    first = base.fact(1)
    assert (first.subject, first.relation, first.object) == ("张三0", "职业", "木匠和他的工作")


def test_rows_that_repeat_or_contradict_name_both_places(tmp_path):
    set_language("en")
    directory = write(
        tmp_path / "kb",
        a__x_csv="name,job\nLena,dentist\nLena,dentist\n",
        b__x_csv="name,job\nLena,cook\n",
        c_md="Q: Who?\nA: Lena\n\nQ: Who?\nA: Tom\n",
    )
    base = load_knowledge_base(directory)
    assert [(fact.subject, fact.object) for fact in base.facts()] == [
        ("Lena", "dentist"),
        ("Who?", "Lena"),
    ]
    assert [
        (p.path.relative_to(directory).as_posix(), p.line, p.reason) for p in base.problems()
    ] == [
        ("a/x.csv", 3, "the same fact as a/x.csv, line 2 (dentist)"),
        ("b/x.csv", 2, "contradicts a/x.csv, line 2, which says dentist"),
        ("c.md", 4, "contradicts c.md, line 1, which says Lena"),
    ]


def test_an_answer_longer_than_the_window_is_told(tmp_path):
    directory = write(tmp_path / "kb", a_md=f"Q: Who?\nA: {'x ' * 300}\n\nQ: What?\nA: y\n")
    base = load_knowledge_base(directory)
    [problem] = base.problems()
    assert (problem.line, "512" in problem.reason) == (1, True)
    assert base.fact_count == 1


def test_a_corrected_object_keeps_its_id(tmp_path):
    before = load_knowledge_base(write(tmp_path / "kb", a_csv="name,job\nLena,dentist\n"))
    after = load_knowledge_base(write(tmp_path / "kb", a_csv="name,job\nTom,x\nLena,doctor\n"))
    [old], (_, new) = list(before.facts()), list(after.facts())
    assert (old.id, old.object, new.object) == (new.id, "dentist", "doctor")
    assert before.digest != after.digest


def test_an_id_of_a_person_may_look_like_one_of_ours(tmp_path):
    own = json.dumps(fact(1, id=derived_id("Lena", "job", "en")))
    directory = write(tmp_path / "kb", a_jsonl=own, b_csv="name,job\nLena,dentist\n")
    base = load_knowledge_base(directory)
    assert (base.fact_count, base.problem_count) == (1, 1)


def test_a_file_that_may_not_be_read_does_not_stop_the_others(tmp_path, monkeypatch):
    directory = write(tmp_path / "kb", a_csv="name,job\nLena,dentist\n", b_csv="name,job\nTom,x\n")

    def denied(path, *arguments):
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return numbered_lines(path, *arguments)

    monkeypatch.setattr("h2q.datasets.knowledge_base.numbered_lines", denied)
    base = load_knowledge_base(directory)
    [problem] = base.problems()
    assert (base.fact_count, problem.path.name, problem.line) == (1, "a.csv", 0)
    assert problem.reason == "Permission denied"
