"""What is called disorderly, and what never is. The texts are those of other people's habits."""

import base64
import itertools
import random
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from h2q.datasets import disorder
from h2q.datasets.corpus import open_corpus
from h2q.datasets.disorder import UNIT_CHARACTERS, disorderly, excess_of_pairs
from h2q.system.paths import shipped_data, shipped_knowledge_dir
from tests.conftest import REPOSITORY, corpus_file

SOURCE = random.Random(7)
HEX = "0123456789abcdef"
NOISE = bytes(SOURCE.choices(range(1, 256), k=12_000))  # a file with NUL is no text


def digits(kinds: str, length: int) -> str:
    return "".join(SOURCE.choices(kinds, k=length))


def lines(make, count: int) -> str:
    return "\n".join(make() for _ in range(count))


def passages(lang: str) -> str:
    path = shipped_data() / "sample_text" / f"passages.{lang}.txt"
    return path.read_text(encoding="utf-8")[:60_000]


JUNK = {
    "hexadecimal": digits(HEX, 9000),
    "hexadecimal lines": lines(lambda: digits(HEX, 64), 140),
    "base64": base64.b64encode(NOISE).decode(),
    "base64 lines": base64.encodebytes(NOISE).decode(),
    "a certificate": "-----BEGIN X-----\n" + base64.encodebytes(NOISE).decode(),
    "noise as Latin-1": NOISE.decode("latin-1"),
    "noise as cp1252": NOISE.decode("cp1252", "replace"),
    "noise as UTF-8": bytes(SOURCE.choices(range(1, 256), k=30_000)).decode("utf-8", "ignore"),
    "an archive": zlib.compress(passages("en").encode()).replace(b"\0", b"").decode("latin-1"),
    "passwords": lines(lambda: digits("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMN23456789", 12), 700),
}


RUSSIAN = """Утром дождь кончился, и старый смотритель вышел во двор проверить лодки. Две из них стояли
у самой воды, третью ветер унёс к камышам. Он долго смотрел на озеро, потом достал из кармана
верёвку и пошёл по мокрой траве к причалу. За ночь вода поднялась почти на ладонь, и доски
скрипели под ногами. Внук ещё спал, поэтому смотритель решил не звать его и справиться сам. Он
оттолкнул лодку от берега, взял весло и медленно поплыл к камышам. Над водой стоял туман, и
деревня на другом берегу была похожа на старую фотографию. Когда он вернулся, на крыльце уже
дымился самовар, а внук сидел на ступеньках и чинил сеть. Они пили чай молча, слушая, как в лесу
начинает стучать дятел. Потом мальчик спросил, правда ли, что в озере живёт большая рыба, которую
никто никогда не видел. Смотритель усмехнулся и ответил, что видел её однажды, но никому об этом
не рассказывал, потому что всё равно никто бы не поверил."""
POEM = """
I keep a lantern in the hall
for anyone who comes by night;
the moths go up and down the wall
and write their letters in the light.

The river takes the bridge's name
and carries it beyond the mill;
the fields, that were not once the same,
lie folded on the lower hill.

Who knocks? The rain. Who speaks? The clock.
Who walks the stairs? It is the cold.
I turn the key within the lock
and tell the house what I was told:

that every road is partly sea,
that every door is partly stone,
that what we set at liberty
will not forget the way alone.

So leave the lantern where it stands.
The moths will tire; the oil will last.
The morning comes with empty hands
and lifts the latch, and hurries past.

And if you find the kettle warm
and nobody to say your name,
then you have come before the storm,
and I have gone the way you came.

""".strip()
LEVELS = ("INFO", "WARN", "DEBUG")
TEXT = {
    "Chinese": passages("zh"),
    "Chinese characters, none twice": "".join(map(chr, range(0x4E00, 0x5200))),
    "English": passages("en"),
    "Russian": RUSSIAN,
    "a poem": POEM,
    "Python": (REPOSITORY / "h2q" / "datasets" / "corpus.py").read_text(encoding="utf-8"),
    "TOML": (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"),
    "JSON": (shipped_knowledge_dir() / "wordings.json").read_text("utf-8")[:60_000],
    "facts": (shipped_knowledge_dir() / "elements.jsonl").read_text(encoding="utf-8"),
    "log": lines(
        lambda: (
            f"2026-11-{SOURCE.randrange(10, 29)} {SOURCE.randrange(10, 24)}:{SOURCE.randrange(10, 60)}"
            f" {SOURCE.choice(LEVELS)} worker-{SOURCE.randrange(9)} id={SOURCE.getrandbits(64):016x}"
            f" took {SOURCE.randrange(999)} ms"
        ),
        300,
    ),
    "hashes of files": lines(lambda: f"{digits(HEX, 64)}  data/part_{digits(HEX, 2)}.txt", 100),
    "CSV of integers": lines(lambda: ",".join(str(SOURCE.randrange(1000)) for _ in range(8)), 400),
    "CSV of decimals": lines(lambda: ",".join(f"{SOURCE.random():.6f}" for _ in range(6)), 300),
    "TSV with names": lines(
        lambda: f"{SOURCE.choice('安平宁远')}{SOURCE.choice('县州')}\t{SOURCE.randrange(10**7)}",
        400,
    ),
    "a column of digits": lines(lambda: digits("0123456789", 7), 900),
    "digits": digits("0123456789", 5000),
    "a rule": "-" * 5000,
    "DNA": digits("ACGT", 5000),
    "base64 of English": base64.encodebytes(passages("en")[:9000].encode()).decode(),
}


def found_in(text: str, tmp_path) -> tuple[float, list]:
    """The share of ``text`` that is called disorderly, and its pieces."""
    (tmp_path / "text.txt").write_text(text, encoding="utf-8", newline="")
    stream = open_corpus(
        tmp_path / "text.txt",
        tmp_path / "cache",
        context_length=64,
        eval_path=tmp_path / "text.txt",
    ).heldout
    units = disorderly(stream)
    return sum(unit.length for unit in units) / len(stream), units


@pytest.mark.parametrize("kind", JUNK)
def test_noise_is_disorderly(kind, tmp_path):
    assert found_in(JUNK[kind], tmp_path)[0] > 0.9


@pytest.mark.parametrize("kind", TEXT)
def test_text_is_not(kind, tmp_path):
    assert len(TEXT[kind]) > 2 * UNIT_CHARACTERS
    assert found_in(TEXT[kind], tmp_path) == (0, [])


@pytest.mark.parametrize("name", ["tinyshakespeare.txt", "hongloumeng.gb18030.txt"])
def test_books_are_not(name, tmp_path):
    encoding = "gb18030" if "gb18030" in name else "utf-8"
    text = corpus_file(name).read_text(encoding=encoding, errors="replace")
    assert found_in(text, tmp_path) == (0, [])


def test_noise_among_text_is_found_where_it_is(tmp_path):
    english, noise = passages("en")[:20_000], JUNK["hexadecimal"]
    before, after = english[:8000].encode(), english[8000:].encode()
    text = (before + noise.encode() + after).decode()
    _, units = found_in(text, tmp_path)
    begin, end = len(before), len(before) + len(noise)
    slack = UNIT_CHARACTERS
    assert begin - slack < units[0].start < begin + slack
    last = units[-1]
    assert end - slack < last.start + last.length < end + slack
    for one, other in itertools.pairwise(units):
        assert one.start + one.length == other.start


def test_a_single_piece_of_noise_stays(tmp_path):
    """A key in a letter: less than two units."""
    english = passages("en")
    text = english[:5000] + JUNK["base64"][: UNIT_CHARACTERS + 200] + english[5000:10_000]
    assert found_in(text, tmp_path)[1] == []


def test_the_entropy_is_that_of_characters_by_bytes(tmp_path):
    _, units = found_in(JUNK["noise as Latin-1"], tmp_path)
    for unit in units[:-1]:
        assert 4.5 < unit.bits_per_byte < 5.5  # 256 characters, of which half take two bytes


def test_units_end_with_whole_characters(tmp_path):
    text = JUNK["noise as UTF-8"]
    _, units = found_in(text, tmp_path)
    data = text.encode()
    for unit in units:
        data[unit.start : unit.start + unit.length].decode("utf-8")


def test_chunks_make_no_difference_but_at_their_ends(tmp_path, monkeypatch):
    whole = found_in(JUNK["hexadecimal"] * 2, tmp_path)[0]
    monkeypatch.setattr(disorder, "_CHUNK_BYTES", 4000)
    assert found_in(JUNK["hexadecimal"] * 2, tmp_path)[0] == whole == 1


def test_pairs_that_repeat_are_an_excess():
    ordered = np.tile(np.arange(16, dtype=np.uint32), 24)[None]
    mixed = np.random.default_rng(0).permutation(ordered[0])[None]
    assert excess_of_pairs(ordered)[0] > 50 > 5 > abs(excess_of_pairs(mixed)[0])


def test_the_excess_is_that_of_the_definition():
    units = np.random.default_rng(1).integers(0, 9, (3, 40)).astype(np.uint32)
    for row, found in zip(units.tolist(), excess_of_pairs(units)):
        pairs = list(itertools.pairwise(row))

        def same(items):
            return sum(a == b for i, a in enumerate(items) for b in items[:i])

        expected = (same(row) / (40 * 39 / 2)) ** 2 * (39 * 38 / 2)
        assert found == pytest.approx((same(pairs) - expected) / (expected + 1) ** 0.5)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_can_be_looked_at(data):
    found = list(disorder._disorderly(np.frombuffer(data, np.uint8), 0))
    assert all(unit.length > 0 and unit.bits_per_byte > 0 for unit in found)
