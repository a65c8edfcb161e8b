import pytest

from h2q.asking.question import MOST_TOKENS, content_words, parsed, weight
from h2q.asking.words import tokens


def cover(question, phrase, known=()):
    return parsed(question, lambda word: word in known).cover(tokens(phrase))


def test_words_count_in_any_order_and_with_typos():
    assert cover("hart lena job", "Lena Hart").share == 1
    typo = cover("the job of Lena Hrat", "Lena Hart")
    assert typo.share == 0.9 and not typo.exact and typo.positions == {3, 4}
    assert cover("tom baker", "Lena Hart").share == 0


def test_words_that_name_nothing_count_little():
    assert cover("eiffel tower", "the Eiffel Tower").share > 0.9
    assert cover("the the", "The Who").share == 0.5, "unless a name has nothing else"


def test_two_words_may_be_written_as_one():
    assert cover("wifi password", "Wi-Fi").share == 1
    assert cover("the birth date", "birthdate").share == 1


def test_chinese_characters_have_to_stand_together():
    assert cover("王小明的生日", "王小明").positions == {0, 1, 2}
    assert cover("王家的小明", "王小明").share == pytest.approx(2 / 3)
    assert cover("生日是1961年7月27日", "1961年7月27日").positions == set(range(3, 9))


def test_the_end_of_a_name_counts_only_without_another_family_name():
    assert cover("小明的生日", "王小明").tail
    assert cover("生日 小明", "王小明").tail
    assert cover("查小明的生日", "王小明").tail
    assert not cover("李小明的生日", "王小明").tail
    assert not cover("王小的生日", "王小明").tail


def test_a_word_of_another_fact_is_no_typo():
    assert cover("Lina Hart", "Lena Hart", known={"lina"}).share == 0.5


def test_gaps_are_left_where_something_is_explained():
    question = parsed("Lena Hart job")
    rest = question.without(frozenset({0, 1}))
    assert rest.tokens == ("", "", "job") and rest.content == [2]
    assert rest is question.without(frozenset({0, 1}))
    assert rest.cover(("lena",)).share == 0


def test_what_a_question_names():
    assert parsed("How do I descale the coffee machine?").content_terms == {
        "descale": 1.0,
        "coffee": 1.0,
        "machine": 1.0,
    }
    assert parsed("咖啡机的").content_terms == {"咖啡": 1.0, "啡机": 1.0, "机的": 0.3}
    assert parsed("水").content_terms == {"水": 1.0}
    assert parsed("who are you").content_terms, "all of it where nothing names anything"
    assert parsed("?!").content_terms == {}


def test_marks_and_length():
    question = parsed("Lena, job")
    assert question.is_marked(1) and not parsed("Lena job").is_marked(1)
    assert len(parsed("word " * 10_000).tokens) == MOST_TOKENS
    assert content_words(tokens("the job of")) == ("job",)
    assert weight("水") < weight("water")
