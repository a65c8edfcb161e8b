import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.datasets import rewording
from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.rewording import GREETINGS, THANKS, any_words, reworded
from h2q.datasets.templates import HELD_OUT, TRAIN, questions
from h2q.system.paths import shipped_knowledge_dir

LANGS = ("en", "zh")
ASKED = {"en": "What is the home town of Lena Hart?", "zh": "李雷的职业是什么？"}


def generator(seed: int = 0) -> random.Random:
    return random.Random(seed)


def every(lang: str, count: int = 3000) -> Counter:
    source = generator()
    return Counter(reworded(ASKED[lang], lang, source) for _ in range(count))


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (rewording.lower_case, "Who is Lena?", "who is lena?"),
        (rewording.drop_end, "Who is Lena?", "Who is Lena"),
        (rewording.drop_end, "Name St. Ives.", "Name St. Ives"),
        (rewording.drop_end, "他是谁？", "他是谁"),
        (rewording.drop_end, "who", "who"),
        (rewording.western_end, "他，是谁？", "他,是谁?"),
        (rewording.double_space, "one place", "one  place"),
        (rewording.double_space, "none", "none"),
        (rewording.swap_letters, "a word", "a wrod"),
        (rewording.swap_letters, "for all", "for all"),  # too short
        (rewording.swap_letters, "boot", "boto"),
        (rewording.swap_letters, "mooo", "mooo"),
        (rewording.swap_letters, "1984 年代 naïve", "1984 年代 naïve"),
    ],
)
def test_a_change(change, before, after):
    seen = {change(before, generator(seed)) for seed in range(20)}
    assert after in seen
    assert len(seen) == 1 or change is rewording.swap_letters


def test_only_neighbours_within_a_word_are_swapped():
    text = "Which instrument does Lena play?"
    for seed in range(50):
        changed = rewording.swap_letters(text, generator(seed))
        places = [index for index, pair in enumerate(zip(text, changed)) if pair[0] != pair[1]]
        assert len(places) == 2 and places[1] == places[0] + 1
        assert sorted(changed) == sorted(text)
        assert [word[0] for word in changed.split()] == [word[0] for word in text.split()]


@pytest.mark.parametrize("lang", LANGS)
def test_politeness_stands_outside_the_question(lang):
    text = ASKED[lang]
    for seed in range(20):
        assert rewording.greet(lang)(text, generator(seed)).endswith(text)
        assert rewording.thank(lang)(text, generator(seed)).startswith(text[:-1])
    assert rewording.thank("en")("Who?", generator(1)) in {f"Who?{end}" for end in THANKS["en"]} | {
        "Who, please?"
    }


def test_an_exclamation_takes_the_place_of_the_end():
    assert {rewording.exclaim("谁？", generator(seed)) for seed in range(20)} == {
        "谁！",
        "谁??",
        "谁…",
    }
    assert "Who!" in {rewording.exclaim("Who?", generator(seed)) for seed in range(20)}


@pytest.mark.parametrize("lang", LANGS)
def test_half_of_the_questions_stay_as_they_are_and_the_others_are_of_many_kinds(lang):
    found = every(lang)
    assert 0.5 < found[ASKED[lang]] / found.total() < 0.75
    assert len(found) > 40
    assert found == every(lang)
    assert any(not text.endswith(("?", "？")) for text in found)
    assert any(text.startswith(GREETINGS[lang]) for text in found)
    assert any(text.endswith(THANKS[lang]) for text in found)
    if lang == "en":
        assert any(text.islower() for text in found) and any("  " in text for text in found)
        assert any(sorted(letters(text)) == sorted(letters(ASKED["en"])) for text in found)


@pytest.mark.parametrize("lang", LANGS)
def test_names_stand_in_either_order_among_any_words(lang):
    source = generator(3)
    made = [any_words(lang, source) for _ in range(2000)]
    assert made != [any_words(lang, generator(4)) for _ in range(2000)]
    assert len(set(made)) > 1990
    for template in made:
        assert template.count("{subject}") == template.count("{relation}") == 1
        assert letters(template) not in ("subjectrelation", "relationsubject")
        assert (" " in template) == (lang == "en") and "  " not in template
    first = [text.index("{subject}") < text.index("{relation}") for text in made]
    assert 0.4 < sum(first) / len(made) < 0.6
    asked = [text.endswith(("?", "？")) for text in made]
    assert 0.4 < sum(asked) / len(made) < 0.6
    assert max(map(len, made)) > 50


@given(st.text(min_size=1), st.sampled_from(LANGS), st.integers())
def test_any_question_can_be_reworded(text, lang, seed):
    changed = reworded(text, lang, generator(seed))
    assert "\n" in text or "\n" not in changed
    assert changed == reworded(text, lang, generator(seed))


def test_no_rule_makes_a_held_out_question_of_one_that_trains():
    """By their letters, so that case, ends and spaces make no difference."""
    base = load_knowledge_base(shipped_knowledge_dir())
    seen = set()
    for fact in base.facts():
        if (fact.relation, fact.lang) in seen:
            continue
        seen.add((fact.relation, fact.lang))
        held = {
            letters(item) for split in HELD_OUT for item in questions(base.wordings, fact, split)
        }
        for template in questions(base.wordings, fact, TRAIN):
            made = {
                letters(before + template + after)
                for before in ("", *GREETINGS[fact.lang])
                for after in ("", *THANKS[fact.lang])
            }
            assert not made & held, template
