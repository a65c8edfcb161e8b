import codecs
import hashlib
import itertools
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.datasets.corpus import (
    SMALL_BLOCK_BYTES,
    SMALL_TEXT_BYTES,
    VALIDATION_BYTES,
    ByteStream,
    open_corpus,
)
from h2q.datasets.text_files import BLOCK_BYTES
from h2q.model.tokenizer import END_OF_DOCUMENT
from h2q.system.errors import CorpusError
from tests.conftest import CHINESE, REPOSITORY, bytes_of, text_of
from tests.datasets.streams import CONTEXT, MARKER, MemoryReader, contents, pieces, stream_of

# Text there must be


def test_nothing_left_names_the_first_reason(folder, cache):
    (folder / "a.txt").touch()
    with pytest.raises(CorpusError, match=r"a\.txt") as caught:
        open_corpus(folder, cache, context_length=CONTEXT)
    assert (caught.value.key, caught.value.exit_code) == ("corpus.no_text", 2)


def test_no_file_at_all(folder, cache):
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder, cache, context_length=CONTEXT)
    assert caught.value.key == "corpus.empty"


def test_a_mark_is_not_trained_on(folder, cache):
    (folder / "one.txt").write_bytes(codecs.BOM_UTF8 + CHINESE.encode())
    train = open_corpus(folder, cache, context_length=32, heldout=stream_of([b"held"])).train
    assert train.read(0, len(train)) == CHINESE.encode() + b"\xff"


# Held-out split


@settings(deadline=None, max_examples=60)
@given(size=st.integers(1024, 200_000), seed=st.integers(0, 9))
def test_split_is_a_partition(tmp_path_factory, size, seed):
    folder = tmp_path_factory.mktemp("split")
    (folder / "a.txt").write_bytes(text_of(size, seed))
    text = open_corpus(folder, folder / "cache", context_length=CONTEXT)
    segments = sorted(pieces(text.train) + pieces(text.heldout), key=lambda segment: segment[1])
    starts = [start for _, start, _ in segments]
    ends = [start + length for _, start, length in segments]
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == size
    block_bytes = SMALL_BLOCK_BYTES if size < 32_768 else BLOCK_BYTES
    assert block_bytes <= len(text.heldout) <= size / 2
    assert len(text.train) + len(text.heldout) == size + 1


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.integers(0, 9))
def test_split_of_several_files_is_a_partition(tmp_path_factory, sizes, seed):
    folder = tmp_path_factory.mktemp("split")
    sizes.append(2000)
    for number, size in enumerate(sizes):
        (folder / f"{number}.txt").write_bytes(text_of(size, seed + number))
    text = open_corpus(folder, folder / "cache", context_length=CONTEXT)
    covered = [[] for _ in sizes]
    for index, start, length in pieces(text.train) + pieces(text.heldout):
        covered[index] += range(start, start + length)
    assert [sorted(positions) for positions in covered] == [list(range(size)) for size in sizes]
    assert 0 < len(text.heldout) <= sum(sizes) / 2


@pytest.mark.parametrize(("size", "block_bytes"), [(30_000, 512), (1_000_000, 4096)])
def test_blocks_of_the_lowest_hashes_are_held_out(folder, cache, size, block_bytes):
    """Fixed: with another choice, a resumed run would train on text that it was measured on."""
    data = text_of(size, seed=1)
    (folder / "a.txt").write_bytes(data)
    text = open_corpus(folder, cache, context_length=CONTEXT)
    blocks = [data[start : start + block_bytes] for start in range(0, size, block_bytes)]
    hashes = [int.from_bytes(hashlib.sha256(block).digest(), "big") for block in blocks]
    expected = [block for block, value in zip(blocks, hashes) if value < 0.05 * 2**256]
    assert len(expected) > 1
    assert b"".join(contents(text.heldout, text.scan.files)) == b"".join(expected)


@pytest.mark.parametrize("seed", range(3))
def test_about_five_percent_is_held_out(folder, cache, seed):
    size = 4_000_000
    (folder / "a.txt").write_bytes(text_of(size, seed))
    text = open_corpus(folder, cache, context_length=CONTEXT)
    assert 0.029 * size < len(text.heldout) < 0.071 * size  # 3 standard deviations of 977 blocks
    assert {start % BLOCK_BYTES for _, start, _ in pieces(text.heldout)} == {0}


def test_about_five_percent_of_many_short_files_stays_when_a_long_one_is_added(folder, cache):
    """Poems, messages: files shorter than a block."""
    for number in range(1000):
        (folder / f"{number}.txt").write_bytes(text_of(1500, number))
    before = open_corpus(folder, cache, context_length=CONTEXT)
    assert 0.029 < len(before.heldout) / before.scan.size < 0.071  # 3 standard deviations
    (folder / "long.txt").write_bytes(text_of(BLOCK_BYTES, 5))
    after = open_corpus(folder, cache, context_length=CONTEXT)
    held = set(contents(before.heldout, before.scan.files))
    assert held <= set(contents(after.heldout, after.scan.files))


@pytest.mark.parametrize(
    ("size", "block_bytes"),
    [(16_384, SMALL_BLOCK_BYTES), (32_767, SMALL_BLOCK_BYTES), (32_768, BLOCK_BYTES)],
)
def test_small_texts_use_small_blocks(folder, cache, size, block_bytes):
    (folder / "a.txt").write_bytes(text_of(size))
    text = open_corpus(folder, cache, context_length=CONTEXT)
    assert {start % block_bytes for _, start, _ in pieces(text.heldout)} == {0}
    assert min(length for _, _, length in pieces(text.heldout)) < 2 * block_bytes


@pytest.mark.parametrize("size", [2048, 160_000])
@pytest.mark.parametrize("line", [b"0123456789abcde\n", b"a"])
def test_never_more_than_half_even_of_a_text_that_repeats(folder, cache, size, line):
    (folder / "a.txt").write_bytes((line * size)[:size])
    text = open_corpus(folder, cache, context_length=CONTEXT)
    assert 0 < len(text.heldout) <= size / 2


@pytest.mark.parametrize(
    ("blocks", "tail", "block_bytes"),
    [(4, 0, SMALL_BLOCK_BYTES), (2, 513, SMALL_BLOCK_BYTES), (9, 3, BLOCK_BYTES)],
)
def test_never_more_than_half_even_where_every_hash_is_low(
    folder, cache, blocks, tail, block_bytes
):
    def is_low(block):
        return hashlib.sha256(block).digest()[0] < 0.04 * 256

    candidates = (text_of(block_bytes, seed) for seed in itertools.count())
    low = list(itertools.islice(filter(is_low, candidates), blocks))
    data = b"".join(low) + text_of(tail, 5)
    (folder / "a.txt").write_bytes(data)
    text = open_corpus(folder, cache, context_length=CONTEXT)
    assert block_bytes <= len(text.heldout) <= len(data) / 2


def test_split_stays_when_files_are_added_and_renamed(folder, cache):
    for number in range(3):
        (folder / f"{number}.txt").write_bytes(text_of(200_000, number))
    before = open_corpus(folder, cache, context_length=CONTEXT)
    held_before = set(contents(before.heldout, before.scan.files))
    (folder / "1.txt").rename(folder / "9.txt")
    (folder / "00.txt").write_bytes(text_of(300_000, 7))
    after = open_corpus(folder, cache, context_length=CONTEXT)
    added = [file.path.name for file in after.scan.files].index("00.txt")
    held_after = {
        bytes_of(after.scan.files[index])[start : start + length]
        for index, start, length in pieces(after.heldout)
        if index != added
    }
    assert held_before == held_after
    assert len(held_before) > 3


def test_split_is_the_same_in_every_encoding(folder, cache, tmp_path):
    text = "".join(f"{number} {CHINESE}" for number in range(3000))
    other = tmp_path / "other"
    other.mkdir()
    (folder / "a.txt").write_bytes(text.encode())
    (other / "a.txt").write_bytes(text.encode("gb18030"))
    one = open_corpus(folder, cache, context_length=CONTEXT)
    two = open_corpus(other, cache, context_length=CONTEXT)
    assert pieces(one.heldout) == pieces(two.heldout)
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize("size", [1, 511, 700])
def test_too_short_a_text_names_size_and_need(folder, cache, size):
    (folder / "a.txt").write_bytes(text_of(size))
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder, cache, context_length=CONTEXT)
    assert (caught.value.key, caught.value.exit_code) == ("corpus.short", 2)
    assert str(size) in str(caught.value)
    assert "1024" in str(caught.value)


def test_what_is_asked_for_is_enough(folder, cache):
    for seed in range(20):
        (folder / "a.txt").write_bytes(text_of(1024, seed))
        text = open_corpus(folder, cache, context_length=CONTEXT)
        assert (len(text.train), len(text.heldout)) == (513, 512)


def test_eval_path_takes_nothing_from_the_training_text(folder, cache, tmp_path):
    (folder / "a.txt").write_bytes(text_of(600))
    held = tmp_path / "held"
    held.mkdir()
    (held / "a.txt").write_bytes(text_of(300, 1))
    (held / "b.txt").write_bytes(text_of(200, 2))
    text = open_corpus(folder, cache, context_length=CONTEXT, eval_path=held)
    assert text.train.read(0, len(text.train)) == text_of(600) + b"\xff"
    assert text.heldout.read(0, len(text.heldout)) == text_of(300, 1) + text_of(200, 2)


def test_given_heldout_takes_nothing_from_the_training_text(folder, cache):
    (folder / "a.txt").write_bytes(text_of(600))
    held = stream_of([b"held"])
    text = open_corpus(folder, cache, context_length=CONTEXT, heldout=held)
    assert text.heldout is held
    assert len(text.train) == 601
    (folder / "a.txt").write_bytes(text_of(2000))
    unsplit = open_corpus(folder, cache, context_length=CONTEXT, heldout=held)
    assert unsplit.fingerprint != open_corpus(folder, cache, context_length=CONTEXT).fingerprint


@pytest.mark.parametrize("size", [0, None])
def test_eval_path_without_text(folder, cache, tmp_path, size):
    (folder / "a.txt").write_bytes(text_of(600))
    held = tmp_path / "held"
    held.mkdir()
    if size is not None:
        (held / "a.txt").touch()
    with pytest.raises(CorpusError, match="held"):
        open_corpus(folder, cache, context_length=CONTEXT, eval_path=held)


def test_heldout_text_with_nothing_to_predict_is_too_short(folder, cache, tmp_path):
    (folder / "a.txt").write_bytes(text_of(600))
    held = tmp_path / "held.txt"
    held.write_bytes(b"x")
    with pytest.raises(CorpusError, match=r"held\.txt") as caught:
        open_corpus(folder, cache, context_length=CONTEXT, eval_path=held)
    assert caught.value.key == "corpus.short"
    assert (caught.value.values["size"], caught.value.values["needed"]) == (1, 2)


def test_fingerprint_names_the_text_and_the_split(folder, cache, tmp_path):
    def fingerprint(eval_path=None):
        return open_corpus(folder, cache, context_length=CONTEXT, eval_path=eval_path).fingerprint

    held = tmp_path / "held.txt"
    held.write_bytes(text_of(600, 1))
    (folder / "a.txt").write_bytes(text_of(2000))
    prints = [fingerprint(), fingerprint(held)]
    assert prints == [fingerprint(), fingerprint(held)]
    held.write_bytes(text_of(600, 2))
    prints.append(fingerprint(held))
    (folder / "a.txt").write_bytes(text_of(2000, 5))
    prints += [fingerprint(), fingerprint(held)]
    assert len(set(prints)) == 5


# Validation part


def three_parts(text):
    return pieces(text.train) + pieces(text.validation) + pieces(text.heldout)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 60_000), min_size=1, max_size=5),
    seed=st.integers(0, 9),
    fraction=st.sampled_from([0.001, 0.03, 0.2, 0.5]),
    split=st.booleans(),
)
def test_the_three_parts_are_a_partition(tmp_path_factory, sizes, seed, fraction, split):
    folder = tmp_path_factory.mktemp("split")
    sizes.append(2000)
    for number, size in enumerate(sizes):
        (folder / f"{number}.txt").write_bytes(text_of(size, seed + number))
    options = {"context_length": CONTEXT, "heldout": None if split else stream_of([b"held"])}
    before = open_corpus(folder, folder / "cache", **options)
    text = open_corpus(folder, folder / "cache", validation_fraction=fraction, **options)
    covered = [[] for _ in sizes]
    for index, start, length in three_parts(text) if split else pieces(text.text):
        covered[index] += range(start, start + length)
    assert [sorted(positions) for positions in covered] == [list(range(size)) for size in sizes]
    assert pieces(text.heldout) == pieces(before.heldout)
    assert len(before.validation) == 0
    assert len(text.text) == len(text.train) + len(text.validation) == len(before.train)
    total = sum(sizes)
    block_bytes = SMALL_BLOCK_BYTES if total < SMALL_TEXT_BYTES else BLOCK_BYTES
    assert len(text.validation) < fraction * total + block_bytes
    assert (len(text.validation) > 0) == (total >= 8192)
    assert len(text.train) - len(sizes) >= CONTEXT


@pytest.mark.parametrize(("size", "block_bytes"), [(30_000, 512), (1_000_000, 4096)])
@pytest.mark.parametrize("split", [True, False])
def test_blocks_with_the_next_hashes_are_for_validation(folder, cache, size, block_bytes, split):
    """Fixed: with another choice, a resumed run would train on what is for validation."""
    data = text_of(size, seed=1)
    (folder / "a.txt").write_bytes(data)
    held = None if split else stream_of([b"held"])
    text = open_corpus(
        folder, cache, context_length=CONTEXT, heldout=held, validation_fraction=0.06
    )
    blocks = [data[start : start + block_bytes] for start in range(0, size, block_bytes)]
    free = set(blocks) - set(split_at(text.heldout, text.scan.files, block_bytes) if split else [])
    lowest = sorted(free, key=lambda block: hashlib.sha256(block).digest())
    sums = itertools.accumulate(map(len, lowest))
    count = 1 + next(index for index, total in enumerate(sums) if total >= 0.06 * size)
    validated = split_at(text.validation, text.scan.files, block_bytes)
    assert count > 1
    assert sorted(validated) == sorted(lowest[:count])


def split_at(stream, files, block_bytes):
    """The blocks of a stream."""
    return [
        data[start : start + block_bytes]
        for data in contents(stream, files)
        for start in range(0, len(data), block_bytes)
    ]


def validation_blocks(text, files=None):
    """The blocks for validation, those of the named ``files`` only."""
    stream = text.validation
    return {
        bytes_of(text.scan.files[index])[begin : begin + BLOCK_BYTES]
        for index, start, length in pieces(stream)
        for begin in range(start, start + length, BLOCK_BYTES)
        if files is None or text.scan.files[index].path.name in files
    }


def test_validation_blocks_stay_when_files_are_renamed_and_their_order_when_some_are_added(
    folder, cache
):
    """More text has a larger validation part, or its lowest hashes are others: of the text that was
    there before, a few blocks more or less are chosen, still from the lowest hash on."""

    def chosen(*files):
        text = open_corpus(folder, cache, context_length=CONTEXT, validation_fraction=0.05)
        return validation_blocks(text, files or None)

    for number in range(3):
        (folder / f"{number}.txt").write_bytes(text_of(200_000, number))
    before = chosen()
    (folder / "1.txt").rename(folder / "9.txt")
    assert chosen() == before and len(before) == 8
    (folder / "00.txt").write_bytes(text_of(300_000, 7))
    after = chosen("0.txt", "2.txt", "9.txt")
    fewer, more = sorted((before, after), key=len)
    assert fewer <= more and len(fewer) > 3
    assert (
        set(sorted(more, key=lambda block: hashlib.sha256(block).digest())[: len(fewer)]) == fewer
    )


@pytest.mark.parametrize("tail", [0, 100])
def test_a_validation_part_has_a_largest_size(folder, cache, tail):
    """Whole blocks only, which with a short one among them do not quite fill it."""
    (folder / "a.txt").write_bytes(text_of(700_000))
    for number in range(tail):
        (folder / f"{number}.txt").write_bytes(text_of(50, number + 1))
    text = open_corpus(folder, cache, context_length=CONTEXT, validation_fraction=0.5)
    assert VALIDATION_BYTES - BLOCK_BYTES < len(text.validation) <= VALIDATION_BYTES
    assert tail or len(text.validation) == VALIDATION_BYTES


@pytest.mark.parametrize(
    ("size", "expected"), [(8191, 0), (8192, 512), (32_767, 1024), (32_768, BLOCK_BYTES)]
)
def test_validation_parts_of_small_texts(folder, cache, size, expected):
    (folder / "a.txt").write_bytes(text_of(size))
    text = open_corpus(folder, cache, context_length=CONTEXT, validation_fraction=0.03)
    assert len(text.validation) == expected


def test_no_validation_part_where_too_little_to_train_on_would_remain(folder, cache):
    (folder / "a.txt").write_bytes(text_of(8192))
    sizes = []
    for context_length in (7168, 7169, 7680):
        text = open_corpus(folder, cache, context_length=context_length, validation_fraction=0.03)
        sizes.append((len(text.train) - 1, len(text.validation)))
    assert sizes == [(7168, 512), (7680, 0), (7680, 0)]


def test_copies_of_a_block_are_not_parted(folder, cache):
    """What is trained on too would validate nothing."""
    blocks = [text_of(BLOCK_BYTES, seed) for seed in range(60)]
    for number in range(3):
        (folder / f"{number}.txt").write_bytes(b"".join(blocks))
    text = open_corpus(folder, cache, context_length=CONTEXT, validation_fraction=0.1)
    trained, validated = (
        set(split_at(stream, text.scan.files, BLOCK_BYTES))
        for stream in (text.train, text.validation)
    )
    assert len(validated) == 6 and len(text.validation) == 3 * 6 * BLOCK_BYTES
    assert not trained & validated


@pytest.mark.parametrize("line", [b"0123456789abcde\n", b"a"])
def test_a_text_that_repeats_has_at_most_its_last_block_for_validation(folder, cache, line):
    (folder / "a.txt").write_bytes((line * 40_100)[:40_100])
    text = open_corpus(folder, cache, context_length=CONTEXT, validation_fraction=0.03)
    assert len(text.validation) in (0, 40_100 % BLOCK_BYTES)


def test_eval_path_leaves_the_lowest_hashes_for_validation(folder, cache, tmp_path):
    (folder / "a.txt").write_bytes(text_of(100_000))
    held = tmp_path / "held.txt"
    held.write_bytes(text_of(300, 1))
    text = open_corpus(
        folder, cache, context_length=CONTEXT, eval_path=held, validation_fraction=0.03
    )
    blocks = [text_of(100_000)[start : start + BLOCK_BYTES] for start in range(0, 98_304, 4096)]
    lowest = min(blocks, key=lambda block: hashlib.sha256(block).digest())
    assert text.validation.read(0, len(text.validation)) == lowest
    assert text.heldout.read(0, len(text.heldout)) == text_of(300, 1)


def test_all_text_is_that_to_train_on_and_behind_it_the_validation_part(folder, cache):
    (folder / "a.txt").write_bytes(text_of(50_000))
    text = open_corpus(folder, cache, context_length=CONTEXT, validation_fraction=0.2)
    trained, validated = (stream.read(0, len(stream)) for stream in (text.train, text.validation))
    assert text.text.read(0, len(text.text)) == trained + validated
    assert text.text.read(len(trained) - 5, 10) == trained[-5:] + validated[:5]


def test_fingerprint_names_the_validation_part(folder, cache):
    (folder / "a.txt").write_bytes(text_of(20_000))

    def fingerprint(**options):
        return open_corpus(folder, cache, context_length=CONTEXT, **options).fingerprint

    without = fingerprint()
    assert without == fingerprint(validation_fraction=0) == fingerprint(validation_fraction=0.0)
    assert len({without, *(fingerprint(validation_fraction=part / 100) for part in (1, 2))}) == 3
    digest = open_corpus(folder, cache, context_length=CONTEXT).scan.files[0].digest
    assert without == hashlib.sha256(f"{digest}\nTrue".encode()).hexdigest(), "as in version 0.1.0"


def test_an_empty_stream():
    stream = ByteStream(MemoryReader([]), [])
    assert (len(stream), stream.windows(CONTEXT, 1000), stream.read(0, 0)) == (0, [], b"")
    other = stream_of([b"ab"])
    for both in (stream.followed_by(other), other.followed_by(stream)):
        assert pieces(both) == pieces(other) and len(both) == 3


# Reading


@given(
    st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=6),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_read_equals_the_files_one_after_the_other(files, start, length):
    stream = stream_of(files)
    whole = b"".join(data + b"\xff" for data in files)
    assert len(stream) == len(whole)
    expected = bytes(whole[position % len(whole)] for position in range(start, start + length))
    assert stream.read(start, length) == expected


@given(st.data())
def test_read_equals_the_chosen_parts(data):
    """Segments are parts of files, as the split makes them."""
    files = [bytes(range(40)), bytes(range(100, 160))]
    part = st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(0, 20))
    segments = [*data.draw(st.lists(part, min_size=1, max_size=6)), (MARKER, 0, 1)]
    stream = ByteStream(MemoryReader(files), segments)
    whole = b"".join(
        files[index][start : start + length] if index != MARKER else b"\xff"
        for index, start, length in segments
    )
    start, length = data.draw(st.integers(0, 300)), data.draw(st.integers(0, 300))
    expected = bytes(whole[position % len(whole)] for position in range(start, start + length))
    assert stream.read(start, length) == expected


@settings(deadline=None)
@given(st.data())
def test_a_part_reads_as_the_pieces_it_is_made_of(data):
    """Pieces of one segment each, in any order, also more than once."""
    files = [bytes(range(40)), bytes(range(100, 160))]
    stream = stream_of(files)
    whole = files[0] + b"\xff" + files[1] + b"\xff"
    begins = {0: 40, 41: 60}  # where the segments of text begin, and their lengths
    wanted = []
    for _ in range(data.draw(st.integers(1, 5))):
        begin = data.draw(st.sampled_from(sorted(begins)))
        start = data.draw(st.integers(0, begins[begin] - 1))
        wanted.append((begin + start, data.draw(st.integers(1, begins[begin] - start))))
    part = stream.part(wanted)
    assert part.read(0, len(part)) == b"".join(whole[a : a + length] for a, length in wanted)


def test_documents_end_with_the_marker(folder, cache):
    parts = [text_of(300, 1), text_of(400, 2), text_of(500, 3)]
    for number, data in enumerate(parts):
        (folder / f"{number}.txt").write_bytes(data)
    held = folder / "held.md"
    held.write_bytes(b"held-out")
    text = open_corpus(folder, cache, context_length=CONTEXT, eval_path=held)
    end = bytes([END_OF_DOCUMENT])
    assert end == b"\xff"
    assert text.train.read(0, len(text.train)) == end.join(parts) + end


def test_more_files_than_handles(folder, cache):
    """Handles are closed and opened again."""
    parts = [text_of(50, number) for number in range(150)]
    for number, data in enumerate(parts):
        (folder / f"{number:03}.txt").write_bytes(data)
    held = folder / "held.md"
    held.write_bytes(b"held-out")
    before = len(os.listdir("/dev/fd"))
    text = open_corpus(folder, cache, context_length=CONTEXT, eval_path=held)
    whole = b"".join(data + b"\xff" for data in parts)
    assert text.train.read(0, len(whole)) == whole
    assert len(os.listdir("/dev/fd")) - before <= 64
    for start in random.Random(0).sample(range(len(whole) - 200), 200):
        assert text.train.read(start, 200) == whole[start : start + 200]
    assert len(os.listdir("/dev/fd")) - before <= 64


def edit(path):
    with open(path, "r+b") as stream:
        stream.write(b"X" * 1000)


def truncate(path):
    os.truncate(path, 700)


def lengthen(path):
    with open(path, "ab") as stream:
        stream.write(b"more")


def replace(path):
    other = path.with_name("other")
    other.write_bytes(b"X" * path.stat().st_size)
    os.replace(other, path)


def opened(folder, cache, encoding="utf-8"):
    """A corpus of one file that was written long before it is scanned."""
    path = folder / "a.txt"
    path.write_bytes((CHINESE * 30).encode(encoding))
    os.utime(path, (10**9, 10**9))
    held = folder / "held.md"
    held.write_bytes(b"held-out")
    return path, open_corpus(folder, cache, context_length=CONTEXT, eval_path=held).train


@pytest.mark.parametrize("change", [edit, truncate, lengthen, replace, os.unlink])
def test_change_before_the_first_read_is_noticed(folder, cache, change):
    path, stream = opened(folder, cache)
    change(path)
    with pytest.raises(CorpusError, match=r"a\.txt") as caught:
        stream.read(900, 100)
    assert (caught.value.key, caught.value.exit_code) == ("corpus.changed", 2)


@pytest.mark.parametrize("change", [edit, truncate, lengthen, replace, os.unlink])
def test_change_is_noticed_again_at_the_second_attempt(folder, cache, change):
    path, stream = opened(folder, cache)
    change(path)
    for _ in range(2):
        with pytest.raises(CorpusError):
            stream.read(0, 100)


@pytest.mark.parametrize("change", [edit, truncate])
def test_change_in_place_after_a_read_is_noticed(folder, cache, change):
    path, stream = opened(folder, cache)
    stream.read(0, 10)
    change(path)
    with pytest.raises(CorpusError) as caught:
        stream.read(900, 100)
    assert caught.value.key == "corpus.changed"


@pytest.mark.parametrize("change", [replace, os.unlink])
def test_open_file_that_is_replaced_goes_on_as_it_was(folder, cache, change):
    path, stream = opened(folder, cache)
    stream.read(0, 10)
    change(path)
    assert stream.read(900, 100) == (CHINESE * 30).encode()[900:1000]


def test_deleted_transcoded_copy_is_noticed_by_the_name_of_the_source(folder, cache):
    _, stream = opened(folder, cache, "gb18030")
    for copy in cache.iterdir():
        copy.unlink()
    with pytest.raises(CorpusError, match=r"a\.txt") as caught:
        stream.read(0, 10)
    assert caught.value.key == "corpus.changed"


# Windows


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    window=st.integers(1, 15),
)
def test_windows_predict_each_byte_once_and_stay_in_a_segment(lengths, window):
    """The first byte of a segment has nothing before it in the segment."""
    stream = ByteStream(MemoryReader([]), [(0, 0, length) for length in lengths])
    begins = np.cumsum([0, *lengths])
    predictable = [
        position for begin, end in itertools.pairwise(begins) for position in range(begin + 1, end)
    ]
    predicted = []
    for start, count in stream.windows(window, limit_bytes=10**9):
        assert 1 <= count <= window
        segment = np.searchsorted(begins, [start, start + count], side="right")
        assert segment[0] == segment[1]
        predicted += range(start + 1, start + count + 1)
    assert predicted == predictable


@given(st.integers(2, 5000), st.integers(1, 64), st.integers(1, 5000))
def test_limited_windows_are_evenly_spaced(size, window, limit):
    stream = ByteStream(MemoryReader([]), [(0, 0, size)])
    every = stream.windows(window, limit_bytes=10**9)
    chosen = stream.windows(window, limit)
    assert chosen == stream.windows(window, limit)
    assert len(chosen) == min(len(every), max(1, limit // window))
    place = {window: number for number, window in enumerate(every)}
    places = [place[window] for window in chosen]
    steps = np.diff([*places, len(every)])
    assert places[0] == 0
    assert steps.min() >= 1
    assert steps.max() - steps.min() <= 1


# Memory

# Not ru_maxrss, which begins with the peak of the parent: this is the peak of this process alone.
MEASURE = """
import re, sys
from pathlib import Path
from h2q.datasets.batches import epoch_batches
from h2q.datasets.corpus import open_corpus

def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
before = kilobytes("VmRSS")
text = open_corpus(Path(sys.argv[1]), Path(sys.argv[2]), context_length=512)
for number, _ in enumerate(epoch_batches(text.train, 512, 8, seed=0, epoch=0)):
    if number == 100:
        break
print(len(text.train) + len(text.heldout), kilobytes("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", " "), ("gb18030", "\n")])
def test_memory_does_not_grow_with_the_text(folder, cache, encoding, end):
    part = (CHINESE[:-1] + end).encode(encoding) * 8000
    with open(folder / "a.txt", "wb") as stream:
        for number in range(64 * 2**20 // len(part)):
            stream.write(f"{number} ".encode() + part)
    command = [sys.executable, "-c", MEASURE, folder, cache]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    size, added_kilobytes = map(int, run.stdout.split())
    assert size > 60 * 2**20
    assert added_kilobytes < 60 * 2**10  # 40 of these MB are for the search for Chinese, once


# Formats


def test_extracted_text_is_split_like_text(folder, cache, tmp_path):
    text = text_of(100_000).decode().replace("\n", " ")
    words = " ".join(text.split())
    (folder / "a.html").write_text(f"<p>{words}</p>")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.txt").write_text(words + "\n")
    extracted = open_corpus(folder, cache, context_length=CONTEXT, validation_fraction=0.05)
    plain = open_corpus(tmp_path / "plain", cache, context_length=CONTEXT, validation_fraction=0.05)
    assert extracted.fingerprint == plain.fingerprint
    for name in ("train", "validation", "heldout"):
        one, two = getattr(extracted, name), getattr(plain, name)
        assert one.read(0, len(one)) == two.read(0, len(two)) and len(one)


def test_a_document_that_changes_during_training_is_no_matter(folder, cache):
    (folder / "a.html").write_text(f"<p>{text_of(20_000).decode()}</p>")
    train = open_corpus(folder, cache, context_length=CONTEXT).train
    before = train.read(0, len(train))
    (folder / "a.html").unlink()
    assert train.read(0, len(train)) == before


def test_patterns_are_of_both_directories(folder, cache, tmp_path):
    held = tmp_path / "held"
    held.mkdir()
    for place in (folder, held):
        (place / "a.txt").write_bytes(text_of(3000))
        (place / "b.md").write_bytes(text_of(4000, 1))
    options = {"context_length": CONTEXT, "eval_path": held}
    text = open_corpus(folder, cache, include=["*.md"], **options)
    assert (text.scan.size, text.heldout_scan.size) == (4000, 4000)
    (held / "b.md").unlink()
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder, cache, include=["*.md"], **options)
    assert caught.value.key == "corpus.no_text" and "--include" in str(caught.value)


def test_too_little_text_tells_of_what_would_be_read_too(folder, cache):
    (folder / "a.txt").write_bytes(b"little")
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder, cache, context_length=CONTEXT)
    assert "--include" not in str(caught.value)
    for name in ("b.md", "c.docx", "d.png"):
        (folder / name).write_bytes(text_of(3000))
    with pytest.raises(CorpusError, match="--include") as caught:
        open_corpus(folder, cache, context_length=CONTEXT)
    assert caught.value.key == "corpus.short" and " 2 " in str(caught.value)
