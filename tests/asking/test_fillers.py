import pytest

from h2q.asking.fillers import asks_for_one_thing, fillers, is_filler
from h2q.asking.words import tokens


def named(text):
    found = tokens(text)
    return [token for token, filler in zip(found, fillers(found)) if not filler]


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("Could you please tell me what the job of Lena is?", ["job", "lena"]),
        ("which month, and what kind?", []),
        ("a month in Rome", ["month", "rome"]),
        ("请问张三的工作是什么呀", list("张三工作")),
        ("垃圾桶哪天推", list("垃圾桶推")),
    ],
)
def test_what_names_something_is_left(question, left):
    assert named(question) == left


def test_a_gap_separates_chinese_fillers():
    assert fillers(["知", "", "道"]) == [False, False, False]
    assert fillers(["知", "道"]) == [True, True]


def test_what_asks_for_one_thing():
    assert asks_for_one_thing(tokens("how old is Lena"))
    assert asks_for_one_thing(tokens("张三什么时候来"))
    assert not asks_for_one_thing(tokens("who is Lena"))
    assert is_filler("the") and not is_filler("lena")
