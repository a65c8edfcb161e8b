import pytest

from h2q.asking.bridges import bridges
from h2q.asking.question import parsed
from h2q.asking.words import tokens


def words(text, subject, relation):
    """The words of ``text`` that lead from the subject to another one."""
    question = parsed(text)
    named = question.cover(tokens(subject)).positions
    asked = question.cover(tokens(relation)).positions
    rest = question.without(named)
    left = [place for place in rest.content if place not in asked]
    return "".join(question.tokens[place] for place in sorted(bridges(rest, named, left)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Lena Hart's sister's job", "sister"),
        ("job of the sister of Lena Hart", "sister"),
        ("job of Lena Hart", ""),
        ("lena hart job", ""),
        ("the doctor needs Lena Hart's job", ""),
        ("Lena Hart, row 3: job", ""),
        ("sister, of Lena Hart the job", ""),
    ],
)
def test_in_english(text, found):
    assert words(text, "Lena Hart", "job") == found


@pytest.mark.parametrize(
    ("text", "subject", "found"),
    [
        ("王明的妹妹的工作", "王明", "妹妹"),
        ("王明的妹妹工作", "王明", "妹妹"),
        ("王明妹妹的工作", "王明", "妹妹"),
        ("王明华的工作", "王明", "华"),
        ("王明华工作", "王明", "华"),
        ("王小明挺忙，工作呢", "王小明", ""),
        ("王明的工作", "王明", ""),
        ("王明，妹妹的工作", "王明", ""),
        ("王明滴工作", "王明", ""),
        ("我妹妹问王小明的工作", "王小明", ""),
        ("工作 王明的妹", "王明", ""),
    ],
)
def test_in_chinese(text, subject, found):
    assert words(text, subject, "工作") == found
