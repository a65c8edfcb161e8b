"""Facts made of their parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.datasets.fact_parts import (
    as_relation,
    chinese_characters,
    derived_id,
    made_fact,
    made_question,
    one_line,
    recognised_language,
)
from h2q.datasets.templates import QUESTION
from h2q.system.errors import KnowledgeError


def test_a_corrected_object_keeps_the_id():
    first = made_fact("Lena", "job", "dentist")
    assert made_fact("Lena ", " job", "doctor", aliases=["physician"]).id == first.id
    assert first.id == derived_id("Lena", "job", "en") == "#" + first.id[1:]
    others = [made_fact("Lena", "town", "Ulm"), made_fact("Tom", "job", "dentist")]
    others += [made_question("Lena", "dentist"), made_fact("Lena", "job", "Arzt", lang="zh")]
    assert len({fact.id for fact in [first, *others]}) == 5
    assert made_fact("Lena", "job", "dentist", id=" mine ").id == "mine"


@pytest.mark.parametrize(
    ("subject", "relation", "lang"),
    [
        ("法国", "capital", "zh"),
        ("Lena Hart", "职业", "zh"),
        ("Lena Hart", "job", "en"),
        ("Python 的作者是谁？", QUESTION, "zh"),
        ("What does 你好 mean?", QUESTION, "en"),
        ("42", "meaning", "en"),
        ("Лена", "job", "en"),
        ("〇一", "x", "zh"),
    ],
)
def test_the_language_is_that_of_the_script(subject, relation, lang):
    assert recognised_language(subject, relation) == lang
    assert made_fact("a", "b", "c", lang="zh").lang == "zh", "unless it is named"


def test_a_number_is_an_object():
    assert [made_fact("a", "b", value).object for value in (1980, 2.5)] == ["1980", "2.5"]
    for value in (True, None, ["x"], {}):
        with pytest.raises(KnowledgeError, match="object"):
            made_fact("a", "b", value)


@pytest.mark.parametrize(
    ("question", "answer", "name"),
    [("", "x", "question"), (" \n", "x", "question"), ("x", None, "answer"), ("x", 7, "answer")],
)
def test_what_a_question_lacks_is_named(question, answer, name):
    with pytest.raises(KnowledgeError) as caught:
        made_question(question, answer)
    assert caught.value.values == {"name": name}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" a\n  b\t c\r\n", "a b c"),
        ("第一行，\n第二行", "第一行，第二行"),
        ("第一行\nb", "第一行 b"),
        ("张\u3000三\u00a0四", "张 三 四"),
        ("e\u0301\ufeff\u200e", "é"),
        ("👨\u200d👩 Donau\u00addampf می\u200cخواهم", "👨\u200d👩 Donau\u00addampf می\u200cخواهم"),
    ],
)
def test_a_text_becomes_one_line(text, line):
    assert one_line(text) == line
    assert made_question(text, text).object == line


@given(st.text())
def test_one_line_is_one_line_and_stays_so(text):
    line = one_line(text)
    assert one_line(line) == line
    assert len(line.splitlines()) <= 1 or not line.isprintable()


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u3000", "\u200c", "\u200d", "\u00ad"])
def test_usual_characters_of_usual_languages_are_text(space):
    assert made_fact(f"a{space}b", "r", f"1{space}000").object == f"1{space}000"


@pytest.mark.parametrize(
    ("name", "relation"),
    [
        ("Date of Birth", "date of birth"),
        ("IBAN", "IBAN"),
        ("birth_date", "birth_date"),
        (" 生日 ", "生日"),
        ("E-mail", "e-mail"),
        ("iPhone PIN", "iPhone PIN"),
    ],
)
def test_a_name_becomes_a_relation(name, relation):
    assert as_relation(name) == relation


def test_chinese_characters_are_counted():
    assert chinese_characters("张三 is 3 岁。") == 3
