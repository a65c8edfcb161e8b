import numpy as np
import pytest

from h2q.generation.drafting import Drafter
from h2q.generation.sampling import draw
from h2q.memory.window import Window
from tests.conftest import make_text, memory_of


def drafter_of(known: bytes, text: bytes, temperature: float = 0.0) -> Drafter:
    return Drafter(memory_of(known), temperature, text)


def test_a_draft_is_drawn_as_the_text_is():
    """With the same random numbers and the same probabilities, the bytes are the same."""
    memory = memory_of(make_text(20_000).encode())
    noise = np.random.default_rng(0).standard_exponential((6, 256))
    text = bytearray(b"a text ")
    guess = Drafter(memory, 0.8, bytes(text)).draft(text, noise)
    assert len(guess) == 6
    window = Window(text)
    for row, byte in zip(noise, guess):
        known = memory.table.row(bytes(text[-7:])).probabilities
        mixed, _ = window.mixed(known)
        weights = (known**0.8 * mixed**0.2) ** (1 / 0.8)
        assert draw(weights[None], row[None]) == [byte]
        text.append(byte)
        window.add(byte)


def test_a_draft_goes_on_as_long_as_it_is_likely_to_be_right():
    noise = np.ones((11, 256))
    text = b"cdefg"
    known = drafter_of(b"abcdefg" * 200, text)
    assert known.draft(bytearray(text), noise) == b"abcdefgabcd"
    letters = bytes(np.random.default_rng(0).choice(list(b"abcdefg"), 2000).tolist())
    assert len(drafter_of(letters, text).draft(bytearray(text), noise)) == 7


def test_drafts_of_known_text_are_mostly_right():
    text = make_text(20_000).encode()
    drafter = drafter_of(text[:15_000], text[14_900:15_000])
    right = 0
    for end in range(15_000, 16_000):
        guess = drafter.draft(bytearray(text[:end]), np.ones((1, 256)))
        right += guess == text[end : end + 1]
        drafter.learn(text[end])
    assert right > 600


def test_without_a_memory_what_stood_earlier_in_the_text_is_guessed_again():
    text = b"xyz 2026-11-24 abc 2026-1"
    assert Drafter(None, 0.0, text).draft(bytearray(text), np.ones((4, 256))) == b"1-24"
    unknown = b"nothing is known"
    assert Drafter(None, 0.0, unknown).draft(bytearray(unknown), np.ones((4, 256))) == b""


def test_a_draft_leaves_no_trace_and_says_what_the_memory_said():
    """What is recalled for a draft is what ``Memory.recall`` gives for the text with the draft."""
    memory, text = memory_of(make_text(9_000).encode()), b"the cat sat on the mat, the ca"
    drafter = Drafter(memory, 0.5, text)
    noise = np.random.default_rng(0).standard_exponential((5, 256))
    guess = drafter.draft(bytearray(text), noise)
    assert drafter.draft(bytearray(text), noise) == guess
    recalled, whole = drafter.recalled(len(guess) + 1), memory.recall([text + guess + b"?"])
    for name in ("table", "window", "evidence"):
        wanted = getattr(whole, name)[len(text) - 1 :]
        assert getattr(recalled, name) == pytest.approx(wanted, abs=1e-4)


def test_what_is_begun_anew_is_forgotten():
    drafter = Drafter(None, 0.0, b"xyz 2026-11-24 ")
    drafter.begin(b"")
    assert drafter.draft(bytearray(b"xyz 2026-1"), np.ones((4, 256))) == b""
