import json

import pytest

from h2q.documents.json_lines import text_values


def texts(*lines: str) -> list[str]:
    return "".join(text_values(["\n".join(lines)])).splitlines()


def test_the_text_of_a_record_or_else_all_its_texts():
    assert texts(
        '{"id": "a1", "text": "The text."}',
        '{"prompt": "Q", "n": 1, "more": {"completion": ["A", null, " "]}, "last": "Z"}',
        '"alone"',
        "",
        '["x", ["y"]]',
        "7",
    ) == ["The text.", "Q", "A", "Z", "alone", "x", "y"]


@pytest.mark.parametrize("line", ['{"text": "cut o', "no JSON at all", "{} {}", "NaN"])
def test_a_line_that_is_no_json_stays_as_it_is(line):
    assert texts('{"text": "a"}', line, '{"text": "b"}') == ["a", line, "b"]


def test_any_depth():
    line = "[" * 900 + '"deep"' + "]" * 900
    assert texts(line) == ["deep"]
    endless = "[" * 100_000
    assert texts(endless) == [endless]


def test_a_text_of_several_lines():
    assert texts(json.dumps({"text": "one\ntwo"})) == ["one", "two"]
