import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.asking.matching import Matcher
from h2q.asking.question import parsed
from h2q.asking.relations import Relations
from h2q.datasets.templates import Fact

JOB = Fact("1", "Lena Hart", "job", "dentist", ("tooth doctor",), "en")
BORN = Fact("2", "Lena Hart", "birthday", "12 March 1990", (), "en")
CITY = Fact("3", "Lena Hart", "city", "Arlen", (), "en")
工作 = Fact("4", "王小明", "工作", "老师", (), "zh")
STATED = Fact("5", "How do I reset the router?", "", "Hold the button.", (), "en")


def rate(question, fact, known=()):
    return Matcher(parsed(question, lambda word: word in known), Relations({})).rate(fact)


def score(question, fact, known=()):
    match = rate(question, fact, known)
    return match.score if match else 0.0


def test_a_question_in_full_is_certain():
    for question in ("What is the job of Lena Hart?", "lena hart job", "job: Hart, Lena"):
        assert score(question, JOB) == 1
    assert score("王小明的工作是什么", 工作) == score("工作 王小明", 工作) == 1


def test_what_is_less_certain_has_less_of_a_score():
    whole = score("lena hart job", JOB)
    assert whole > score("lena hrat job", JOB) > score("lena job", JOB) > 0.6
    assert whole > score("lena hart job paperwork", JOB) > 0.6
    assert score("小明的工作", 工作) > 0.6


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("the job of Tom Baker", JOB),
        ("lena hart phone", JOB),
        ("Lena Hart's sister's job", JOB),
        ("lena brown job", JOB),
        ("where was Lena Hart born", BORN),
        ("when does Lena Hart live", CITY),
        ("李小明的工作", 工作),
        ("王小明的妹妹的工作", 工作),
        ("how do I reset the alarm?", STATED),
        ("???", STATED),
    ],
)
def test_what_is_asked_about_another_thing_is_no_answer(question, fact):
    assert score(question, fact, known={"sister", "brown"}) < 0.6


def test_words_that_facts_know_weigh_more_than_others():
    assert score("lena hart job phone", JOB) > score("lena hart job phone", JOB, known={"phone"})


def test_the_object_may_be_in_the_question():
    match = rate("is Lena Hart a dentist?", JOB)
    assert match.answer == "dentist" and match.score > 0.6


@pytest.mark.parametrize("question", ["who is the dentist?", "whose job is tooth doctor"])
def test_an_object_leads_to_its_subject(question):
    match = rate(question, JOB)
    assert match.answer == "Lena Hart" and match.score > 0.6
    assert rate("the dentist", JOB) is None, "unless somebody is asked for"


def test_a_subject_alone_asks_for_everything_about_it():
    assert 0.6 < score("who is Lena Hart?", JOB) < 1
    assert score("how old is Lena Hart?", JOB) == 0


def test_a_question_that_was_written_down():
    assert score("reset router how", STATED) == 1
    assert rate("router reset", STATED).answer == "Hold the button."


def test_whether_the_name_is_the_one_in_the_question():
    assert rate("lena hart job", JOB).named
    assert not rate("lena job", JOB).named and not rate("lena hrat job", JOB).named
    matcher = Matcher(parsed("lena hart"), Relations({}))
    assert matcher.names_subject(JOB) and not matcher.names_subject(工作)


TEXT = st.text(st.sampled_from("Lena Hrt王明的工作是job's,?★ \u0301"), min_size=1, max_size=25)


@given(TEXT, TEXT, TEXT, TEXT)
def test_any_fact_and_any_question_have_a_score_from_0_to_1(question, subject, relation, value):
    match = rate(question, Fact("1", subject, relation, value, (), "en"))
    assert match is None or (0 < match.score <= 1 + 1e-9 and match.answer in (subject, value))
