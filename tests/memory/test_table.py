from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.memory.counts import MAX_ORDER, Counts, contexts
from h2q.memory.table import EVIDENCE, NgramTable, TableError, packed
from tests.conftest import make_text
from tests.memory.test_counts import counted, plainly

TEXTS = {
    "one byte repeated": b"a" * 3_000,
    "300 bytes": make_text(300).encode(),
    "random bytes": np.random.default_rng(0).bytes(5_000),
    "all bytes": bytes(range(256)) * 3,
    "one byte": b"a",
    "two bytes": b"ab",
    "words": make_text(8_000).encode(),
}


def table_of(text: bytes, order: int = MAX_ORDER, budget: int = 2**24) -> NgramTable:
    return NgramTable(packed(counted(text).orders(), order, budget))


def modified_kneser_ney(text: bytes, order: int):
    """A function from a context to the probabilities (256,) of the next byte: modified Kneser-Ney
    as Chen and Goodman write it down, with dictionaries."""
    counts, discounts = [], []
    for length in range(order + 1):
        found = plainly(text, length)
        if length < order:
            found = Counter((context >> 8, byte) for context, byte in plainly(text, length + 1))
        ones, twos, threes, fours = (
            max(1, sum(count == n for count in found.values())) for n in (1, 2, 3, 4)
        )
        share = ones / (ones + 2 * twos)
        taken = (
            1 - 2 * share * twos / ones,
            2 - 3 * share * threes / twos,
            3 - 4 * share * fours / threes,
        )
        discounts.append([min(max(d, 0.05), n - 0.05) for n, d in enumerate(taken, 1)])
        by_context = defaultdict(dict)
        for (context, byte), count in found.items():
            by_context[context][byte] = count
        counts.append(by_context)

    def probabilities(context: bytes) -> np.ndarray:
        found = np.full(256, 1 / 256)
        for length in range(order + 1):
            latest = int.from_bytes(context[len(context) - length :], "little")
            if latest not in counts[length]:
                break
            followed = counts[length][latest]
            total = sum(followed.values())
            taken = {byte: discounts[length][min(n, 3) - 1] for byte, n in followed.items()}
            found = found * sum(taken.values()) / total
            for byte, count in followed.items():
                found[byte] += (count - taken[byte]) / total
        return found

    return probabilities


@pytest.mark.parametrize("order", [1, 3, 5, 7])
def test_the_probabilities_are_those_of_modified_kneser_ney(order):
    """Up to the rounding of counts above 128."""
    text = make_text(2_000).encode()
    table, wanted = table_of(text, order), modified_kneser_ney(text, order)
    place = contexts(np.frombuffer(text[-300:], np.uint8))
    found, _ = table.probabilities(place)
    for number, row in enumerate(found):
        context = int(place[number]).to_bytes(MAX_ORDER, "little")
        assert row == pytest.approx(wanted(context), rel=0.03, abs=1e-6)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("order", [1, 4, 7])
def test_probabilities_are_positive_and_sum_to_one(text, order):
    table = table_of(text, order)
    asked = np.frombuffer(text[:200] + b"\xff\x01never seen", np.uint8)
    rows, evidence = table.probabilities(contexts(asked))
    assert (rows > 0).all() and np.isfinite(evidence).all() and evidence.shape[1] == EVIDENCE
    assert rows.sum(-1) == pytest.approx(1, abs=1e-5)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300), st.binary(max_size=20))
def test_one_row_is_a_row_of_many(text, asked):
    table = table_of(text)
    rows, evidence = table.probabilities(contexts(np.frombuffer(asked, np.uint8)))
    assert rows.sum(-1) == pytest.approx(1, abs=1e-5)
    for end in range(len(asked) + 1):
        row = table.row(asked[:end])
        assert row.probabilities == pytest.approx(rows[end], rel=1e-5)
        assert (row.evidence == evidence[end]).all()
        assert row.logs == pytest.approx(np.log(rows[end]), abs=1e-5)


def test_rows_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr("h2q.memory.table._CACHED", 50)
    text = make_text(3_000).encode()
    table = table_of(text)
    for end in range(500):
        table.row(text[:end])
        assert len(table._rows) <= 52


def test_what_was_seen_often_is_evident():
    evidence = table_of(b"abcabcabx", 2).row(b"ab").evidence
    assert evidence[4:6] == pytest.approx(np.log1p([3, 2]))  # "ab" came three times, before c or x
    assert not evidence[6:].any()


@pytest.mark.parametrize("budget", [20_000, 5_000, 1_000])
def test_rare_contexts_are_left_out_until_it_fits(budget):
    text = make_text(20_000).encode()
    whole, pruned = table_of(text), table_of(text, budget=budget)
    assert pruned.size_bytes <= budget + 4 * 3 * (MAX_ORDER + 1) < whole.size_bytes
    left = np.frombuffer(text, np.uint8)

    def loss(table):
        rows, _ = table.probabilities(contexts(left)[:-1])
        return -np.log(rows[np.arange(len(left)), left]).mean()

    assert loss(whole) < loss(pruned) < np.log(256) / 2


@pytest.mark.parametrize("budget", [600, 1_000, 3_000, 9_000])
def test_a_context_is_not_kept_without_the_shorter_ones(budget):
    """As only its oldest byte is stored, it would come back as another context."""
    text = make_text(4_000).encode()
    pruned, whole = (
        set(table._contexts.contexts.tolist())
        for table in (table_of(text, budget=budget), table_of(text))
    )
    assert pruned < whole
    assert any(context >> 56 for context in pruned if context < 2**64 - 1)


def test_an_empty_text_gives_no_table():
    with pytest.raises(TableError):
        NgramTable(packed(Counts().orders(), 3, 1_000))


def damage(name, changed=None):
    """A function that changes an array of a table, or takes it away."""

    def change(arrays):
        array = arrays.pop(name)
        if changed is not None:
            arrays[name] = changed(array)

    return change


DAMAGES = {
    "missing": damage("1.bytes"),
    "short": damage("2.counts", lambda array: array[:-1]),
    "no count": damage("1.counts", lambda array: array * 0),
    "bytes out of order": damage("0.bytes", lambda array: array[::-1].copy()),
    "children": damage("1.children", lambda array: array + np.uint8(1)),
    "oldest": damage("2.oldest", lambda array: array[::-1].copy()),
    "kinds": damage("1.kinds", lambda array: array + np.uint8(1)),
    "discounts": damage("discounts", lambda array: array * 0),
    "not finite": damage("discounts", lambda array: array * 0 + np.uint8(0xFF)),
    "half a number": damage("discounts", lambda array: array[:-1]),
    "no order": damage("discounts", lambda array: array[:0]),
    "large discounts": damage(
        "discounts", lambda array: np.ones(len(array) // 4, "<f4").view(np.uint8)
    ),
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES)
def test_arrays_that_are_no_table_are_refused(change):
    arrays = dict(table_of(make_text(2_000).encode(), 3).arrays)
    change(arrays)
    with pytest.raises(TableError):
        NgramTable(arrays)


def test_contexts_of_more_bytes_than_a_number_holds_are_refused():
    """They are packed well otherwise: after each context of seven bytes came a zero."""
    table = table_of(b"abcabd", MAX_ORDER)
    count = len(table.arrays[f"{MAX_ORDER}.kinds"])
    one, zero = np.ones(count, np.uint8), np.zeros(count, np.uint8)
    longer = {"children": one.astype("<u2").view(np.uint8), "counts": one}
    longer |= dict.fromkeys(("oldest", "kinds", "bytes"), zero)
    more = {f"{MAX_ORDER + 1}.{name}": array for name, array in longer.items()}
    discounts = table.arrays["discounts"]
    more["discounts"] = np.append(discounts, discounts[-12:])
    with pytest.raises(TableError):
        NgramTable({**table.arrays, **more})


def test_an_array_too_many_is_refused():
    arrays = dict(table_of(b"abcabc", 2).arrays)
    with pytest.raises(TableError):
        NgramTable({**arrays, "more": np.zeros(1, np.uint8)})
