from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.memory import counts
from h2q.memory.counts import MAX_ORDER, Counts, contexts
from tests.conftest import make_text


def counted(text: bytes) -> Counts:
    return Counts().add(lambda start, length: text[start : start + length], len(text))


def times_of(pairs) -> dict[tuple[int, int], int]:
    """How often each byte followed each context, as (context, byte)."""
    return {
        (pair >> 8, pair & 0xFF): times
        for pair, times in zip(pairs.pairs.tolist(), pairs.times.tolist())
    }


def plainly(text: bytes, order: int) -> Counter:
    """The same, counted one byte after the other. Zeros stand before the beginning."""
    padded = bytes(MAX_ORDER) + text
    return Counter(
        (int.from_bytes(padded[end - order : end], "little"), padded[end])
        for end in range(MAX_ORDER, len(padded))
    )


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_pairs_are_counted_at_every_order(text):
    for order, pairs in enumerate(counted(text).orders()):
        assert times_of(pairs) == plainly(text, order)
        assert (np.diff(pairs.pairs.astype(object)) > 0).all()


@pytest.mark.parametrize("order", range(MAX_ORDER))
def test_an_extension_is_a_different_byte_before_the_context(order):
    text = make_text(5_000).encode()
    orders = counted(text).orders()
    wanted = Counter((context >> 8, byte) for context, byte in times_of(orders[order + 1]))
    found = orders[order]
    assert dict(zip(times_of(found), found.extensions.tolist())) == wanted


def test_several_chunks_are_counted_as_one(monkeypatch):
    text = make_text(5_000).encode()
    whole = counted(text).orders()
    monkeypatch.setattr(counts, "CHUNK_BYTES", 700)
    for one, other in zip(whole, counted(text).orders()):
        assert times_of(one) == times_of(other)
        assert (one.extensions == other.extensions).all()


def test_two_texts_are_counted_one_after_the_other():
    one, two = b"abcabd", b"abcx"
    both = counted(one).add(lambda start, length: two[start : start + length], len(two)).orders()
    for order, pairs in enumerate(both):
        assert times_of(pairs) == plainly(one, order) + plainly(two, order)


LETTERS = bytes(np.random.default_rng(0).integers(97, 113, 20_000).tolist())


@pytest.mark.parametrize("text", [make_text(20_000).encode(), LETTERS], ids=["words", "letters"])
def test_rare_pairs_are_counted_for_shorter_contexts_where_there_are_too_many(monkeypatch, text):
    """Memory is bounded; what is left out of long contexts is not lost for short ones."""
    monkeypatch.setattr(counts, "CHUNK_BYTES", 1_000)
    monkeypatch.setattr(counts, "MOST_PAIRS", 1_500)
    found = counted(text)
    assert all(sum(map(len, parts)) <= 1_500 for parts in found._parts[1:])
    orders = found.orders()
    assert times_of(orders[0]) == plainly(text, 0)
    assert orders[1].times.sum() == len(text)
    exact = plainly(text, MAX_ORDER)
    assert all(times <= exact[pair] for pair, times in times_of(orders[MAX_ORDER]).items())


def test_contexts_end_with_the_latest_byte():
    found = contexts(np.frombuffer(b"abcdefghi", np.uint8))
    assert [int(value).to_bytes(7, "little") for value in found[[0, 1, 9]]] == [
        bytes(7),
        bytes(6) + b"a",
        b"cdefghi",
    ]


def test_an_empty_text_has_no_pairs():
    assert [len(pairs) for pairs in counted(b"").orders()] == [0] * (MAX_ORDER + 1)
