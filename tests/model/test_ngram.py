import numpy as np
import pytest

from h2q.model.ngram import NO_DRAFTS, TABLE_ROWS, DraftTable, draft_table, sample_text
from tests.conftest import make_text


def rows_of(text: bytes) -> dict[bytes, dict[int, int]]:
    """The table as a dictionary: passage, bytes that followed it, and how often each did."""
    found = {}
    for *passage, byte, times in draft_table(text).tolist():
        found.setdefault(bytes(passage).lstrip(b"\0"), {})[byte] = times
    return found


def test_the_table_counts_what_followed():
    rows = rows_of(b"abcabcabcabdabc")
    assert rows[b"ab"] == {ord("c"): 4, ord("d"): 1}
    assert rows[b"cabc"] == {ord("a"): 2}
    assert b"dabc" not in rows, "came once"


def test_what_came_very_often_is_scaled_to_a_byte():
    rows = rows_of(b"a" * 1000 + b"b")
    assert rows[b"a"] == {ord("a"): 255, ord("b"): 1}


def mixed(rows: dict[bytes, dict[int, int]], passages: list[bytes]) -> np.ndarray:
    wanted = np.full(256, 1 / 256)
    for known in map(rows.get, passages):
        new = 5 * len(known)
        total = sum(known.values()) + new
        wanted *= new / total
        for byte, times in known.items():
            wanted[byte] += times / total
    return wanted


def test_probabilities_mix_passages_of_all_lengths():
    """Witten and Bell, cautiously: 1 of 256 bytes, then a, ab, cab as they followed and how often."""
    text = b"abcabcabcabdabc"
    table = DraftTable(draft_table(text))
    for tail, known in ((b"xcab", [b"b", b"ab", b"cab"]), (b"", []), (b"x", []), (b"b", [b"b"])):
        found = table.probabilities(tail)
        assert found == pytest.approx(mixed(rows_of(text), known))
        assert found.sum() == pytest.approx(1)
    five = [b"c", b"bc", b"abc", b"cabc", b"bcabc"]
    assert table.probabilities(b"zzbcabc") == pytest.approx(mixed(rows_of(text), five))


def test_a_table_of_shorter_passages_is_read_too():
    """Model files of earlier versions have passages of four bytes."""
    rows = draft_table(make_text(20_000).encode())
    shorter = rows[rows[:, 0] == 0]
    assert 0 < len(shorter) < len(rows)
    before, now = DraftTable(shorter[:, 1:]), DraftTable(shorter)
    for tail in (b"the ", b" of t", b"e", b"zqzqz"):
        assert (before.probabilities(tail) == now.probabilities(tail)).all()


def test_the_table_stays_small():
    data = bytes(np.random.default_rng(0).integers(1, 255, 400_000, dtype=np.uint8))
    table = draft_table(data)
    assert table.dtype == np.uint8 and table.shape[1] == 7
    assert 0 < len(table) <= TABLE_ROWS
    assert len(draft_table(b"")) == len(draft_table(b"x")) == 0


def test_a_large_text_is_sampled_all_over():
    read = []

    def reading(start, length):
        read.append((start, start + length))
        return bytes(length)

    size = 10**9
    assert len(sample_text(size, reading)) == 2**22
    assert read[0][0] == 0 and size - 64 <= read[-1][1] <= size
    assert sample_text(10, reading) == bytes(10)


def test_memory_of_the_probabilities_is_bounded():
    table = DraftTable(draft_table(b"some text"))
    for number in range(10_000):
        table.probabilities(number.to_bytes(2, "big"))
    assert 0 < len(table._mixtures) <= 2**13


def test_the_table_of_no_text_prefers_no_byte():
    table = DraftTable(NO_DRAFTS)
    assert len(table) == 0
    assert (table.probabilities(b"abc") == 1 / 256).all()
