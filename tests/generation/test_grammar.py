import numpy as np

from h2q.generation.grammar import ANY_BYTES, TEXT
from h2q.model.tokenizer import END_OF_DOCUMENT, PAD, START


def test_mask_forbids_padding_controls_and_bytes_without_meaning():
    mask = TEXT.mask(START, 10)
    forbidden = set(np.isinf(mask).nonzero()[0].tolist())
    controls = {*range(0x01, 0x20), 0x7F} - set(b"\t\n\r")
    assert forbidden == {PAD, *controls, *range(0x80, 0xC2), *range(0xF5, 0xFF)}


def test_text_may_not_end_within_a_character():
    assert TEXT.mask(START, 10)[END_OF_DOCUMENT] == 0
    assert all(TEXT.mask(state, 10)[END_OF_DOCUMENT] == -np.inf for state in range(1, 8))


def test_a_character_that_does_not_fit_is_not_begun():
    allowed = [(TEXT.mask(START, budget) == 0).sum() for budget in (1, 2, 3, 4, 1000)]
    assert allowed == sorted(allowed) and allowed[0] < allowed[1] < allowed[2] < allowed[3]
    assert allowed[3] == allowed[4]


def test_any_byte_but_padding_may_follow_any():
    state = START
    for byte in range(256):
        mask = ANY_BYTES.mask(state, 1)
        assert np.flatnonzero(mask < 0).tolist() == [PAD]
        state = ANY_BYTES.transitions[state][byte]
