import pytest

from h2q.asking.asker import Asker
from h2q.system.errors import KnowledgeError
from tests.asking.conftest import FACTS, write_facts


@pytest.mark.parametrize(
    ("question", "answer", "line"),
    [
        *(("lena hart job", "dentist", 1), ("LENA HART'S JOB???", "dentist", 1)),
        *(("what does lena hrat do for a living", "dentist", 1), ("wifi pasword", "tulip-42", 4)),
        *(("when was Lena Hart born?", "12 March 1990", 2), ("王明是干啥的", "老师", 5)),
        *(("小红电话多少", "13912345678", 7), ("Lena Hart的工作是什么", "dentist", 1)),
        ("谁是老师", "王明", 5),
    ],
)
def test_facts_as_people_ask_for_them(ask, question, answer, line):
    assert ask(question) == ("fact", [(answer, f"family.jsonl:{line}")])


def test_notes_where_no_fact_answers(ask):
    source, [(line, place)] = ask("gate code")
    assert (source, place) == ("notes", "home/notes.md:4") and "May" in line


@pytest.mark.parametrize(
    "question",
    [
        *("", "?!", "Lena Hart's shoe size", "Lena Brown's job", "莉娜的工作", "王明的血型"),
        *("who won the cup in 1998?", "天空为什么是蓝的", "x" * 10_000, "\x1b[31m"),
    ],
)
def test_what_is_not_there_is_not_made_up(ask, question):
    assert ask(question) == (None, [])


def test_contradictions_are_told(family, ask, asker):
    write_facts(family / "other.jsonl", [("Lena Hart", "job", "nurse", "en")])
    asker.refresh()
    assert ask("lena hart job")[1] == [("dentist", "family.jsonl:1"), ("nurse", "other.jsonl:1")]
    assert asker.reply("lena hart job").contradicts
    assert asker.reply("who is lena hart").contradicts, "among other facts"
    assert not asker.reply("hart birthday").contradicts


def test_edited_facts_are_answered_as_they_are_now(family, ask, asker):
    edited = [("Lena Hart", "job", "surgeon", "en"), *FACTS[1:]]
    write_facts(family / "family.jsonl", edited)
    asker.refresh()
    assert ask("lena hart job") == ("fact", [("surgeon", "family.jsonl:1")])


class Model:
    """Always gives one answer; counts how often it was loaded and asked."""

    def __init__(self, answer):
        self.answer, self.loaded, self.asked = answer, 0, 0

    def load(self):
        self.loaded += 1
        return self.give

    def give(self, question):
        self.asked += 1
        return self.answer


def asking(family, model):
    return Asker(family, None, None, model.load)


def test_a_model_is_asked_only_where_no_fact_answers(family):
    model = Model("dentist")
    asker = asking(family, model)
    asker.reply("lena hart job")
    assert (model.loaded, model.asked) == (0, 0)
    reply = asker.reply("how does Lena Hart earn her bread?")
    assert reply.source == "model" and reply.guess is None
    assert [(one.answer, one.line) for one in reply.found] == [("dentist", 1)]
    asker.reply("how does Tom Hart spend the day?")
    assert (model.loaded, model.asked) == (1, 2)
    asker.close()


def test_what_nothing_supports_is_a_guess(family):
    asker = asking(family, Model("pilot"))
    reply = asker.reply("how does Lena Hart earn her bread?")
    assert (reply.source, reply.found, reply.guess) == (None, (), "pilot")
    assert asker.reply("gate code").source == "notes"
    asker.close()


def test_a_model_without_an_answer_changes_nothing(family):
    asker = asking(family, Model(None))
    assert asker.reply("how does Lena Hart earn her bread?").guess is None
    asker.close()


def test_files_without_anything_are_named(tmp_path):
    with pytest.raises(KnowledgeError, match=tmp_path.name):
        Asker(tmp_path, None, None, lambda: None)
