import json

import pytest

from h2q.datasets.knowledge_files import knowledge_files, numbered_lines, paragraphs, parse_fact
from h2q.datasets.templates import Fact
from h2q.system.errors import KnowledgeError
from tests.conftest import CHINESE

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
    names = ["b.jsonl", "a.md", "deep/a.jsonl", "deep/z.txt", "wordings.json", "a.TXT.bak"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = knowledge_files(tmp_path)
    assert found["facts"] == [tmp_path / "b.jsonl", tmp_path / "deep" / "a.jsonl"]
    assert found["passages"] == [tmp_path / "a.md", tmp_path / "deep" / "z.txt"]


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


def test_lines_end_where_the_text_ends(tmp_path):
    """Python's reader decodes 8 KB at once; the lines before the first bad 8 KB are read."""
    (tmp_path / "a.txt").write_bytes(b"plain text\n" * 300_000 + b"\xff\n")
    found, [unreadable] = lines_of(tmp_path / "a.txt", "utf-8")
    assert 299_000 < len(found) < 300_000
    assert unreadable == len(found) + 1


# Facts


def test_a_fact_is_read_without_the_spaces_around_its_parts():
    fact = parse_fact(json.dumps(VALUES))
    assert fact == Fact("f1", "France", "capital", "Paris", ("City of Light",), "en")
    assert fact.answers == ("Paris", "City of Light")


def test_a_fact_needs_no_aliases():
    values = {name: value for name, value in VALUES.items() if name != "aliases"}
    assert parse_fact(json.dumps(values)).answers == ("Paris",)


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
@pytest.mark.parametrize("value", [None, 7, "", "  ", "two\nlines", "\x1b[2J", "\ud800"])
def test_a_part_that_is_not_one_line_of_text_is_named(name, value):
    with pytest.raises(KnowledgeError) as caught:
        parse_fact(json.dumps(VALUES | {name: value}))
    assert caught.value.key == "knowledge.no_field"
    assert caught.value.values == {"name": name}


# Passages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n", []),
        ("One\nparagraph. \n\n\nAnother.", ["One\nparagraph.", "Another."]),
        ("\n  indented\n\t\n中文\n", ["  indented", "中文"]),
    ],
)
def test_paragraphs_are_runs_of_lines_that_are_not_blank(text, expected):
    assert list(paragraphs(text.splitlines(keepends=True))) == expected


@pytest.mark.parametrize("line", ["x" * 40_000, "中" * 16_384, "x" * 16_385])
def test_a_very_long_line_is_cut(line):
    found = list(paragraphs(["before\n", line + "\n", "after\n"]))
    assert max(map(len, found)) <= 16_384 + 1  # and a line end
    assert "".join(found).replace("\n", "") == f"before{line}after"


def test_a_very_long_paragraph_is_cut_between_lines():
    line = "y" * 5000
    assert list(paragraphs([line] * 7)) == ["\n".join([line] * 3)] * 2 + [line]
