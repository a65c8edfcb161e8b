"""What the benchmarks compute by themselves; what they measure is in ``benchmarks/RESULTS.md``."""

import json
import math
import random
import sys

import pytest

from h2q.system.paths import shipped_knowledge_dir
from tests.conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))
from ask import ANSWERED, REFUSED, all_lines, bm25, grep, is_right
from ask_notebooks import DATA, Asked, Notebook, misspelt
from memory import copied_share
from opponents import primed_nats, primed_window_nats, xz

TRAIN = random.Random(0).randbytes(500)


def test_text_from_the_training_text_is_copied():
    assert copied_share([TRAIN[100:300]], TRAIN) == 1
    assert copied_share([TRAIN[100:164]], TRAIN) == 1


def test_a_passage_that_is_too_short_is_not_copied():
    assert copied_share([TRAIN[100:163], TRAIN[163:226]], TRAIN) == 0


def test_only_the_bytes_of_copied_passages_count():
    """Two passages, the second one's windows overlapping each other, among bytes of its own."""
    other = bytes(50)
    text = other + TRAIN[:64] + other + TRAIN[200:270] + other
    assert copied_share([text, other], TRAIN) == pytest.approx((64 + 70) / (len(text) + 50))


def test_held_out_text_costs_what_it_adds():
    assert primed_nats(len, TRAIN, b"ten bytes!") == pytest.approx(80 * math.log(2))


def test_the_first_byte_of_a_window_costs_nothing():
    windows = [b"window", b"other window"]
    assert primed_window_nats(len, TRAIN, windows) == pytest.approx((5 + 11) * 8 * math.log(2))


def test_text_that_was_seen_costs_a_compressor_little():
    seen, unseen = xz(TRAIN, TRAIN), xz(TRAIN, random.Random(1).randbytes(500))
    assert seen < 0.1 * unseen
    assert unseen == pytest.approx(8 * 500 * math.log(2), rel=0.1)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_notebook_has_its_questions_with_their_places(lang, tmp_path):
    notebook = Notebook(lang, 5)
    notebook.write(tmp_path)
    lines = dict(map(reversed, all_lines(tmp_path)))
    kinds = {asked.kind for asked in notebook.asked()}
    assert kinds == {*ANSWERED, *REFUSED} - {"edited", "other forms"}
    for asked in notebook.asked():
        assert bool(asked.places) == bool(asked.answer) == (asked.kind in ANSWERED)
        assert all(asked.answer in lines[place] for place in asked.places)
    assert [fact.object for fact in Notebook(lang, 5).facts] == [f.object for f in notebook.facts]
    assert len(set(DATA[lang]["forms"])) >= 40


def test_edited_facts_are_others(tmp_path):
    notebook = Notebook("en", 5)
    before = notebook.edit(0.2)
    now = {(fact.subject, fact.relation): fact.object for fact in notebook.facts}
    assert len(before) > 40
    assert all(now[fact.subject, fact.relation] != fact.object for fact in before)


@pytest.mark.parametrize("seed", range(20))
def test_a_typo_changes_one_word_and_keeps_most_of_it(seed):
    typed = misspelt("Lena Castellan", random.Random(seed))
    assert typed.startswith("Lena C") and abs(len(typed) - 14) <= 1
    assert misspelt("王明", random.Random(seed)) == "王 明"
    assert misspelt("cat", random.Random(seed)) == "cat"


def test_forms_are_not_the_templates_that_are_trained_on():
    wordings = json.loads((shipped_knowledge_dir() / "wordings.json").read_text("utf-8"))
    for lang in ("en", "zh"):
        trained = {
            text
            for one in wordings.values()
            for text in one.get(lang, {"questions": []})["questions"]
        }
        assert trained.isdisjoint(DATA[lang]["forms"])


def test_what_counts_as_right():
    asked = Asked("forms", "q", "dentist", ("a:1",))
    strict, line = (
        {"place_only": False, "needs_place": True},
        {"place_only": True, "needs_place": True},
    )
    model = {"place_only": False, "needs_place": False}
    assert is_right(asked, ("dentist", "a:1"), **strict)
    assert not is_right(asked, ("dentist", "a:2"), **strict) and not is_right(asked, None, **strict)
    assert is_right(asked, ("the line", "a:1"), **line) and is_right(
        asked, ("dentist", ""), **model
    )
    nowhere = Asked("stranger", "q")
    assert is_right(nowhere, None, **strict) and not is_right(nowhere, ("x", "a:1"), **strict)


def test_the_opponents_find_a_line(tmp_path):
    Notebook("en", 5).write(tmp_path)
    for opponent in (bm25, grep):
        answer = opponent(tmp_path, "en")
        assert answer("hydrangea")[1] == "notes.txt:7" and answer("xyzzy") is None
        assert answer("?!") is None
