from h2q.asking.synonyms import others
from h2q.asking.words import tokens


def test_other_words_for_a_relation_in_both_languages():
    found = others(["job"])
    assert ("profession",) in found and tuple("工作") in found and ("job",) not in found
    assert ("job",) in others(tuple("工作"))


def test_a_part_of_a_phrase_is_replaced():
    assert ("private", "telephone") in others(["private", "phone"])


def test_the_longest_part_goes_first():
    found = others(tokens("phone number"))
    assert ("mobile",) in found
    assert not any("serial" in phrase for phrase in found)


def test_a_relation_that_nobody_thought_of_has_no_other_words():
    assert others(["zodiac"]) == []
