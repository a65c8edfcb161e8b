import pytest

from h2q.evaluation.exact_match import ANSWER_BYTES
from h2q.evaluation.text_quality import quality, relevance, repetition

SOURCES = ["The capital of France is Paris.", "Gold has the symbol Au.", "Kites fly high."]


def test_repetition_counts_grams_that_came_before():
    assert repetition(["abcabcabc"]) == pytest.approx(1 - 3 / 6)
    assert repetition(["abcdef", ""]) == 0
    assert repetition([]) == repetition(["abc"]) == 0


def test_relevance_is_overlap_with_the_right_source():
    assert relevance(["Paris of France", "symbol Au", "Kites"], SOURCES) > 0.5
    assert relevance(["symbol Au", "Kites", "Paris of France"], SOURCES) < -0.2
    assert relevance(["qqq", "", "xyz"], SOURCES) == 0


def test_quality_of_answers():
    found = quality(
        [[b"Paris", b"Paris"], [b"Au", b"Ag"], [b"\xff\xff", b"x" * ANSWER_BYTES]],
        SOURCES,
        ["Paris", "Au", "aaaaaaaa"],
    )
    assert found.consistency == pytest.approx(1 / 3)
    assert found.validity == pytest.approx(4 / 6)
    assert found.repetition == pytest.approx((ANSWER_BYTES - 4) / (ANSWER_BYTES - 3) / 3)
    assert found.real_repetition == pytest.approx(4 / 5 / 2)
    assert found.relevance > 0


def test_an_empty_answer_is_not_valid():
    assert quality([[b""]], ["source"], [""]).validity == 0
