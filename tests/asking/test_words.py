import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.asking.words import likeness, misspellings, runs, separated, stem, terms, tokens

WORD = st.text(st.sampled_from("abcdeghlmnoprt"), min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Lena Hart's birth_date?", ["lena", "hart", "birth", "date"]),
        ("O’Brien, Wi-Fi; Ｃａｆé 12:30", ["obrien", "wi", "fi", "cafe", "12", "30"]),
        ("张三 的 Wi-Fi密码", ["张", "三", "的", "wi", "fi", "密", "码"]),
        ("ÅNGSTRÖM straße", ["angstrom", "strasse"]),
        ("?! …", []),
    ],
)
def test_tokens_have_no_capitals_accents_or_marks(text, found):
    assert tokens(text) == found


def test_what_stands_between_two_tokens_is_kept():
    assert [before for _, before in separated("王明, is 张 三")] == ["", "", ", ", " ", " "]


def test_chinese_characters_are_joined_again():
    assert list(runs(["张", "三", "wifi", "密", "码"])) == ["张三", "wifi", "密码"]


def test_an_index_has_words_pairs_of_characters_and_neighbours_as_one():
    assert terms(tokens("Wi-Fi 密码本")) == ["wi", "fi", "密码", "码本", "wifi"]
    assert terms(["水"]) == ["水"]


@pytest.mark.parametrize(
    ("word", "typed"),
    [
        *(("lena", "lnea"), ("lena", "elna"), ("lena", "lna"), ("lena", "lenna"), ("job", "jobb")),
        ("birthday", "brithdya"),
    ],
)
def test_a_word_with_a_typo_is_likely_that_word(word, typed):
    assert likeness(word, typed) == likeness(typed, word) == 0.8


@pytest.mark.parametrize(
    ("word", "other"),
    [
        *(("lena", "hart"), ("anna", "hanna"), ("tom", "tim"), ("1234", "1235")),
        *(("水", "冰"), ("job", "jxbb"), ("lena", "lxxa"), ("birthday", "bxrxhxay")),
    ],
)
def test_another_word_is_no_typo(word, other):
    assert likeness(word, other) == 0


def test_endings_make_a_word_a_little_less_like():
    assert stem("bleeding") == stem("bleeds") == "bleed"
    assert stem("lives") == stem("live") == stem("lived") or likeness("lives", "lived") > 0
    assert 0.8 < likeness("bleeding", "bleed") < 1


@given(WORD, st.integers(0, 11), st.sampled_from("xyz"), st.sampled_from(["drop", "add", "swap"]))
def test_one_typo_is_found_by_what_both_words_have_in_common(word, place, letter, kind):
    place %= len(word) - 1
    typed = {
        "drop": word[:place] + word[place + 1 :],
        "add": word[:place] + letter + word[place:],
        "swap": word[:place] + word[place + 1] + word[place] + word[place + 2 :],
    }[kind]
    assert not set(misspellings(word)).isdisjoint(misspellings(typed))
    if place or kind == "swap":
        assert likeness(word, typed) > 0


@given(st.text(max_size=40))
def test_tokens_of_any_text_can_be_searched_for(text):
    found = tokens(text)
    assert all(token and '"' not in token and not token.isspace() for token in found)
    assert tokens(" ".join(found)) == found or any(len(token) > 39 for token in found)
