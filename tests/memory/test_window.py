import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.memory.table import VOCAB
from h2q.memory.window import LENGTHS, Window, in_windows
from tests.conftest import make_text

TEXT = make_text(2_000).encode()
WINDOWS = {
    "words": [TEXT[:300], TEXT[300:450], TEXT[300:500]],
    "one byte repeated": [b"a" * 200],
    "short": [b"a", b"ab", b"abc", b"x"],
    "zeros": [bytes(50), b"ab" + bytes(9) + b"ab"],
    "random": [np.random.default_rng(0).bytes(150) for _ in range(3)],
    "few letters": [
        bytes(np.random.default_rng(n).choice(list(b"ab"), 120).tolist()) for n in range(2)
    ],
}


def known_rows(count: int) -> np.ndarray:
    rows = np.random.default_rng(1).random((count, VOCAB), np.float32)
    return rows / rows.sum(-1, keepdims=True)


def check_against_byte_by_byte(windows: list[bytes]) -> None:
    known = known_rows(sum(len(window) - 1 for window in windows))
    mixed, evidence = in_windows(windows, known)
    assert mixed.sum(-1) == pytest.approx(1, abs=1e-5)
    number = 0
    for text in windows:
        window = Window(text[:1])
        for byte in text[1:]:
            row, seen = window.mixed(known[number])
            assert mixed[number] == pytest.approx(row, rel=1e-4, abs=1e-8)
            assert evidence[number] == pytest.approx(seen)
            window.add(byte)
            number += 1


@pytest.mark.parametrize("windows", WINDOWS.values(), ids=WINDOWS)
def test_whole_windows_give_what_byte_by_byte_gives(windows):
    check_against_byte_by_byte(windows)


REPETITIVE = st.lists(st.sampled_from(b"\0ab"), min_size=1, max_size=60).map(bytes)


@settings(deadline=None, max_examples=50)
@given(st.lists(REPETITIVE, min_size=1, max_size=4))
def test_any_whole_windows_give_what_byte_by_byte_gives(windows):
    check_against_byte_by_byte(windows)


def test_what_followed_before_is_likely_again():
    window = Window(b"my word, my wor")
    row, evidence = window.mixed(np.full(VOCAB, 1 / VOCAB, np.float32))
    assert row.argmax() == ord("d") and row[ord("d")] > 0.5
    assert evidence == pytest.approx(np.log1p([1] * len(LENGTHS)))


def test_where_nothing_is_known_nothing_is_changed():
    known = known_rows(1)[0]
    row, evidence = Window(b"abcdef").mixed(known)
    assert row is known and not evidence.any()


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=20))
def test_bytes_that_are_taken_away_leave_nothing(text, more):
    window = Window(text)
    for byte in more:
        window.add(byte)
    for _ in more:
        window.pop()
    assert window._followed == Window(text)._followed
    known = known_rows(1)[0]
    assert (window.mixed(known)[0] == Window(text).mixed(known)[0]).all()


def test_no_windows_no_rows():
    mixed, evidence = in_windows([b"a"], known_rows(0))
    assert mixed.shape == (0, VOCAB) and evidence.shape == (0, len(LENGTHS))
