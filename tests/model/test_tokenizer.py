import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from h2q.model.tokenizer import (
    END_OF_DOCUMENT,
    PAD,
    PENDING,
    START,
    TRANSITIONS,
    VOCAB_SIZE,
    IncrementalDecoder,
    allowed_bytes,
    decode,
    encode,
)

STATES = range(len(TRANSITIONS))
any_text = st.text(st.characters())  # lone surrogates included
# Bytes near to UTF-8: whole characters among single bytes of any kind.
nearly_utf8 = st.lists(st.text(max_size=3).map(encode) | st.binary(max_size=2)).map(b"".join)


def state_after(data: bytes) -> int | None:
    """The state of the automaton after ``data``; None if it refuses ``data``."""
    state = START
    for byte in data:
        if byte not in TRANSITIONS[state]:
            return None
        state = TRANSITIONS[state][byte]
    return state


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return 0 not in data


def is_beginning_of_utf8(data: bytes) -> bool:
    """Whether some bytes can complete it. The incremental decoder cannot tell: it refuses a
    surrogate only at its third byte."""
    return any(is_utf8(data + byte * n) for byte in (b"\x80", b"\xbf") for n in range(4))


@given(st.text())
def test_round_trip(text):
    assert decode(encode(text)) == text


@given(any_text)
def test_any_text_encodes_to_utf8(text):
    encode(text).decode("utf-8", "strict")


@pytest.mark.parametrize(
    ("text", "encoded"),
    [("", ""), ("\ud800", "\ufffd"), ("a\udfffb", "a\ufffdb"), ("\ud83d\ude00\ud83d", "😀\ufffd")],
)
def test_lone_surrogates_become_replacement_characters(text, encoded):
    assert encode(text) == encoded.encode("utf-8")


@pytest.mark.parametrize(("text", "size"), [("a", 1), ("é", 2), ("学", 3), ("😀", 4)])
def test_a_token_is_a_byte(text, size):
    assert len(encode(text)) == size


@given(st.binary() | nearly_utf8)
def test_any_bytes_decode(data):
    assert decode(data) == data.decode("utf-8", "replace")


@given(st.lists(st.binary(max_size=5)) | nearly_utf8.map(lambda data: [bytes([b]) for b in data]))
def test_incremental_decoding_in_any_split_equals_whole_decoding(parts):
    decoder = IncrementalDecoder()
    assert "".join(map(decoder.feed, parts)) + decoder.finish() == decode(b"".join(parts))


@given(st.text(min_size=1))
def test_characters_come_whole_and_at_once(text):
    decoder = IncrementalDecoder()
    for character in text:
        *begin, last = encode(character)
        assert [decoder.feed(bytes([byte])) for byte in begin] == [""] * len(begin)
        assert decoder.feed(bytes([last])) == character
    assert decoder.finish() == ""


def test_control_bytes_are_in_no_text():
    assert state_after(bytes([END_OF_DOCUMENT])) is None
    assert state_after(bytes([PAD])) is None
    assert END_OF_DOCUMENT < VOCAB_SIZE
    with pytest.raises(UnicodeDecodeError):
        bytes([END_OF_DOCUMENT]).decode("utf-8")


def test_automaton_accepts_every_character_but_nul():
    for code in range(1, 0x110000):
        if not 0xD800 <= code <= 0xDFFF:
            assert state_after(chr(code).encode("utf-8")) == START, hex(code)


def test_automaton_accepts_nothing_else():
    """The number of paths from one character to the next is the number of characters."""
    ways, total = {START: 1}, 0
    for _ in range(4):
        following = dict.fromkeys(STATES, 0)
        for state, count in ways.items():
            for target in TRANSITIONS[state].values():
                following[target] += count
        total += following.pop(START)
        ways = following
    assert not any(ways.values())
    assert total == 0x110000 - 0x800 - 1  # less surrogates and NUL


@given(st.binary(max_size=8) | nearly_utf8)
@example(b"\xed\xa0")
def test_automaton_agrees_with_the_strict_decoder_on_every_beginning(data):
    for end in range(len(data) + 1):
        assert (state_after(data[:end]) is not None) == is_beginning_of_utf8(data[:end])


@given(st.binary(max_size=8) | nearly_utf8)
def test_automaton_is_between_characters_where_text_is_whole(data):
    assert (state_after(data) == START) == is_utf8(data)


@pytest.mark.parametrize("state", STATES)
def test_pending_is_the_fewest_bytes_to_the_end_of_the_character(state):
    reached, steps = {state}, 0
    while START not in reached:
        reached = {target for at in reached for target in TRANSITIONS[at].values()}
        steps += 1
    assert PENDING[state] == steps


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("budget", range(6))
def test_allowed_bytes_are_those_that_leave_room_to_finish(state, budget):
    expected = {
        byte for byte in TRANSITIONS[state] if 1 + PENDING[TRANSITIONS[state][byte]] <= budget
    }
    assert set(allowed_bytes(state, budget)) == expected


@given(st.integers(1, 12), st.data())
def test_allowed_bytes_never_lead_beyond_the_budget(budget, data):
    """Whatever is drawn, exactly ``budget`` bytes are whole characters, and there is a choice."""
    state, drawn = START, []
    for left in range(budget, 0, -1):
        drawn.append(data.draw(st.sampled_from(allowed_bytes(state, left))))
        state = TRANSITIONS[state][drawn[-1]]
    assert state == START
    assert len(bytes(drawn).decode("utf-8", "strict")) <= budget


@pytest.mark.parametrize(("budget", "first"), [(0, 0), (1, 127), (2, 157), (3, 173), (4, 178)])
def test_a_character_that_would_not_fit_is_not_begun(budget, first):
    """1, 2, 3 and 4 bytes: 127 ASCII, 30, 16 and 5 lead bytes."""
    assert len(allowed_bytes(START, budget)) == first
