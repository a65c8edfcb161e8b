import numpy as np

from h2q.generation.drafting import Drafter
from h2q.generation.sampling import draw
from h2q.model.ngram import NO_DRAFTS, DraftTable, draft_table
from tests.conftest import make_text


def test_a_draft_is_drawn_as_the_text_is():
    """With the same random numbers and the same probabilities, the bytes are the same."""
    table = DraftTable(draft_table(make_text(20_000).encode()))
    noise = np.random.default_rng(0).standard_exponential((6, 256))
    drafter, text = Drafter(table, 0.8), bytearray(b"a text ")
    guess = drafter.draft(text, noise)
    assert len(guess) >= 5
    for row, byte in zip(noise, guess):
        weights = table.probabilities(bytes(text[-6:])) ** (1 / 0.8)
        assert draw(weights[None], row[None]) == [byte]
        text.append(byte)


def test_a_draft_goes_on_as_long_as_it_is_likely_to_be_right():
    noise = np.ones((11, 256))
    known = Drafter(DraftTable(draft_table(b"abcdefg" * 200)), 0.0)
    assert known.draft(bytearray(b"cdefg"), noise) == b"abcdefgabcd"
    letters = bytes(np.random.default_rng(0).choice(list(b"abcdefg"), 2000))
    unknown = Drafter(DraftTable(draft_table(letters)), 0.0)
    assert len(unknown.draft(bytearray(b"cdefg"), noise)) == 7


def test_drafts_of_known_text_are_mostly_right():
    text = make_text(20_000).encode()
    drafter = Drafter(DraftTable(draft_table(text[:15_000])), 0.0)
    right = 0
    for end in range(15_000, 16_000):
        guess = drafter.draft(bytearray(text[:end]), np.ones((1, 256)))
        right += guess == text[end : end + 1]
    assert right > 600


def test_what_stood_earlier_in_the_text_is_guessed_again():
    drafter, text = Drafter(DraftTable(NO_DRAFTS), 0.0), bytearray()
    for byte in b"xyz 2026-11-24 abc 2026-11-24":
        text.append(byte)
        drafter.learn(text)
    assert drafter.draft(bytearray(b"xyz 2026-1"), np.ones((4, 256))) == b"1-24"
    assert drafter.draft(bytearray(b"nothing known"), np.ones((4, 256))) == b""


def test_memory_of_a_text_without_end_is_bounded():
    drafter, text = Drafter(DraftTable(NO_DRAFTS), 0.8), bytearray(8)
    for byte in np.random.default_rng(0).integers(1, 255, 40_000).tolist():
        text = text[-7:] + bytes([byte])
        drafter.learn(text)
    assert len(drafter._earlier) <= 2**14
