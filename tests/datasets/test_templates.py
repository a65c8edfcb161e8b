import json

import pytest

from h2q.datasets.knowledge_base import load_knowledge_base
from h2q.datasets.templates import (
    ANY_RELATION,
    BLANK,
    HELD_OUT,
    LANGUAGES,
    QUESTION,
    TRAIN,
    Fact,
    fill,
    longest_question_bytes,
    name_of,
    questions,
    read_wordings,
    statements,
)
from h2q.system.errors import KnowledgeError, UnusableInput
from h2q.system.paths import shipped_knowledge_dir

SPLITS = (TRAIN, *HELD_OUT)
OWNER = Fact("f1", "the cat", "owner_of", "Ann", ("Anna",), "en")


def wordings(asked: int, general: int = 12) -> dict:
    """``owner_of`` with that many questions, any relation with ``general`` of them."""
    return {
        ANY_RELATION: {
            "en": {
                "statements": ["{relation} of {subject}: {object}"],
                "questions": [f"{number}: what about {{subject}}?" for number in range(general)],
            }
        },
        "owner_of": {
            "en": {
                "statements": ["{object} owns {subject}"],
                "questions": [f"{number}: who owns {{subject}}?" for number in range(asked)],
            }
        },
    }


# Reading


def test_wordings_are_read(tmp_path):
    path = tmp_path / "wordings.json"
    path.write_text(json.dumps(wordings(3)), encoding="utf-8")
    assert read_wordings(path) == wordings(3)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"owner": 1}',
        '{"owner": ["en"]}',
        '{"owner": {"en": {"statements": ["{subject} {object}"]}}}',
        '{"owner": {"en": {"statements": "{subject} {object}", "questions": ["{subject}?"]}}}',
        '{"owner": {"en": {"statements": [7], "questions": ["{subject}?"]}}}',
        '{"owner": {"en": {"statements": [], "questions": ["{subject}?"]}}}',
        '{"owner": {"en": {"statements": ["{subject}"], "questions": ["{subject}?"]}}}',
        '{"owner": {"en": {"statements": ["{subject} {object}"], "questions": ["who?"]}}}',
        '{"o": {"en": {"statements": ["{subject} {object}"], "questions": ["{subject} {object}?"]}}}',
        '{"o": {"en": {"name": 1, "statements": ["{subject} {object}"], "questions": ["{subject}?"]}}}',
        '{"o": {"en": {"name": "", "statements": ["{subject} {object}"], "questions": ["{subject}?"]}}}',
    ],
)
def test_wordings_of_the_wrong_form_are_refused(tmp_path, content):
    path = tmp_path / "wordings.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"wordings\.json") as caught:
        read_wordings(path)
    assert caught.value.key == "knowledge.wordings"


def test_wordings_that_are_no_json_are_refused(tmp_path):
    path = tmp_path / "wordings.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UnusableInput, match=r"wordings\.json"):
        read_wordings(path)


# Which question is in which split

GOLDEN = [
    ["6:", "11"],
    ["1:", "5:"],
    ["3:", "9:"],
]  # numbers of the questions in gate, vault and dev


@pytest.mark.parametrize(("asked", "held_out"), [(5, 1), (11, 1), (12, 2), (30, 5)])
def test_a_sixth_of_the_questions_goes_to_each_split_that_is_held_out(asked, held_out):
    lists = [questions(wordings(asked), OWNER, split) for split in SPLITS]
    assert [len(one) for one in lists] == [asked - 3 * held_out, *[held_out] * 3]
    every = [template for one in lists for template in one]
    assert sorted(every) == sorted(wordings(asked)["owner_of"]["en"]["questions"])


@pytest.mark.parametrize("asked", [1, 4])
def test_few_questions_all_train_and_the_general_ones_are_held_out(asked):
    own = wordings(asked)
    assert questions(own, OWNER, TRAIN) == own["owner_of"]["en"]["questions"]
    general = own[ANY_RELATION]["en"]["questions"]
    for split in HELD_OUT:
        held_out = questions(own, OWNER, split)
        assert len(held_out) == 2 and set(held_out) <= set(general)


def test_a_question_that_trains_is_not_held_out_as_a_general_one():
    own = wordings(1)
    general = questions(own, OWNER, "gate")
    own["owner_of"]["en"]["questions"] = general[:1]
    assert questions(own, OWNER, "gate") == general[1:]


def test_the_split_depends_on_the_templates_alone():
    """Fixed values: another split would train on questions that an earlier one held out."""
    own = wordings(12)
    assert [[item[:2] for item in questions(own, OWNER, split)] for split in HELD_OUT] == GOLDEN
    own["owner_of"]["en"]["questions"].reverse()
    assert [[item[:2] for item in questions(own, OWNER, split)] for split in HELD_OUT] == GOLDEN


def test_wordings_of_the_splits_are_disjoint_for_every_shipped_fact():
    base = load_knowledge_base(shipped_knowledge_dir())
    assert set(base.wordings[ANY_RELATION]) == {"zh", "en"}
    for item in base.facts():
        lists = [questions(base.wordings, item, split) for split in SPLITS]
        assert all(lists) and len(lists[0]) >= 4
        every = [template for templates in lists for template in templates]
        assert len(set(every)) == len(every)


# Filling in


def test_a_relation_without_wordings_uses_the_general_ones():
    liked = Fact("f2", "Ann", "favourite_food", "plums", (), "en")
    [template] = statements(wordings(3), liked)
    assert fill(template, liked) == "favourite food of Ann: plums"


@pytest.mark.parametrize(
    ("blank", "sentence"),
    [("object", f"{BLANK} owns the cat"), ("subject", f"Ann owns {BLANK}")],
)
def test_a_part_can_be_left_open(blank, sentence):
    [template] = statements(wordings(3), OWNER)
    assert fill(template, OWNER, blank=blank) == sentence


def test_a_subject_that_looks_like_a_placeholder_stays():
    odd = Fact("f3", "{object}", "is", "{x} 1", (), "en")
    assert fill("{subject} is {object} {y}. {", odd) == "{object} is {x} 1 {y}. {"


@pytest.mark.parametrize(
    ("relation", "lang", "name"),
    [
        ("birth_date", "en", "birth date"),
        ("birth_date", "zh", ""),
        ("职业", "zh", "职业"),
        ("owner_of", "en", "pet's owner"),
        ("owner_of", "zh", ""),
    ],
)
def test_a_relation_is_called_by_its_name_in_a_language(relation, lang, name):
    own = wordings(3)
    own["owner_of"]["en"]["name"] = "pet's owner"
    assert name_of(own, Fact("f5", "Ann", relation, "1", (), lang)) == name


def test_general_questions_use_the_name():
    own = wordings(1)
    own[ANY_RELATION]["en"]["questions"] = [f"{n}: {{relation}} of {{subject}}?" for n in range(9)]
    assert all("{relation}" not in item for item in questions(own, OWNER, "gate"))
    assert "owner of of the cat" in fill(questions(own, OWNER, "gate")[0], OWNER)
    own["owner_of"]["en"]["name"] = "keeper"
    assert "keeper of the cat" in fill(questions(own, OWNER, "gate")[0], OWNER)


def test_the_longest_question_is_counted_in_bytes_with_the_longest_answer():
    assert longest_question_bytes(wordings(12), OWNER) == len("10: who owns the cat?Anna")
    chinese = Fact("f4", "猫", "owner_of", "安", (), "zh")
    own = {"owner_of": {"zh": wordings(12)["owner_of"]["en"]}}
    assert longest_question_bytes(own, chinese) == len("10: who owns 猫?安".encode())


# A person's own questions


QUESTIONS = [
    ("Who is Lena?", "en"),
    ("who is lena", "en"),
    ("Lena: {object}?", "en"),
    ("莉娜是谁？", "zh"),
    ("???", "en"),
]


@pytest.mark.parametrize(("question", "lang"), QUESTIONS)
def test_a_question_is_asked_in_the_persons_words_and_in_others(question, lang):
    fact = Fact("1", question, QUESTION, "the dentist", (), lang)
    asked = {
        split: {fill(template, fact) for template in questions({}, fact, split)}
        for split in (TRAIN, *HELD_OUT)
    }
    assert {question, question.lower()} <= asked[TRAIN]
    assert all(len(asked[split]) == 2 for split in HELD_OUT)
    every = [text for texts in asked.values() for text in texts]
    assert len(set(every)) == len(every), "what is held out is not trained on"
    assert all(question.lower().rstrip("?？") in text.lower() for text in every)
    assert not any("the dentist" in text for text in every)
    assert [fill(template, fact) for template in statements({}, fact)] == [
        f"{question} the dentist"
    ]
    longest = max(len(text.encode()) for text in every)
    assert longest_question_bytes({}, fact) == longest + len("the dentist")


def test_the_longest_question_is_found_among_all():
    shipped_wordings = read_wordings(shipped_knowledge_dir() / "wordings.json")
    facts = [
        Fact("1", subject, relation, "o", (), lang)
        for subject in ("s", "a long subject", "主语")
        for relation in ("capital", "symbol", "of_mine", "x" * 60)
        for lang in LANGUAGES
    ]
    for fact in facts:
        every = [
            fill(template, fact)
            for split in (TRAIN, *HELD_OUT)
            for template in questions(shipped_wordings, fact, split)
        ]
        longest = max(len(text.encode()) for text in every)
        assert longest_question_bytes(shipped_wordings, fact) == longest + 1
