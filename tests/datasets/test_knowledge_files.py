import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.datasets.fact_parts import derived_id
from h2q.datasets.knowledge_files import (
    contents,
    knowledge_files,
    numbered_lines,
    parse_fact,
    unread_files,
)
from h2q.datasets.templates import Fact
from h2q.system.errors import KnowledgeError
from tests.conftest import CHINESE
from tests.datasets.conftest import PLAIN, numbered, parts

VALUES = {
    "id": " f1",
    "subject": "France ",
    "relation": "capital",
    "object": "Paris",
    "aliases": ["City of Light"],
    "lang": "en",
}


def lines_of(path, encoding=None) -> tuple[list, list[int]]:
    """The numbered lines of ``path``, and the numbers of those that cannot be read."""
    unreadable = []
    return list(numbered_lines(path, encoding, unreadable.append)), unreadable


def test_files_are_found_by_their_names_in_order(tmp_path):
    names = ["b.jsonl", "a.md", "deep/a.JSONL", "deep/z.txt", "wordings.json", "a.TXT.bak"]
    names += ["c.csv", "deep/d.tsv", ".git/x.txt", ".hidden.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = knowledge_files(tmp_path)
    facts = ["b.jsonl", "c.csv", "deep/a.JSONL", "deep/d.tsv"]
    assert found["facts"] == [tmp_path / name for name in facts]
    assert found["passages"] == [tmp_path / "a.md", tmp_path / "deep" / "z.txt"]
    assert unread_files(tmp_path) == [tmp_path / "a.TXT.bak"]
    assert unread_files(tmp_path / "c.csv") == unread_files(tmp_path / "nowhere") == []
    assert knowledge_files(tmp_path / "c.csv")["facts"] == [tmp_path / "c.csv"]
    assert knowledge_files(tmp_path / "a.md")["passages"] == [tmp_path / "a.md"]


def test_what_is_no_file_is_not_read(tmp_path):
    """A folder with the name of a note, a pipe, a link to nowhere, and a link to a folder."""
    (tmp_path / "Meeting.md").mkdir()
    (tmp_path / "Meeting.md" / "a.txt").touch()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.md").symlink_to(tmp_path)
    found = knowledge_files(tmp_path)
    assert tmp_path / "gone.csv" in unread_files(tmp_path)
    assert found == {"facts": [], "passages": [tmp_path / "Meeting.md" / "a.txt"]}


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("a.jsonl", '\n{"question": "Who?", "answer": "Lena"}', "json"),
        ("a.CSV", "question;answer\nWho?;Lena", "table"),
        ("a.tsv", "question, or what\tjob\nWho?\tLena", "table"),
        ("a.txt", "#separator:tab\n#html:true\nWho?\tLena", "anki"),
        ("a.csv", "#separator:Comma\nWho?,Lena", "anki"),
        ("a.txt", "Q: Who?\nA: Lena", "pair"),
        ("a.md", "# Lena\njob: dentist\nborn: 1980", "keys"),
        ("a.md", "# Lena\n\nThe dentist.", "passage"),
    ],
)
def test_each_file_is_read_as_its_name_says(name, text, form):
    lines = enumerate(text.splitlines(keepends=True), start=1)
    assert {found.form for found in contents(Path(name), lines)} == {form}


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.txt", "a.md"])
@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_holds_nothing(name, text):
    lines = enumerate(text.splitlines(keepends=True), start=1)
    assert list(contents(Path(name), lines)) == []


# Lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("forced", [True, False])
def test_lines_have_their_numbers_in_every_encoding(tmp_path, encoding, forced):
    path = tmp_path / "a.txt"
    path.write_bytes((CHINESE + "\n" + CHINESE).encode(encoding))
    found, unreadable = lines_of(path, encoding if forced else None)
    assert found == [(1, CHINESE), (2, "\n"), (3, CHINESE)]
    assert unreadable == []


@pytest.mark.parametrize("end", ["", "\n", "a", "ab", "。", "。\n", "é"])
def test_utf8_is_recognised_wherever_its_last_character_begins(tmp_path, end):
    (tmp_path / "a.txt").write_bytes((CHINESE.strip() + end).encode())
    assert lines_of(tmp_path / "a.txt") == ([(1, CHINESE.strip() + end)], [])


def test_a_file_that_is_no_text_has_no_lines(tmp_path):
    (tmp_path / "a.txt").write_bytes(bytes(range(256)))
    assert lines_of(tmp_path / "a.txt") == ([], [0])


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_only_the_lines_that_are_no_text_are_left_out(tmp_path, encoding):
    """Python's reader decodes 8 KB at once."""
    good = "文字 text\n".encode(encoding)
    (tmp_path / "a.txt").write_bytes(good * 20_000 + b"a\xff\xffb\n" + good + b"\xff")
    found, unreadable = lines_of(tmp_path / "a.txt", encoding)
    assert unreadable == [20_001, 20_003]
    assert len(found) == 20_001 and found[-1] == (20_002, "文字 text\n")


@pytest.mark.parametrize("bad", [b"caf\xe9", b"\xff\xfe x", b"\x80"])
def test_one_bad_byte_does_not_hide_the_rest(tmp_path, bad):
    (tmp_path / "a.txt").write_bytes(b"name,job\nLena,x\n" + bad + b"\nTom,y\nthe end")
    found, unreadable = lines_of(tmp_path / "a.txt")
    assert [number for number, _ in found] == [1, 2, 4, 5] and unreadable == [3]


def test_a_file_of_another_encoding_is_not_taken_for_damaged(tmp_path):
    (tmp_path / "a.txt").write_bytes("café, naïve\n".encode("cp1252") * 20)
    assert lines_of(tmp_path / "a.txt") == ([], [0])


# Facts


def test_a_fact_is_read_without_the_spaces_around_its_parts():
    fact = parse_fact(json.dumps(VALUES))
    assert fact == Fact("f1", "France", "capital", "Paris", ("City of Light",), "en")
    assert fact.answers == ("Paris", "City of Light")


def test_a_fact_needs_no_aliases():
    values = {name: value for name, value in VALUES.items() if name != "aliases"}
    assert parse_fact(json.dumps(values)).answers == ("Paris",)


@pytest.mark.parametrize(("question", "answer"), [("question", "answer"), ("prompt", "completion")])
def test_a_question_with_its_answer_is_a_fact(question, answer):
    fact = parse_fact(
        json.dumps({question: "Who is\nthe dentist?", answer: " Lena ", "lang": "en"})
    )
    assert (fact.subject, fact.object, fact.is_question) == ("Who is the dentist?", "Lena", True)


def test_id_and_language_may_be_missing():
    values = {"subject": "法国", "relation": "capital", "object": "巴黎", "id": None}
    fact = parse_fact(json.dumps(values))
    assert fact == Fact(derived_id("法国", "capital", "zh"), "法国", "capital", "巴黎", (), "zh")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("", "knowledge.not_json"),
        ("{", "knowledge.not_json"),
        ('{"id": NaN}', "knowledge.not_json"),
        ("[" * 100_000, "knowledge.not_json"),
        ("[1]", "knowledge.no_object"),
        ("null", "knowledge.no_object"),
        (VALUES | {"lang": "fr"}, "knowledge.no_language"),
        (VALUES | {"lang": ["en"]}, "knowledge.no_language"),
        (VALUES | {"aliases": "x"}, "knowledge.aliases"),
        (VALUES | {"aliases": ["x", ""]}, "knowledge.aliases"),
        (VALUES | {"aliases": ["x", 7]}, "knowledge.aliases"),
        (VALUES | {"aliases": ["x\ny"]}, "knowledge.aliases"),
    ],
)
def test_what_is_no_fact_is_told(line, key):
    with pytest.raises(KnowledgeError) as caught:
        parse_fact(line if isinstance(line, str) else json.dumps(line))
    assert caught.value.key == key


@pytest.mark.parametrize("name", ["id", "subject", "relation", "object"])
@pytest.mark.parametrize("value", [True, "", "  ", "two\nlines", "\x1b[2J", "\ud800"])
def test_a_part_that_is_not_one_line_of_text_is_named(name, value):
    with pytest.raises(KnowledgeError) as caught:
        parse_fact(json.dumps(VALUES | {name: value}))
    assert caught.value.key == "knowledge.no_field"
    assert caught.value.values == {"name": name}


@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN)))
def test_any_facts_can_be_written_as_json_and_read(facts):
    lines = [json.dumps(dict(zip(("subject", "relation", "object"), fact))) for fact in facts]
    lines += [json.dumps({"question": question, "answer": answer}) for question, _, answer in facts]
    found = parts(contents(Path("a.jsonl"), numbered("\n".join(lines))))
    asked = [(question, "", answer) for question, _, answer in facts]
    assert [item[1:] for item in found] == [*facts, *asked]
