import numpy as np

from conftest import make_text
from h2q.drafts import TABLE_ROWS, Drafter, draft_table, sample_text


def test_the_table_knows_what_followed_most_often():
    table = draft_table(b"abcabcabcabdabc")
    index = Drafter.index(table)
    assert index[b"ab"] == (ord("c"), 170 / 255)  # 4 of 5 times: 255 * 4 // 6
    assert index[b"cabc"][0] == ord("a")
    assert b"cabd" not in index, "came once"


def test_the_table_stays_small():
    data = bytes(np.random.default_rng(0).integers(1, 255, 400_000, dtype=np.uint8))
    table = draft_table(data)
    assert table.dtype == np.uint8 and table.shape[1] == 6
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


def test_drafts_of_known_text_are_mostly_right():
    text = make_text(20_000).encode()
    drafter = Drafter(Drafter.index(draft_table(text[:15_000])))
    right = tried = 0
    for end in range(15_000, 16_000):
        guess = drafter.draft(bytearray(text[:end]), 1)
        tried += len(guess)
        right += guess == text[end : end + 1] and bool(guess)
    assert tried > 500 and right > 0.6 * tried


def test_what_stood_earlier_in_the_text_is_guessed_again():
    drafter, text = Drafter({}), bytearray()
    for byte in b"xyz 2026-11-24 abc 2026-11-24":
        text.append(byte)
        drafter.learn(text)
    assert drafter.draft(bytearray(b"xyz 2026-1"), 4).startswith(b"1-24")
    assert drafter.draft(bytearray(b"nothing known"), 4) == b""


def test_memory_of_a_text_without_end_is_bounded():
    drafter, text = Drafter({}), bytearray(8)
    for byte in np.random.default_rng(0).integers(1, 255, 40_000).tolist():
        text = text[-7:] + bytes([byte])
        drafter.learn(text)
    assert len(drafter._earlier) <= 2**14
