import json

from h2q.asking.answers import Lookup
from h2q.asking.index import Index
from h2q.asking.question import parsed
from h2q.asking.sources import find_sources
from tests.asking.conftest import write_facts


def looked_up(directory):
    index = Index(None)
    index.refresh(find_sources(directory, None))
    return Lookup(index, {})


def test_facts_that_contradict_are_both_shown(tmp_path):
    write_facts(tmp_path / "a.jsonl", [("Ada", "job", "pilot", "en"), ("Bo", "job", "cook", "en")])
    write_facts(
        tmp_path / "b.jsonl", [("ada", "job", "nurse", "en"), ("Ada", "job", "Pilot", "en")]
    )
    lookup = looked_up(tmp_path)
    found = lookup.facts(parsed("ada's job"))
    assert [(one.answer, one.file, one.line, one.about) for one in found] == [
        ("pilot", "a.jsonl", 1, ""),
        ("nurse", "b.jsonl", 1, ""),
    ]
    lookup.index.close()


def test_what_the_answer_is_about_is_said_where_the_question_does_not(family):
    lookup = looked_up(family)
    [found] = lookup.facts(parsed("lena's job"))
    assert found.about == "Lena Hart · job"
    [found] = lookup.facts(parsed("lena hart's job"))
    assert found.about == ""
    both = lookup.facts(parsed("hart job"))
    assert [one.about for one in both] == ["Lena Hart · job", "Tom Hart · job"]
    [found] = lookup.facts(parsed("who is a baker"))
    assert (found.answer, found.about) == ("Tom Hart", "Tom Hart · job")
    lookup.index.close()


def test_facts_that_support_an_answer(family):
    lookup = looked_up(family)
    question = parsed("what does Lena Hart earn her bread with?")
    [found] = lookup.supporting(question, " Dentist")
    assert (found.answer, found.file, found.line) == ("dentist", "family.jsonl", 1)
    assert lookup.supporting(question, "baker") == ()
    lookup.index.close()


def test_a_long_line_is_shortened(tmp_path):
    (tmp_path / "n.txt").write_text("gate code " + "x" * 900)
    lookup = looked_up(tmp_path)
    [found] = lookup.notes(parsed("gate code"))
    assert len(found.answer) == 501 and found.answer.endswith("…")
    lookup.index.close()


def test_a_subject_of_one_character(tmp_path):
    (tmp_path / "f.jsonl").write_text(
        json.dumps(
            {"id": "1", "subject": "水", "relation": "化学式", "object": "H2O", "lang": "zh"}
        )
    )
    lookup = looked_up(tmp_path)
    assert [one.answer for one in lookup.facts(parsed("水的化学式是什么"))] == ["H2O"]
    lookup.index.close()
