import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h2q.generation.stopping import LoopGuard, StopStrings


def run(text: bytes, stop: list[bytes]) -> tuple[bytes, bool]:
    strings = StopStrings(stop)
    out = b""
    for byte in text:
        piece, stopped = strings.add(byte)
        out += piece
        if stopped:
            return out, True
    return out + strings.finish(), False


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_text_ends_before_the_stop_string_that_is_complete_first(text, stop):
    ends = [(text.find(s) + len(s), -len(s)) for s in stop if s in text]
    data, stopped = run(text.encode(), [s.encode() for s in stop])
    assert stopped == bool(ends)
    if not ends:
        assert data.decode() == text
    else:
        first = min(end for end, _ in ends)
        assert any(data.decode() + s == text[:first] for s in stop), (
            "all before it, and nothing of it"
        )


def test_nothing_of_a_stop_string_is_let_out_early():
    strings = StopStrings(["结束".encode()])
    pieces = [strings.add(byte) for byte in "好结果".encode()]
    assert b"".join(text for text, _ in pieces[:3]) == "好".encode()
    assert all(not text for text, _ in pieces[3:6]), "结 may still become 结束"
    assert b"".join(text for text, _ in pieces) + strings.finish() == "好结果".encode()


def loops_at(text: bytes, times: int) -> int | None:
    guard = LoopGuard(times)
    return next((i + 1 for i, byte in enumerate(text) if guard.add(byte)), None)


@pytest.mark.parametrize("period", [1, 7, 40, 256])
@pytest.mark.parametrize("times", [2, 4])
def test_a_passage_that_comes_again_and_again_is_noticed(period, times):
    before = bytes(range(256))
    passage = bytes((7 * i + 3) % 256 for i in range(period))
    found = loops_at(before + passage * 40, times)
    wanted = len(before) + max(period * times, 32)
    assert wanted - 1 <= found <= wanted


def test_ordinary_repetition_is_let_be():
    assert loops_at("哈哈哈哈哈！ha ha ha ha. ------------------".encode(), 4) is None
    words = itertools.cycle(["to be or not to be ", "that is the question ", "whether tis nobler "])
    text = "".join(f"{word}{i} " for i, word in zip(range(60), words))
    assert loops_at(text.encode(), 3) is None
