import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.datasets.batches import batches_per_epoch, epoch_batches
from h2q.datasets.corpus import ByteStream, open_corpus
from h2q.model.tokenizer import PAD
from tests.conftest import text_of
from tests.datasets.streams import CONTEXT, MemoryReader, contents, stream_of


def epoch_of(stream, context_length=CONTEXT, batch_size=8, seed=0, epoch=0, first=0):
    return list(epoch_batches(stream, context_length, batch_size, seed, epoch, first))


def flat(batches) -> bytes:
    return b"".join(bytes(targets.flatten().tolist()) for _, targets, _ in batches)


def numbered(size: int) -> tuple[ByteStream, bytes]:
    """A stream in which almost every pair of neighbouring bytes occurs only once."""
    data = bytes(random.Random(size).choices(range(1, 255), k=size - 1))
    return stream_of([data]), data + b"\xff"


@settings(deadline=None)
@given(
    size=st.integers(2, 3000),
    context_length=st.integers(1, 70),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 5),
)
def test_every_byte_is_a_target_once_an_epoch(size, context_length, batch_size, seed, epoch):
    """The stream returns the positions that are read instead of its bytes."""
    read = []

    class Positions(ByteStream):
        def read(self, start, length):
            read.append((start, length))
            return super().read(start, length)

    data = bytes(range(1, 256)) * 12
    stream = Positions(MemoryReader([data]), [(0, 0, size)])
    batches = epoch_of(stream, context_length, batch_size, seed, epoch)
    targets = [
        position % size for start, length in read for position in range(start + 1, start + length)
    ]
    assert sorted(targets) == list(range(size))
    seen = flat(batches).replace(b"\0", b"")
    assert sorted(seen) == sorted(data[:size])


@settings(deadline=None)
@given(size=st.integers(2, 2000), context_length=st.integers(1, 70), batch_size=st.integers(1, 9))
def test_shapes_and_padding(size, context_length, batch_size):
    stream, _ = numbered(size)
    batches = epoch_of(stream, context_length, batch_size)
    windows = -(-size // context_length)
    assert len(batches) == batches_per_epoch(stream, context_length, batch_size)
    assert [len(inputs) for inputs, *_ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert sum(len(inputs) for inputs, *_ in batches) == windows
    padded = 0
    for inputs, targets, _ in batches:
        assert inputs.shape == targets.shape == (len(inputs), context_length)
        assert inputs.dtype == targets.dtype == torch.int64
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        for row in targets.tolist():
            real = context_length - row.count(PAD)
            assert PAD not in row[:real]
            padded += real < context_length
    assert padded == (size % context_length != 0)


def test_inputs_go_before_their_targets():
    stream, whole = numbered(5000)
    around = whole + whole
    for inputs, targets, _ in epoch_of(stream):
        for row, following in zip(inputs.tolist(), targets.tolist()):
            count = CONTEXT - following.count(PAD)
            assert bytes([row[0], *following[:count]]) in around


def test_order_and_offset_depend_on_seed_and_epoch_alone():
    stream, _ = numbered(20_000)
    keys = [(seed, epoch) for seed in (0, 1, 42) for epoch in (0, 1, 2)]
    epochs = [flat(epoch_of(stream, seed=seed, epoch=epoch)) for seed, epoch in keys]
    np.random.seed(3)
    torch.manual_seed(3)
    assert epochs == [flat(epoch_of(stream, seed=seed, epoch=epoch)) for seed, epoch in keys]
    assert len(set(epochs)) == len(keys)
    # The sets of windows differ too: the offset is drawn anew, not only the order.
    windows = [
        frozenset(text[i : i + CONTEXT] for i in range(0, 20_000, CONTEXT)) for text in epochs
    ]
    assert len({frozenset(w for w in one if b"\0" not in w) for one in windows}) == len(keys)


def test_windows_are_not_visited_in_their_order():
    stream, whole = numbered(20_001)
    inputs = torch.cat([inputs for inputs, *_ in epoch_of(stream)])
    starts = [(whole + whole).index(bytes(row[:8])) for row in inputs.tolist()]
    around = [(start - starts[0]) % len(whole) for start in starts]
    assert around != sorted(around)


@pytest.mark.parametrize("first", [0, 1, 3, 4, 5, 9])
def test_first_equals_skipping(first):
    stream, _ = numbered(20_000)
    whole = epoch_of(stream, seed=7, epoch=2)
    rest = epoch_of(stream, seed=7, epoch=2, first=first)
    assert len(whole) == 5
    assert flat(rest) == flat(whole[first:])
    assert len(rest) == len(whole[first:])


def test_skipped_batches_are_not_read():
    stream, _ = numbered(20_000)
    stream.read = None
    assert epoch_of(stream, first=5) == []


def test_readme_sample_has_four_batches(folder, cache):
    """README: 16,000 characters, 4 batches an epoch."""
    (folder / "a.txt").write_bytes(text_of(16_000))
    held = folder / "held.md"
    held.write_bytes(b"held-out")
    text = open_corpus(folder, cache, context_length=CONTEXT, eval_path=held)
    shapes = [tuple(inputs.shape) for inputs, *_ in epoch_of(text.train)]
    assert shapes == [(8, 512)] * 4


def test_training_never_sees_heldout_text(folder, cache):
    (folder / "a.txt").write_bytes(text_of(40_000))
    text = open_corpus(folder, cache, context_length=CONTEXT)
    [held, *_] = contents(text.heldout, text.scan.files)
    trained = flat(epoch_of(text.train, batch_size=1))
    assert all(held[i : i + 16] not in trained for i in range(len(held) - 16))


def test_rows_begin_where_the_third_part_says():
    stream, whole = numbered(5000)
    for inputs, _, starts in epoch_of(stream, batch_size=3):
        assert starts.shape == (len(inputs),)
        assert [whole[start] for start in starts.tolist()] == inputs[:, 0].tolist()
